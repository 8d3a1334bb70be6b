"""Whether runs can be compared: were they tested on the same mixtures?

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

from .runs import Run, by_system

# Of what differs, so many examples are named.
NUM_EXAMPLES = 3


def check_comparable(runs: Sequence[Run]) -> None:
    """Makes sure that all systems were tested on the same.

    Arguments
    ---------
    runs : sequence of Run
        All that is to be compared.

    Raises
    ------
    ValueError
        If there is no run; if the corpora, the emotions or the conditions
        differ; if the runs of a fold were tested on different mixtures; or if
        a system lacks a fold that another has. The message names what
        differs.

    Example
    -------
    >>> check_comparable([])
    Traceback (most recent call last):
    ...
    ValueError: There is no run to compare.
    """
    if not runs:
        raise ValueError("There is no run to compare.")
    for name in ("corpus", "emotions", "conditions"):
        _check_equal(runs, name)
    for fold in dict.fromkeys(run.fold for run in runs):
        first, *others = (run for run in runs if run.fold == fold)
        for other in others:
            _check_same_mixtures(first, other)
    _check_folds(runs)


def common_folds(runs: Sequence[Run]) -> list[Run]:
    """Keeps the runs of the folds that all systems were tested on.

    Arguments
    ---------
    runs : sequence of Run
        Runs of some systems.

    Returns
    -------
    list of Run
        Those that remain, in their order.

    Raises
    ------
    ValueError
        If the systems have no fold in common.

    Example
    -------
    >>> common_folds([])
    []
    """
    folds = _folds_by_system(runs)
    shared = set.intersection(*folds.values()) if folds else set()
    if runs and not shared:
        raise ValueError(f"The systems have no fold in common: {folds}.")
    return [run for run in runs if run.fold in shared]


def _folds_by_system(runs: Sequence[Run]) -> dict[str, set[str]]:
    found = by_system(runs).items()
    return {system: {run.fold for run in own} for system, own in found}


def _check_equal(runs: Sequence[Run], name: str) -> None:
    # A system that recognises nothing names no emotions.
    named = [run for run in runs if getattr(run, name)]
    for run in named[1:]:
        values = [getattr(r, name) for r in (named[0], run)]
        if values[0] != values[1]:
            raise ValueError(
                f"{named[0].folder} and {run.folder} differ in their {name}: "
                f"{values[0]} and {values[1]}. They cannot be compared."
            )


def _check_same_mixtures(first: Run, other: Run) -> None:
    found = []
    for one, two in ((first, other), (other, first)):
        alone = sorted(one.mixtures.keys() - two.mixtures.keys())
        if alone:
            names = ", ".join(map("_".join, alone[:NUM_EXAMPLES]))
            found.append(
                f"{len(alone)} mixtures are in {one.folder} alone, such as "
                f"{names}"
            )
    differing = [
        f"{'_'.join(key)} differs in {', '.join(pairs)}"
        for key in sorted(first.mixtures.keys() & other.mixtures.keys())
        if (pairs := _differences(first.mixtures[key], other.mixtures[key]))
    ]
    found += differing[:NUM_EXAMPLES]
    if len(differing) > NUM_EXAMPLES:
        found.append(f"{len(differing)} mixtures differ in all")
    if found:
        raise ValueError(
            f"{first.folder} and {other.folder}, both of fold {first.fold}, "
            f"were not tested on the same mixtures: {'; '.join(found)}. Test "
            "them again with the same evaluation_seed, test_snrs_db, data and "
            "preparation."
        )


def _differences(one: dict[str, str], two: dict[str, str]) -> list[str]:
    """Such as `noise_offset (3 and 4)`."""
    return [
        f"{column} ({one[column]} and {two[column]})"
        for column in one
        if one[column] != two[column]
        # A system that recognises nothing has no true emotion either.
        and (column != "emotion" or (one[column] and two[column]))
    ]


def _check_folds(runs: Sequence[Run]) -> None:
    folds = _folds_by_system(runs)
    every = set.union(*folds.values())
    missing = [
        f"{system} lacks {', '.join(sorted(every - found))}"
        for system, found in folds.items()
        if found != every
    ]
    if missing:
        raise ValueError(
            f"The systems were not tested on the same folds: "
            f"{'; '.join(missing)}. Run what is missing, or keep to the folds "
            "that all have (--common_folds)."
        )
