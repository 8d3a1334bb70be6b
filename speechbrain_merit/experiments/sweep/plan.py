"""What a sweep runs: systems, folds and seeds, and what needs what.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ruamel.yaml

from speechbrain_merit.config import compose, read_yaml

# A variant with this key classifies what a trained model of that one enhances.
ENHANCER_KEY = "enhancer_folder"
ENHANCER_VARIANT = "se_only"
SPEC_KEYS = ("variants", "folds", "seeds", "corpus", "options")


@dataclasses.dataclass(frozen=True)
class System:
    """A variant with what it is run with.

    Arguments
    ---------
    name : str
        For folders and tables.
    variant : str
        Name of its file in `hparams`.
    options : tuple of str
        Arguments of train.py for this system alone.
    """

    name: str
    variant: str
    options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A training with its test.

    Arguments
    ---------
    folder : Path
        Its output folder.
    arguments : tuple of str
        The command line of train.py, after the script.
    needs : Path, optional
        Output folder of the run whose model this one needs.
    """

    folder: Path
    arguments: tuple[str, ...]
    needs: Path | None = None

    @property
    def name(self) -> str:
        """Such as `sparse_merit/fold0_seed1986`."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def is_finished(self) -> bool:
        """Whether it has results."""
        return (self.folder / "results.json").is_file()

    @property
    def has_model(self) -> bool:
        """Whether its model can be used."""
        return (self.folder / "pretrained" / "hyperparams.yaml").is_file()


def read_spec(path: str | Path) -> dict[str, Any]:
    """Reads the description of a sweep.

    Arguments
    ---------
    path : str or Path
        A YAML file with some of the keys `variants`, `folds`, `seeds`,
        `corpus` and `options`, the last for all runs. A variant is a name, or
        a new name with what differs: `top2: {variant: sparse_merit, top_k:
        2}`.

    Returns
    -------
    dict
        As in the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no YAML, or has another key.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "sweep.yml"
    >>> _ = path.write_text("variants: [se_only]\\nfolds: [0, 2]")
    >>> read_spec(path)
    {'variants': ['se_only'], 'folds': [0, 2]}
    """
    spec = read_yaml(path, ruamel.yaml.YAML(typ="safe", pure=True).load) or {}
    if not isinstance(spec, Mapping):
        raise ValueError(f"{path} must hold {list(SPEC_KEYS)}, as key: value.")
    unknown = [key for key in spec if key not in SPEC_KEYS]
    if unknown:
        raise ValueError(
            f"{path} has the keys {unknown}; only {list(SPEC_KEYS)} are known."
        )
    return dict(spec)


def as_arguments(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Writes options as train.py takes them.

    Arguments
    ---------
    options : Mapping
        Values by key of the YAML.

    Returns
    -------
    tuple of str
        One argument each.

    Example
    -------
    >>> as_arguments({"top_k": 2, "corpus": "mini", "emotions": ["sad"]})
    ('--top_k=2', '--corpus=mini', '--emotions=["sad"]')
    """
    return tuple(
        f"--{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in options.items()
    )


def parse_systems(variants: Iterable[str | Mapping[str, Any]]) -> list[System]:
    """Reads the variants of a description.

    Arguments
    ---------
    variants : iterable of str or Mapping
        As in `read_spec`.

    Returns
    -------
    list of System
        In the same order.

    Raises
    ------
    ValueError
        If a variant is no name and no single name with what differs.

    Example
    -------
    >>> parse_systems([{"top2": {"variant": "sparse_merit", "top_k": 2}}])
    [System(name='top2', variant='sparse_merit', options=('--top_k=2',))]
    """
    systems = []
    for entry in variants:
        if isinstance(entry, str):
            systems.append(System(entry, entry))
            continue
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise ValueError(
                f"The variant {entry!r} must be a name, or a name with what "
                "differs, such as 'top2: {variant: sparse_merit, top_k: 2}'."
            )
        ((name, options),) = entry.items()
        options = dict(options)
        variant = options.pop("variant", name)
        systems.append(System(name, variant, as_arguments(options)))
    return systems


def plan_runs(
    systems: Sequence[System],
    folds: Sequence[Any],
    seeds: Sequence[Any],
    corpus: str,
    out: Path,
    variant_folder: Path,
    options: Sequence[str] = (),
) -> list[PlannedRun]:
    """Lists the runs of a sweep, those that others need before them.

    A system that needs a trained enhancer gets the one of the same fold and
    seed, which is added where it is missing.

    Arguments
    ---------
    systems : sequence of System
        What to train.
    folds : sequence
        Each with every system.
    seeds : sequence
        Each with every system and fold.
    corpus : str
        Name of the corpus.
    out : Path
        Folder for all of it; a run goes to `<system>/fold<fold>_seed<seed>`.
    variant_folder : Path
        Where the YAML files of the variants are.
    options : sequence of str
        Arguments of train.py for every run. Of two for one key the last one
        counts, and one of a system's own before these.

    Returns
    -------
    list of PlannedRun
        Fold by fold, so that the first folds of all systems are there first.

    Raises
    ------
    ValueError
        If a variant is unknown, two systems have the same name, or an option
        is one that the sweep itself sets.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> _ = (folder / "se_only.yaml").write_text("seed: 1")
    >>> systems = [System("se_only", "se_only")]
    >>> runs = plan_runs(systems, [0], [7], "mini", Path("out"), folder)
    >>> [run.name for run in runs]
    ['se_only/fold0_seed7']
    """
    _check_systems(systems, variant_folder)
    cascades = {
        system.name
        for system in systems
        if _needs_enhancer(system, variant_folder, options)
    }
    if cascades and ENHANCER_VARIANT not in (s.name for s in systems):
        enhancer = System(ENHANCER_VARIANT, ENHANCER_VARIANT)
        _check_systems([enhancer], variant_folder)
        systems = [enhancer, *systems]
    ordered = sorted(systems, key=lambda system: system.name in cascades)
    runs = []
    for fold, seed, system in itertools.product(folds, seeds, ordered):
        name = f"fold{fold}_seed{seed}"
        folder, needs = out / system.name / name, None
        own = {"corpus": corpus, "fold": fold, "seed": seed}
        own["output_folder"] = str(folder)
        if system.name != system.variant:
            own["system"] = system.name
        if system.name in cascades:
            needs = out / ENHANCER_VARIANT / name
            own[ENHANCER_KEY] = str(needs / "pretrained")
        variant = str(variant_folder / f"{system.variant}.yaml")
        arguments = (variant, *_arguments(system, own, options))
        runs.append(PlannedRun(folder, arguments, needs))
    return runs


def _arguments(
    system: System, own: Mapping[str, Any], options: Sequence[str]
) -> tuple[str, ...]:
    """Puts what the sweep sets before what was given."""
    given = _by_key([*options, *system.options])
    taken = sorted(given.keys() & {f"--{key}" for key in own})
    if taken:
        raise ValueError(
            f"The options of {system.name} hold {taken}, which the sweep sets "
            "for every run: give folds, seeds, corpus or --out instead."
        )
    return *as_arguments(own), *itertools.chain(*given.values())


def _by_key(arguments: Sequence[str]) -> dict[str, list[str]]:
    """Keeps the last option of each key: train.py refuses a key twice."""
    found: dict[str, list[str]] = {}
    key = ""
    for argument in arguments:
        if argument.startswith("--"):
            key = argument.split("=")[0]
            found[key] = []
        # What does not start so is the value of the option before it.
        found.setdefault(key, []).append(argument)
    return found


def _check_systems(systems: Sequence[System], variant_folder: Path) -> None:
    known = sorted(path.stem for path in variant_folder.glob("*.yaml"))
    for system in systems:
        if system.variant not in known:
            raise ValueError(
                f"{variant_folder} has no variant {system.variant!r}: the "
                f"known ones are {', '.join(known) or 'none'}."
            )
    names = [system.name for system in systems]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"The systems {twice} are there more than once.")


def _needs_enhancer(
    system: System, variant_folder: Path, options: Sequence[str]
) -> bool:
    """Whether a variant wants an enhancer and nobody has named one."""
    if f"--{ENHANCER_KEY}" in _by_key([*options, *system.options]):
        return False
    composed = compose(variant_folder / f"{system.variant}.yaml")
    return ENHANCER_KEY in composed.tree
