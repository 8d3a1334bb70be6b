"""What a sweep runs: variants, folds and seeds, and what needs what.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain_merit.config import compose, read_mapping

# A variant with this key classifies what a trained model of that one enhances.
ENHANCER_KEY = "enhancer_folder"
ENHANCER_VARIANT = "se_only"
SPEC_KEYS = ("variants", "folds", "seeds", "corpus", "options")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A file of `hparams` with what it is run with.

    Arguments
    ---------
    name : str
        For folders and tables; what results call their system.
    file : str
        Name of the file, without its extension.
    options : tuple of str
        Arguments of train.py for this variant alone.
    """

    name: str
    file: str
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
        """Whether it has come to its end, where train.py removes a file."""
        try:
            # Where they are damaged, it is run again.
            text = (self.folder / "results.json").read_text("utf-8")
            json.loads(text)["conditions"]
        except Exception:
            return False
        return not any(self.folder.glob("test_progress_*"))

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
    spec = read_mapping(path, typ="safe")
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


def parse_variants(
    variants: Iterable[str | Mapping[str, Any]],
) -> list[Variant]:
    """Reads the variants of a description.

    Arguments
    ---------
    variants : iterable of str or Mapping
        As in `read_spec`.

    Returns
    -------
    list of Variant
        In the same order.

    Raises
    ------
    ValueError
        If a variant is no name and no single name with what differs.

    Example
    -------
    >>> parse_variants([{"top2": {"variant": "sparse_merit", "top_k": 2}}])
    [Variant(name='top2', file='sparse_merit', options=('--top_k=2',))]
    """
    found = []
    for entry in variants:
        if isinstance(entry, str):
            found.append(Variant(entry, entry))
            continue
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise ValueError(
                f"The variant {entry!r} must be a name, or a name with what "
                "differs, such as 'top2: {variant: sparse_merit, top_k: 2}'."
            )
        ((name, options),) = entry.items()
        options = dict(options)
        file = options.pop("variant", name)
        found.append(Variant(name, file, as_arguments(options)))
    return found


def plan_runs(
    variants: Sequence[Variant],
    folds: Sequence[Any],
    seeds: Sequence[Any],
    corpus: str,
    out: Path,
    variant_folder: Path,
    options: Sequence[str] = (),
) -> list[PlannedRun]:
    """Lists the runs of a sweep, those that others need before them.

    A variant that needs a trained enhancer gets the one of the same fold and
    seed, which is added where it is missing.

    Arguments
    ---------
    variants : sequence of Variant
        What to train.
    folds : sequence
        Each with every variant.
    seeds : sequence
        Each with every variant and fold.
    corpus : str
        Name of the corpus.
    out : Path
        Folder for all of it; a run goes to `<variant>/fold<fold>_seed<seed>`.
    variant_folder : Path
        Where the YAML files are.
    options : sequence of str
        Arguments of train.py for every run. Of two for one key the last one
        counts, and one of a variant's own before these.

    Returns
    -------
    list of PlannedRun
        Fold by fold, so that the first folds of all variants are there first.

    Raises
    ------
    ValueError
        If there is no such file, two variants have the same name, or an option
        is one that the sweep itself sets.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> _ = (folder / "se_only.yaml").write_text("seed: 1")
    >>> variants = parse_variants(["se_only"])
    >>> runs = plan_runs(variants, [0], [7], "mini", Path("out"), folder)
    >>> [run.name for run in runs]
    ['se_only/fold0_seed7']
    """
    _check_variants(variants, variant_folder)
    cascades = {
        variant.name
        for variant in variants
        if _needs_enhancer(variant, variant_folder, options)
    }
    if cascades and ENHANCER_VARIANT not in (v.name for v in variants):
        enhancer = Variant(ENHANCER_VARIANT, ENHANCER_VARIANT)
        _check_variants([enhancer], variant_folder)
        variants = [enhancer, *variants]
    ordered = sorted(variants, key=lambda variant: variant.name in cascades)
    runs = []
    for fold, seed, variant in itertools.product(folds, seeds, ordered):
        name = f"fold{fold}_seed{seed}"
        folder, needs = out / variant.name / name, None
        own = {"corpus": corpus, "fold": fold, "seed": seed}
        own["output_folder"] = str(folder)
        if variant.name != variant.file:
            own["system"] = variant.name
        if variant.name in cascades:
            needs = out / ENHANCER_VARIANT / name
            own[ENHANCER_KEY] = str(needs / "pretrained")
        file = str(variant_folder / f"{variant.file}.yaml")
        arguments = (file, *_arguments(variant, own, options))
        runs.append(PlannedRun(folder, arguments, needs))
    return runs


def _arguments(
    variant: Variant, own: Mapping[str, Any], options: Sequence[str]
) -> tuple[str, ...]:
    """Puts what the sweep sets before what was given."""
    given = _by_key([*options, *variant.options])
    taken = sorted(given.keys() & {f"--{key}" for key in own})
    if taken:
        raise ValueError(
            f"The options of {variant.name} hold {taken}, which the sweep sets "
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


def _check_variants(variants: Sequence[Variant], variant_folder: Path) -> None:
    known = sorted(path.stem for path in variant_folder.glob("*.yaml"))
    for variant in variants:
        if variant.file not in known:
            raise ValueError(
                f"{variant_folder} has no variant {variant.file!r}: the "
                f"known ones are {', '.join(known) or 'none'}."
            )
    names = [variant.name for variant in variants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"The variants {twice} are there more than once.")


def _needs_enhancer(
    variant: Variant, variant_folder: Path, options: Sequence[str]
) -> bool:
    """Whether a variant wants an enhancer and nobody has named one."""
    if f"--{ENHANCER_KEY}" in _by_key([*options, *variant.options]):
        return False
    composed = compose(variant_folder / f"{variant.file}.yaml")
    return ENHANCER_KEY in composed.tree
