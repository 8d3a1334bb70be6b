"""What a training was begun with, which a restart may not change.

Authors
 * The speechbrain-merit developers 2026
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.reading_errors import naming_file

from .composing import Composition
from .reading import tag_of

logger = get_logger(__name__)

RECORD_FILE = "begun_with.json"
# Keys, at any depth, that change no weight of a training, or (the last group)
# only how long it goes on, where a restart takes them up.
CHANGE_NOTHING = frozenset(
    """
    data_folder noise_folder output_folder save_folder manifest_folder
    audio_cache_folder encoder_save_path system skip_prep
    gradient_cosine_interval use_tensorboard tensorboard_logs_folder train_log train_logger

    device num_workers persistent_workers pin_memory prefetch_factor
    cache_size hidden_state_cache
    checkpoint_activations process_timeout_minutes
    distributed_backend jit compile compile_mode
    ckpt_interval_minutes ckpt_interval_steps

    test_snrs_db enhancement_metrics num_metric_jobs test_dataloader_opts
    test_only eval_precision noprogressbar tqdm_colored_bar tqdm_barcolor
    log_config param_file profile_training profile_warmup profile_steps
    debug debug_batches debug_epochs debug_persistently

    early_stopping_epochs early_stopping_warmup nonfinite_patience
    """.split()
)
# Of the first keys of these, what results depend on all the same.
_CHANGE_RESULTS = {
    *"test_snrs_db enhancement_metrics eval_precision number_of_epochs".split(),
    *"early_stopping_epochs early_stopping_warmup".split(),
}
# What a test of a finished training may be given beyond that.
_CHANGE_NO_TEST = {"batch_size", "pretrained_folder", "number_of_epochs"}
_NOT_SET = "not set"


def training_settings(
    composed: Composition, run_options: RunOptions
) -> dict[str, Any]:
    """Gives all that is set for a training, but for its data.

    Arguments
    ---------
    composed : Composition
        The hyperparameters.
    run_options : RunOptions
        What `speechbrain.parse_arguments` took from the command line.

    Returns
    -------
    dict
        Value by key, with dots where it lies in mappings or lists. What
        refers to another key stays a reference.

    Example
    -------
    >>> from speechbrain_merit.config import compose
    >>> path = Path(getfixture("tmpdir")) / "variant.yaml"
    >>> _ = path.write_text("lr: 0.1\\nopt: !new:X {lr: !ref <lr>}\\n")
    >>> training_settings(compose(path), RunOptions())
    {'lr': 0.1, 'opt': '!new:X', 'opt.lr': '!ref <lr>'}
    """
    found = dict(_leaves("", composed.tree))
    for key in run_options.overridden_args:
        found[key] = run_options[key]
    return found


def _leaves(path: str, node: Any) -> Iterator[tuple[str, Any]]:
    """All values at any depth, and the tags of what holds some."""
    tag = tag_of(node)
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, Mapping):
        inside = node.items()
    elif isinstance(node, list):
        inside = enumerate(node)
    else:
        yield path, f"{tag} {node.value}" if tag else node
        return
    if tag:
        yield path, tag
    for key, value in inside:
        yield from _leaves(f"{path}.{key}" if path else str(key), value)


def _is_more(old: Any, new: Any) -> bool:
    # A reference to another key is a text.
    return isinstance(old, int) and isinstance(new, int) and old < new


def file_sums(paths: Iterable[Path]) -> dict[str, str]:
    """Gives the SHA-256 of files' bytes.

    Arguments
    ---------
    paths : iterable of Path
        The files.

    Returns
    -------
    dict
        In hexadecimal, by name.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "train.json"
    >>> _ = path.write_text("{}")
    >>> file_sums([path])["train.json"][:8]
    '44136fa3'
    """
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


class TrainingRecord:
    """Remembers beside the checkpoints what they come from.

    Arguments
    ---------
    save_folder : str or Path
        Of the checkpoints. Where there is none, all may change.
    test_only : bool
        Whether the training is tested alone, and the record left as it is.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> record = TrainingRecord(folder)
    >>> record.check("settings", {"lr": 0.1})
    >>> record.write()
    >>> (folder / "CKPT+1").mkdir()
    >>> TrainingRecord(folder).check("settings", {"lr": 0.2})
    Traceback (most recent call last):
    ...
    ValueError: ... was begun with other settings:
    - lr was 0.1, is 0.2
    ...
    """

    def __init__(
        self, save_folder: str | Path, test_only: bool = False
    ) -> None:
        self.test_only = test_only
        self.free = CHANGE_NOTHING | (_CHANGE_NO_TEST if test_only else set())
        self.path = Path(save_folder) / RECORD_FILE
        self.now: dict[str, dict[str, Any]] = {}
        self.before: dict[str, dict[str, Any]] = {}
        if not any(self.path.parent.glob("CKPT*")):
            return
        if not self.path.is_file():
            logger.warning(
                "%s has no %s: it continues without a check that it was begun "
                "with these settings and data.",
                self.path.parent,
                RECORD_FILE,
            )
            return
        advice = "Delete it to continue without a check of the settings."
        with naming_file(self.path, advice):
            self.before = dict(json.loads(self.path.read_text("utf-8")))

    def check(self, part: str, facts: Mapping[str, Any]) -> None:
        """Compares with what the training was begun with.

        Arguments
        ---------
        part : str
            What is compared, such as `settings`.
        facts : Mapping
            Value by key.

        Raises
        ------
        ValueError
            If any differs; the message lists all.
        """
        self.now[part] = now = json.loads(json.dumps(dict(facts), default=str))
        before = self.before.get(part, now)
        lines = [
            f"- {key} was {old!r}, is {new!r}"
            for key in sorted({*before, *now})
            if (old := before.get(key, _NOT_SET))
            != (new := now.get(key, _NOT_SET))
            and self.free.isdisjoint(key.split("."))
            and not (key == "number_of_epochs" and _is_more(old, new))
        ]
        if lines:
            listing = "\n".join(lines)
            raise ValueError(
                f"The training in {self.path.parent} was begun with other "
                f"{part}:\n{listing}\nGive what it was begun with, or another "
                "output_folder. To continue it all the same, delete "
                f"{self.path}."
            )

    @property
    def changes_results(self) -> bool:
        """Whether settings that were compared give other results."""
        before, now = (x.get("settings", {}) for x in (self.before, self.now))
        return any(
            before.get(key) != now.get(key)
            for key in {*before, *now}
            if key.split(".")[0] in _CHANGE_RESULTS
        )

    def write(self) -> None:
        """Keeps what was compared, for the next start."""
        if self.test_only:
            return
        with atomic_write(self.path) as partial:
            partial.write_text(json.dumps(self.now, indent=1), "utf-8")
