"""IEMOCAP as distributed."""

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
LABELS = ("ang", "sad", "hap", "exc", "neu", "fru", "oth", "xxx")
HEAD = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
JUDGEMENTS = "C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"


@pytest.fixture(scope="module")
def prepare():
    with preparation("IEMOCAP") as function:
        yield function


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A dialogue a session, in which she and he say each emotion once."""
    root = tmp_path_factory.mktemp("iemocap") / "corpus"
    for number in range(1, 6):
        session = root / f"Session{number}"
        dialogue = f"Ses{number:02d}F_impro01"
        text = HEAD
        for gender in "FM":
            for turn, label in enumerate(LABELS):
                name = f"{dialogue}_{gender}{turn:03d}"
                write_sound(
                    session / "sentences" / "wav" / dialogue / f"{name}.wav"
                )
                text += f"[6.2901 - 8.2357]\t{name}\t{label}\t"
                text += f"[2.5000, 3.0000, 4.5000]\n{JUDGEMENTS}"
        folder = session / "dialog" / "EmoEvaluation"
        folder.mkdir(parents=True)
        # One judge's comment is not in UTF-8.
        comment = b"C-E1:\tOther;\t(\xe9)\n"
        (folder / f"{dialogue}.txt").write_bytes(text.encode() + comment)
        # Left by an archiver.
        (folder / f"._{dialogue}.txt").write_bytes(b"\0\x05")
    make_noise(root.parent / "noise")
    return root


@pytest.mark.parametrize("fold", range(5))
def test_folds_by_session(prepare, corpus, fold):
    found = run(prepare, corpus, fold, emotions=FOUR, noise=NOISE)
    tested, developed = fold + 1, (fold + 1) % 5 + 1
    assert speakers(found["test"]) == {f"Ses0{tested}F", f"Ses0{tested}M"}
    assert speakers(found["valid"]) == {
        f"Ses0{developed}F",
        f"Ses0{developed}M",
    }
    assert len(speakers(found["train"])) == 6
    emotions = [fields["emotion"] for fields in found["test"].values()]
    # Excited speech counts as happy.
    assert collections.Counter(emotions) == {
        "angry": 2,
        "sad": 2,
        "happy": 4,
        "neutral": 2,
    }


def test_excited_apart(prepare, corpus):
    options = {"noise": NOISE, "merge_excited": False}
    found = run(prepare, corpus, emotions=FOUR, **options)
    assert len(found["test"]) == 8
    found = run(prepare, corpus, emotions=[*FOUR, "excited"], **options)
    assert len(found["test"]) == 10


def test_fields(prepare, corpus):
    found = run(prepare, corpus, emotions=FOUR, noise=NOISE)["test"]
    assert found["Ses01F_impro01_M001"] == {
        "wav": "{data_root}/Session1/sentences/wav/Ses01F_impro01/"
        "Ses01F_impro01_M001.wav",
        "start_s": 0.0,
        "duration_s": 0.2,
        "emotion": "sad",
        "speaker": "Ses01M",
        "valence": 2.5,
        "activation": 3.0,
        "dominance": 4.5,
        "gender": "male",
    }


def test_others_train_without_a_label(prepare, corpus):
    found = run(
        prepare, corpus, emotions=FOUR, noise=NOISE, other_emotions=True
    )
    unlabelled = [f for f in found["train"].values() if f["emotion"] is None]
    # Frustrated, other and no agreement, of six speakers.
    assert len(unlabelled) == 3 * 6


def test_unusable(prepare, corpus):
    with pytest.raises(ValueError, match="fold must be 0 to 4, not -1"):
        run(prepare, corpus, -1, emotions=FOUR, noise=NOISE)
    with pytest.raises(FileNotFoundError, match="Did you mean .*/corpus"):
        run(prepare, corpus.parent, emotions=FOUR, noise=NOISE)
    third = corpus / "Session3"
    third.rename(corpus / "Session9")
    with pytest.raises(FileNotFoundError, match="no Session3/dialog"):
        run(prepare, corpus, emotions=FOUR, noise=NOISE)
    (corpus / "Session9").rename(third)
