"""EmoDB as distributed."""

import collections

import pytest
from made_corpora import (
    NOISE,
    make_noise,
    preparation,
    run,
    speakers,
    write_sound,
)

FOUR = ["angry", "sad", "happy", "neutral"]
LETTERS = {
    "W": "angry",
    "L": "bored",
    "E": "disgusted",
    "A": "fearful",
    "F": "happy",
    "T": "sad",
    "N": "neutral",
}
ACTORS = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
# The published list of speakers.
WOMEN = {"08", "09", "13", "14", "16"}


@pytest.fixture(scope="module")
def prepare():
    with preparation("EmoDB") as function:
        yield function


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("emodb") / "corpus"
    for actor in ACTORS:
        for letter in LETTERS:
            write_sound(root / "wav" / f"{actor}a01{letter}a.wav")
    write_sound(root / "wav" / "notes.wav")
    make_noise(root.parent / "noise")
    return root


def test_folds_by_actor(prepare, corpus):
    tested = []
    for fold in range(5):
        found = run(prepare, corpus, fold, emotions=FOUR, noise=NOISE)
        parts = [speakers(found[name]) for name in ("train", "valid", "test")]
        assert [len(part) for part in parts] == [6, 2, 2]
        assert set.union(*parts) == set(ACTORS)
        assert all(2 * len(part & WOMEN) == len(part) for part in parts)
        tested += parts[2]
    assert sorted(tested) == sorted(ACTORS)


def test_all_emotions(prepare, corpus):
    emotions = list(LETTERS.values())
    found = run(prepare, corpus, emotions=emotions, noise=NOISE)["test"]
    assert collections.Counter(
        fields["emotion"] for fields in found.values()
    ) == dict.fromkeys(emotions, 2)
    for name, fields in found.items():
        assert fields["emotion"] == LETTERS[name[5]]
        women = fields["speaker"] in WOMEN
        assert fields["gender"] == ("female" if women else "male")


def test_unusable(prepare, corpus, caplog):
    with pytest.raises(ValueError, match="fold must be 0 to 4, not 5"):
        run(prepare, corpus, 5, emotions=FOUR, noise=NOISE)
    run(prepare, corpus, emotions=FOUR, noise=NOISE)
    assert "notes.wav is not named as EmoDB's files" in caplog.text
    with pytest.raises(FileNotFoundError, match="Did you mean .*/corpus"):
        run(prepare, corpus.parent, emotions=FOUR, noise=NOISE)
