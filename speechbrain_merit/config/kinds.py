"""What the value of a hyperparameter may be.

Every kind tells in words what is wanted, and whether a value fits.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from .names import suggestion


class Kind:
    """What values a key takes; `wanted` completes "it must be"."""

    @property
    def wanted(self) -> str:
        """What a value must be, in words."""
        raise NotImplementedError

    def problem(self, value: Any) -> str | None:
        """Tells what is wrong with a value.

        Arguments
        ---------
        value : Any
            As the YAML has it.

        Returns
        -------
        str or None
            What goes after the key; None where the value fits.

        Example
        -------
        >>> Number(low=0).problem("fast")
        "is 'fast': it must be a number of at least 0."
        """
        if self._accepts(value):
            return self._problem_inside(value)
        hint = self._hint(value)
        return f"is {value!r}: it must be {self.wanted}.{hint}"

    def fits(self, value: Any) -> bool:
        """Tells whether a value is of this kind.

        Arguments
        ---------
        value : Any
            As the YAML has it.

        Returns
        -------
        bool
            Whether it is.
        """
        return self.problem(value) is None

    def _accepts(self, value: Any) -> bool:
        """Whether a value is what is wanted, whatever it holds."""
        raise NotImplementedError

    def _problem_inside(self, value: Any) -> str | None:
        """What is wrong with something that an accepted value holds."""
        return None

    def _hint(self, value: Any) -> str:
        """What to add about a value that is not accepted."""
        return ""


@dataclasses.dataclass(frozen=True)
class Number(Kind):
    """A finite number.

    Arguments
    ---------
    low : float, optional
        The least one.
    high : float, optional
        The largest one.
    above : float, optional
        What it must exceed.

    Example
    -------
    >>> Number(low=0, high=1).wanted
    'a number from 0 to 1'
    >>> Number(above=0).fits(0), Number(above=0).fits(0.5), Number().fits(True)
    (False, True, False)
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    noun = "a number"

    @property
    def wanted(self) -> str:
        """The range in words."""
        if self.low is not None and self.high is not None:
            return f"{self.noun} from {self.low} to {self.high}"
        if self.low is not None:
            return f"{self.noun} of at least {self.low}"
        if self.above is not None:
            return f"{self.noun} above {self.above}"
        return self.noun

    def _accepts(self, value: Any) -> bool:
        # True and False count as numbers in Python.
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        number = float(value)
        return (
            math.isfinite(number)
            and (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.above is None or number > self.above)
        )


@dataclasses.dataclass(frozen=True)
class Whole(Number):
    """A whole number; arguments are those of `Number`.

    Example
    -------
    >>> Whole(low=1).problem(0)
    'is 0: it must be a whole number of at least 1.'
    """

    noun = "a whole number"

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, Integral) and super()._accepts(value)


@dataclasses.dataclass(frozen=True)
class Flag(Kind):
    """True or False; `yes` and `on` are texts in YAML 1.2.

    Example
    -------
    >>> Flag().problem("yes")
    "is 'yes': it must be True or False."
    """

    wanted = "True or False"

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, bool)


@dataclasses.dataclass(frozen=True)
class Text(Kind):
    """A text that is not empty.

    Example
    -------
    >>> Text().fits("a"), Text().fits(7), Text().fits(None)
    (True, False, False)
    """

    wanted = "a text, in quotes where it could be read as something else"

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, str) and bool(value.strip())


@dataclasses.dataclass(frozen=True)
class OneOf(Kind):
    """One of the names that are known.

    Arguments
    ---------
    names : tuple of str
        All of them.

    Example
    -------
    >>> OneOf(("mean", "attentive")).problem("atentive")
    "is 'atentive': it must be one of mean, attentive. Did you mean attentive?"
    """

    names: tuple[str, ...]

    @property
    def wanted(self) -> str:
        """The names in words."""
        return f"one of {', '.join(self.names)}"

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.names

    def _hint(self, value: Any) -> str:
        return suggestion(str(value), self.names)


@dataclasses.dataclass(frozen=True)
class Maybe(Kind):
    """Something, or null for nothing.

    Arguments
    ---------
    kind : Kind
        What it is where it is not null.

    Example
    -------
    >>> Maybe(Whole()).problem("a")
    "is 'a': it must be a whole number, or null."
    """

    kind: Kind

    @property
    def wanted(self) -> str:
        """The same in words."""
        return f"{self.kind.wanted}, or null"

    def _accepts(self, value: Any) -> bool:
        return value is None or self.kind.fits(value)


@dataclasses.dataclass(frozen=True)
class AnyOf(Kind):
    """One of several kinds.

    Arguments
    ---------
    kinds : tuple of Kind
        All of them.

    Example
    -------
    >>> AnyOf((Whole(low=0), Text())).wanted
    'a whole number of at least 0 or a text, in quotes where it could ...'
    """

    kinds: tuple[Kind, ...]

    @property
    def wanted(self) -> str:
        """The same in words."""
        return " or ".join(kind.wanted for kind in self.kinds)

    def _accepts(self, value: Any) -> bool:
        return any(kind.fits(value) for kind in self.kinds)


@dataclasses.dataclass(frozen=True)
class Listed(Kind):
    """A list of distinct values.

    Arguments
    ---------
    kind : Kind
        What each of them is.
    at_least : int
        How many there must be.

    Example
    -------
    >>> Listed(Number(-100, 100)).problem([5, 5.0])
    'is [5, 5.0]: 5.0 is there twice.'
    >>> Listed(Number(-100, 100)).problem([5, "loud"])
    "has 'loud': it must be a number from -100 to 100."
    """

    kind: Kind
    at_least: int = 0

    @property
    def wanted(self) -> str:
        """The same in words."""
        least = f" with at least {self.at_least}" if self.at_least else ""
        return f"a list{least}, each {self.kind.wanted}"

    def _accepts(self, value: Any) -> bool:
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        return is_list and len(value) >= self.at_least

    def _problem_inside(self, value: Any) -> str | None:
        for place, item in enumerate(value):
            found = self.kind.problem(item)
            if found:
                return "has" + found.removeprefix("is")
            if item in value[:place]:
                return f"is {value!r}: {item!r} is there twice."
        return None


@dataclasses.dataclass(frozen=True)
class Anything(Kind):
    """Whatever there is, such as an object that the YAML builds.

    Example
    -------
    >>> Anything().fits(None)
    True
    """

    wanted = "anything"

    def _accepts(self, value: Any) -> bool:
        return True


@dataclasses.dataclass(frozen=True)
class Table(Kind):
    """Values by name.

    Arguments
    ---------
    kind : Kind, optional
        What each of them is; anything by default.
    names : tuple of str
        Names that are known, for suggestions; any others by default too.

    Example
    -------
    >>> Table(Number(low=0)).problem({"enhance": -1})
    'has the enhance -1: it must be a number of at least 0.'
    """

    kind: Kind = Anything()
    names: tuple[str, ...] = ()
    wanted = "a mapping, such as {name: value}"

    def _accepts(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def _problem_inside(self, value: Any) -> str | None:
        for name, item in value.items():
            found = self.kind.problem(item)
            if found:
                return f"has the {name}" + found.removeprefix("is")
        return None
