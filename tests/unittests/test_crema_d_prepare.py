"""CREMA-D as distributed."""

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

CODES = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
FOUR = ["angry", "sad", "happy", "neutral"]


@pytest.fixture(scope="module")
def prepare():
    with preparation("CREMA-D") as function:
        yield function


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Ten actors of the 91, each emotion once, and a level spelled X."""
    root = tmp_path_factory.mktemp("crema") / "corpus"
    votes, sexes = ["FileName,VoiceVote"], ["ActorID,Age,Sex"]
    for actor in range(1001, 1011):
        sexes.append(f"{actor},30,{'Male' if actor % 2 else 'Female'}")
        for code in CODES:
            level = "X" if (actor, code) == (1003, "SAD") else "XX"
            name = f"{actor}_IEO_{code}_{level}"
            write_sound(root / "AudioWAV" / f"{name}.wav")
            # Anger is heard as disgust by half.
            votes.append(f"{name},{'A:D' if code == 'ANG' else code[0]}")
    (root / "processedResults").mkdir()
    for place, rows in (
        ("VideoDemographics.csv", sexes),
        ("processedResults/summaryTable.csv", votes),
    ):
        (root / place).write_text("\n".join(rows) + "\n")
    make_noise(root.parent / "noise")
    return root


@pytest.mark.parametrize("fold", range(5))
def test_folds_by_actor(prepare, corpus, fold):
    found = run(prepare, corpus, fold, emotions=FOUR, noise=NOISE)
    tested = {str(1001 + fold), str(1006 + fold)}
    others = [1001 + (fold + 1) % 5, 1006 + (fold + 1) % 5]
    assert speakers(found["test"]) == tested
    assert speakers(found["valid"]) == set(map(str, others))
    assert len(speakers(found["train"])) == 6
    for name, count in (("train", 6), ("valid", 2), ("test", 2)):
        emotions = [fields["emotion"] for fields in found[name].values()]
        assert collections.Counter(emotions) == dict.fromkeys(FOUR, count)


def test_fields(prepare, corpus):
    found = run(prepare, corpus, emotions=FOUR, noise=NOISE)["train"]
    assert found["1003_IEO_SAD_X"] == {
        "wav": "{data_root}/AudioWAV/1003_IEO_SAD_X.wav",
        "start_s": 0.0,
        "duration_s": 0.2,
        "emotion": "sad",
        "speaker": "1003",
        "gender": "male",
    }


def test_what_was_heard(prepare, corpus):
    options = {"labels": "heard", "noise": NOISE}
    found = run(prepare, corpus, emotions=["sad", "happy"], **options)
    assert len(found["test"]) == 2 * 2
    # Nobody was heard as angry by most.
    with pytest.raises(ValueError, match=r"\['angry'\], which no utterance"):
        run(prepare, corpus, emotions=["angry"], **options)
    with pytest.raises(ValueError, match="'seen': use one of"):
        run(prepare, corpus, emotions=FOUR, labels="seen", noise=NOISE)


def test_unusable(prepare, corpus, tmp_path):
    with pytest.raises(ValueError, match="fold must be 0 to 4, not 5"):
        run(prepare, corpus, 5, emotions=FOUR, noise=NOISE)
    with pytest.raises(FileNotFoundError, match="Did you mean .*/corpus"):
        run(prepare, corpus.parent, emotions=FOUR, noise=NOISE)
    write_sound(tmp_path / "AudioWAV" / "1001_IEO_ANG_XX.wav")
    with pytest.raises(FileNotFoundError, match="holds the labels 'heard'"):
        run(prepare, tmp_path, emotions=FOUR, labels="heard", noise=NOISE)


def test_without_the_table_there_are_no_genders(prepare, corpus, caplog):
    table = corpus / "VideoDemographics.csv"
    text = table.read_text()
    table.unlink()
    found = run(prepare, corpus, emotions=FOUR, noise=NOISE)
    table.write_text(text)
    assert {fields["gender"] for fields in found["train"].values()} == {None}
    assert "VideoDemographics.csv is missing" in caplog.text
