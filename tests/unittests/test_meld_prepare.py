"""MELD as distributed, with sound beside the videos or still in them."""

import collections
import sys

import pytest
from made_corpora import (
    NOISE,
    make_noise,
    preparation,
    run,
    skipped,
    write_sound,
)

FOUR = ["angry", "sad", "happy", "neutral"]
LABELS = {
    "anger": "angry",
    "sadness": "sad",
    "joy": "happy",
    "neutral": "neutral",
    "surprise": "surprised",
}
PARTS = {
    "train": ("train", "train_splits"),
    "valid": ("dev", "dev_splits_complete"),
    "test": ("test", "output_repeated_splits_test"),
}
HEAD = (
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,"
    "Season,Episode,StartTime,EndTime\n"
)
# Copies the bytes of the "video", and fails where there are none.
FFMPEG = """#!{python}
import pathlib, sys
data = pathlib.Path(sys.argv[sys.argv.index("-i") + 1]).read_bytes()
if not data:
    sys.exit("moov atom not found")
pathlib.Path(sys.argv[-1]).write_bytes(data)
"""


@pytest.fixture(scope="module")
def prepare():
    with preparation("MELD") as function:
        yield function


@pytest.fixture
def corpus(tmp_path):
    """A dialogue for each part; dev has its files in a folder of its own."""
    root = tmp_path / "corpus"
    for part, place in PARTS.values():
        folder = root / part if part == "dev" else root
        text = HEAD
        for number, label in enumerate(LABELS):
            # A transcript with a comma and a byte that is not UTF-8.
            text += f'{number},"Oh, no\x92",Ross,{label},x,0,{number},1,1,0,1\n'
            write_sound(folder / place / f"dia0_utt{number}.wav")
        (folder / f"{part}_sent_emo.csv").write_bytes(text.encode("latin-1"))
    make_noise(tmp_path / "noise")
    return root


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(FFMPEG.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


def into_videos(corpus):
    for path in corpus.rglob("*.wav"):
        path.rename(path.with_suffix(".mp4"))


def test_its_own_parts(prepare, corpus):
    found = run(prepare, corpus, emotions=FOUR, noise=NOISE)
    for split in PARTS:
        emotions = [fields["emotion"] for fields in found[split].values()]
        assert collections.Counter(emotions) == dict.fromkeys(FOUR, 1)
    assert found["valid"]["dev_dia0_utt2"] == {
        "wav": "{data_root}/dev/dev_splits_complete/dia0_utt2.wav",
        "start_s": 0.0,
        "duration_s": 0.2,
        "emotion": "happy",
        "speaker": "Ross",
    }


def test_sound_is_taken_out_of_videos(prepare, corpus, ffmpeg, caplog):
    into_videos(corpus)
    broken = corpus / "train_splits" / "dia0_utt0.mp4"
    broken.write_bytes(b"")
    (corpus / "train_splits" / "dia0_utt1.mp4").unlink()
    found = run(prepare, corpus, emotions=FOUR, noise=NOISE)
    assert set(found["train"]) == {"train_dia0_utt2", "train_dia0_utt3"}
    assert "dia0_utt0.mp4 gives no sound: moov atom" in caplog.text
    assert len(skipped(corpus)) == 2
    assert not list(corpus.rglob("*partial*"))
    # Of emotions that are left out nothing is made.
    assert not (corpus / "train_splits" / "dia0_utt4.wav").exists()


def test_sound_in_a_folder_of_its_own(prepare, corpus, ffmpeg, tmp_path):
    into_videos(corpus)
    place = tmp_path / "sound"
    found = run(prepare, corpus, emotions=FOUR, noise=NOISE, wav_folder=place)
    assert (place / "dev" / "dia0_utt3.wav").is_file()
    assert not list(corpus.rglob("*.wav"))
    wav = found["valid"]["dev_dia0_utt3"]["wav"]
    assert wav == str(place / "dev" / "dia0_utt3.wav")


def test_without_ffmpeg_it_is_asked_for(prepare, corpus, tmp_path, monkeypatch):
    into_videos(corpus)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="12 utterances.*ffmpeg"):
        run(prepare, corpus, emotions=FOUR, noise=NOISE)


def test_unusable(prepare, corpus):
    with pytest.raises(ValueError, match="only fold 0"):
        run(prepare, corpus, 1, emotions=FOUR, noise=NOISE)
    (corpus / "test_sent_emo.csv").unlink()
    with pytest.raises(
        FileNotFoundError, match="no test_sent_emo.csv or test/"
    ):
        run(prepare, corpus, emotions=FOUR, noise=NOISE)
