"""Tests that the check of hyperparameters knows all that there is."""

from dataclasses import fields

import pytest
from repository import VARIANTS, flattened, relative
from test_yaml import tag, top_level

from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.config.hyperparameters import Hyperparameters

# SpeechBrain's options, which a YAML need not set.
OPTIONS = {field.name for field in fields(RunOptions)}
RULES = set(Hyperparameters.model_fields)


def keys_of_variants() -> set[str]:
    """Top-level keys of all variants."""
    return {
        key
        for path in VARIANTS
        for key in top_level(flattened(path))
        if not key.startswith("__")
    }


@pytest.mark.parametrize("path", VARIANTS, ids=relative)
def test_every_value_has_bounds(path):
    built = ("!new:", "!name:", "!apply:")
    values = {
        key
        for key, node in top_level(flattened(path)).items()
        if not tag(node).startswith(built)
    }
    # What they hold is built, or named by each corpus.
    missing = values - RULES - {"modules", "prepare_corpus"}
    assert not missing, (
        f"{relative(path)} has {', '.join(sorted(missing))}, for which "
        "speechbrain_merit/config/hyperparameters.py has no line."
    )


def test_every_rule_is_for_a_key():
    unused = RULES - keys_of_variants() - OPTIONS
    assert not unused, f"No variant has {', '.join(sorted(unused))}."
