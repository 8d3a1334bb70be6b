"""Labels of a corpus as those of a model."""

import pytest

from speechbrain_merit.data.labels import map_label

GIVEN = {
    "emotions": ["angry", "sad"],
    "corpus": "Mine",
    "mapping": {"anger": "angry", "calm": None, "happy": "joy"},
}


@pytest.mark.parametrize(
    ("label", "mapped"),
    [("sad", "sad"), ("anger", "angry"), ("calm", None), (None, None)],
)
def test_labels_are_mapped(label, mapped):
    assert map_label(label, **GIVEN) == mapped


@pytest.mark.parametrize(
    ("label", "named"), [("happy", "'joy'"), ("bored", "'bored'")]
)
def test_unknown_labels_are_named(label, named):
    with pytest.raises(ValueError, match=f"{named}.*Mine.*label_mapping"):
        map_label(label, **GIVEN)
