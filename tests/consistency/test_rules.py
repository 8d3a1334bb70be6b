"""Tests that the check of hyperparameters knows all that there is."""

import pytest
from repository import VARIANTS, relative
from test_yaml import read_by_train, top_level

from speechbrain_merit.config.rules import REQUIRED, RULES

# Of SpeechBrain's options, which a YAML need not set.
OPTIONS = {"ckpt_interval_steps", "nonfinite_patience"}


def keys_of_variants() -> set[str]:
    """Top-level keys of all variants."""
    return {
        key
        for path in VARIANTS
        for key in top_level(path.read_text(encoding="utf-8"))
        if not key.startswith("__")
    }


@pytest.mark.parametrize("path", VARIANTS, ids=relative)
def test_every_key_has_a_rule(path):
    keys = set(top_level(path.read_text(encoding="utf-8")))
    missing = {k for k in keys if not k.startswith("__")} - set(RULES)
    assert not missing, (
        f"{relative(path)} has {', '.join(sorted(missing))}, for which "
        "speechbrain_merit/config/rules.py has no rule."
    )


def test_every_rule_is_for_a_key():
    known = keys_of_variants() | OPTIONS
    unused = {key for key in RULES if key.split(".")[0] not in known}
    assert not unused, f"No variant has {', '.join(sorted(unused))}."


def test_what_train_reads_is_required():
    assert set(REQUIRED) == read_by_train()
