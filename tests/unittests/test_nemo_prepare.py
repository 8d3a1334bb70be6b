"""nEMO and Noises as distributed."""

import collections

import pytest
from made_corpora import preparation, run, speakers, write_sound

FOUR = ["angry", "sad", "happy", "neutral"]
LABELS = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprised",
}
# As the corpus's table has them.
GENDERS = {
    "EB0": "female",
    "IC0": "female",
    "KD0": "female",
    "KS0": "male",
    "MK0": "female",
    "MP0": "male",
    "SM0": "male",
    "TP0": "male",
    "WR0": "male",
}
NOISE = {"kind": "noises"}


@pytest.fixture(scope="module")
def prepare():
    with preparation("nEMO") as function:
        yield function


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("nemo") / "corpus"
    for speaker in GENDERS:
        for label in LABELS:
            write_sound(root / "samples" / f"{speaker}_{label}_7.wav")
    write_sound(root / "samples" / "XY0_anger_1.wav")
    for number in range(1, 101):
        path = root.parent / "noise" / "Nonspeech" / f"n{number}.wav"
        write_sound(path, 0.1, 8000)
    write_sound(root.parent / "noise" / "NoiseX-92" / "m109.wav")
    return root


def test_folds_by_speaker(prepare, corpus, caplog):
    tested = []
    for fold in range(4):
        found = run(prepare, corpus, fold, emotions=FOUR, noise=NOISE)
        parts = [speakers(found[name]) for name in ("train", "valid", "test")]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 9
        assert {GENDERS[name] for name in parts[2]} == {"female", "male"}
        tested += parts[2]
        if fold == 0:
            assert parts[2] == {"KD0", "WR0"}
    assert sorted(tested) == sorted(GENDERS)
    assert "XY0_anger_1.wav is not named as nEMO's" in caplog.text
    with pytest.raises(ValueError, match="fold must be 0 to 3, not 4"):
        run(prepare, corpus, 4, emotions=FOUR, noise=NOISE)


def test_labels_and_noises(prepare, corpus):
    emotions = list(LABELS.values())
    found = run(prepare, corpus, emotions=emotions, noise=NOISE)
    assert collections.Counter(
        fields["emotion"] for fields in found["test"].values()
    ) == dict.fromkeys(emotions, 2)
    for name, fields in found["train"].items():
        speaker, label, _ = name.split("_")
        assert fields["speaker"] == speaker
        assert fields["emotion"] == LABELS[label]
        assert fields["gender"] == GENDERS[speaker]
    held_out = {f"{{noise_root}}/Nonspeech/n{5 * k}.wav" for k in range(1, 21)}
    assert {f["wav"] for f in found["noise_seen"].values()} == held_out
    sizes = [len(found[f"noise_{name}"]) for name in ("train", "valid")]
    assert sizes == [61, 20]
