"""The check that train.py makes before it does anything.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ruamel.yaml
from pydantic import ValidationError
from transformers import AutoConfig

from speechbrain.utils.distributed import infer_device
from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.lobes.speech_model_loading import SUPPORTED_MODELS

from .composing import COMMAND_LINE, Composition
from .hyperparameters import KNOWN, LOSSES, TASKS, Hyperparameters
from .names import refusal, suggestion, unknown_arguments, unknown_options
from .reading import references, tag_of
from .relations import broken_relations

# A key of one's own that is so similar to a known one is taken for that.
_MISSPELT = 0.8
# What HyperPyYAML takes for another key in a text that a reference leads to.
_REFERENCE_LIKE = re.compile("<[^>]*>")
# What train.py takes from the YAML as it was built.
_BUILT = """
    checkpointer dynamic_batch_sampler encoder_opt_class epoch_counter
    hidden_state_cache label_encoder lr_schedule modules.model
    modules.task_balancing opt_class prepare_corpus read_speech
    train_logger training_mixer
""".split()
# A sentence, and the keys that it is about.
Problem = tuple[str, ...]


def check_hyperparameters(
    composed: Composition, run_options: RunOptions | None = None
) -> None:
    """Checks names, values and combinations of all hyperparameters.

    Nothing is built and no file of a corpus touched; what the YAML names is
    imported. Keys of one's own are welcome in a YAML of one's own, unless they
    look like a known one that they may be meant for.

    Arguments
    ---------
    composed : Composition
        The hyperparameters.
    run_options : RunOptions, optional
        What `speechbrain.parse_arguments` took from the command line.

    Raises
    ------
    ValueError
        If anything is wrong; the message lists all of it, and where it is set.

    Example
    -------
    >>> from speechbrain_merit.config import compose
    >>> path = getfixture("tmpdir").join("variant.yaml")
    >>> path.write("lr: fast")
    >>> check_hyperparameters(compose(path))
    Traceback (most recent call last):
    ...
    ValueError: ...variant.yaml cannot be run:
    - seed is missing...
    - lr is 'fast': it must be a valid number (in ...variant.yaml)
    ...
    """
    problems = [*_misspelt_keys(composed), *_misspelt_weights(composed)]
    unresolvable = list(_unresolvable(composed.tree))
    problems += unresolvable or _problems_of_values(composed, run_options)
    if problems:
        raise refusal(
            composed.path,
            [text + _where(composed, keys) for text, *keys in problems],
        )


def _where(composed: Composition, keys: Sequence[str]) -> str:
    """Tells where keys are set, to be put behind a sentence."""
    places = {key: composed.origin(key) for key in keys}
    if len(set(places.values())) > 1:
        return f" ({', '.join(f'{k} {place}' for k, place in places.items())})"
    return "".join(f" ({place})" for place in set(places.values()))


def _misspelt_keys(composed: Composition) -> Iterator[Problem]:
    """Keys of one's own that nothing uses and that look like known ones."""
    own, known = set(composed.tree), KNOWN | composed.other_keys
    used = {name for _, name in references("", composed.tree)}
    for key in own - known - used:
        # A complete file has what it has on purpose, an overlay adds to it.
        complete = composed.origin(key) == f"in {composed.files[-1]}"
        meant = known - own if complete else known | own - {key}
        hint = suggestion(str(key), meant, _MISSPELT)
        if hint and not str(key).startswith("__"):
            yield f"Nothing uses {key}.{hint}", key


def _misspelt_weights(composed: Composition) -> Iterator[Problem]:
    """Names of weights that no loss or task has."""
    files = [f"in {file}" for file in composed.files]
    for key, names in (("loss_weights", LOSSES), ("score_weights", TASKS)):
        own, known = composed.tree.get(key), set(names)
        for name in set(own) - known if isinstance(own, Mapping) else ():
            path = f"{key}.{name}"
            # An integrator of one's own may have losses of its own.
            if composed.origin(path) not in files:
                hint = suggestion(str(name), known)
                yield f"{key} has no {name}.{hint}", path
                continue
            # As for keys: an overlay adds to what is there.
            complete = composed.origin(path) == files[-1]
            meant = known - set(own) if complete else known
            if hint := suggestion(str(name), meant, _MISSPELT):
                yield f"Nothing uses {path}.{hint}", path


def _unresolvable(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """What is not set, and references to what is not there."""
    for key, value in tree.items():
        if tag_of(value) == "!PLACEHOLDER":
            yield (f"{key} is not set: give it by --{key}=...",)
        if isinstance(value, str) and _REFERENCE_LIKE.search(value):
            yield (
                f"{key} is {value!r}: only behind !ref does <...> stand for "
                "another key; leave it out elsewhere.",
                key,
            )
    for key, name in references("", tree):
        if name not in tree:
            hint = suggestion(name, tree)
            yield f"{key} refers to <{name}>, which is no key.{hint}", key


def _problems_of_values(
    composed: Composition, run_options: RunOptions | None
) -> Iterator[Problem]:
    """Values that cannot be, alone or together, and options nothing takes."""
    try:
        resolved = ruamel.yaml.YAML().load(composed.resolve())
    except RecursionError:
        yield ("A reference leads back to itself: look for !ref.",)
        return
    except Exception as error:
        yield (f"{composed.path}: {type(error).__name__}: {error}",)
        return
    for key, value in composed.tree.items():
        if isinstance(value, str) and value != resolved[key]:
            yield f"{key} is {value!r}, read as {resolved[key]!r}.", key
    values = _plain(resolved)
    if run_options is not None:
        for key in run_options.overridden_args:
            values[key] = run_options[key]
            composed.origins[key] = COMMAND_LINE
        if "device" not in values:
            values["device"] = infer_device()
            composed.origins["device"] = "as found here"
    yield from _wrong_values(composed.tree, values)
    inside = (f"modules.{key}" for key in resolved.get("modules") or ())
    for key in sorted({*_BUILT} - {*resolved, *inside}):
        yield (f"{key} is missing: train.py needs it.",)
    yield from broken_relations(values)
    yield from _unknown_options(composed.tree, values)


def _plain(node: Any) -> Any:
    """Leaves out what is built, but for the arguments that it takes."""
    if isinstance(node, Mapping):
        return {
            key: _plain(value)
            for key, value in node.items()
            if isinstance(value, Mapping) or not tag_of(value).startswith("!")
        }
    return list(node) if isinstance(node, list) else node


def _wrong_values(
    tree: Mapping[str, Any], values: dict[str, Any]
) -> Iterator[Problem]:
    """Values that cannot be, which are taken out."""
    # What another key gives is named once, where it is set.
    referring = {key for key, _ in references("", tree)}
    try:
        Hyperparameters.model_validate(values)
    except ValidationError as invalid:
        for error in invalid.errors():
            key = ".".join(map(str, error["loc"]))
            values.pop(str(error["loc"][0]), None)
            text = re.sub(
                r"^(Value error,|\w+ should)", "it must", error["msg"]
            )
            if error["type"] != "missing" and key not in referring:
                yield f"{key} is {error['input']!r}: {text}", key
            elif key not in tree:
                yield (f"{key} is missing.",)


def _unknown_options(
    tree: Mapping[str, Any], values: Mapping[str, Any]
) -> Iterator[Problem]:
    """Options that nothing takes."""
    yield from unknown_arguments("", tree)
    loaders = (f"{s}_dataloader_opts" for s in ("train", "valid", "test"))
    takers = dict.fromkeys(loaders, "torch.utils.data.DataLoader")
    prepare = tag_of(tree.get("prepare_corpus")).partition(":")[2]
    if prepare:
        takers["prepare_options"] = prepare
    for key, name in takers.items():
        yield from unknown_options(key, name, values.get(key, {}))
    match values:
        # A library would take them without using them.
        case {
            "encoder_source": None,
            "encoder_config": {"model_type": str(kind), **config},
        } if kind in SUPPORTED_MODELS:
            known = AutoConfig.for_model(kind).to_dict()
            for option in set(config) - set(known):
                hint = suggestion(str(option), known)
                text = f"encoder_config: a {kind} has no {option}.{hint}"
                yield text, f"encoder_config.{option}"
