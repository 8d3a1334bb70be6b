"""MSP-Podcast as distributed, with what differs between releases."""

import collections
import shutil
import sys

import pytest
from hyperpyyaml import load_hyperpyyaml
from made_corpora import (
    NOISE,
    ROOT,
    make_noise,
    preparation,
    run,
    skipped,
    write_sound,
)

from speechbrain_merit.config import compose

FOUR = ["angry", "sad", "happy", "neutral"]
EIGHT = [*FOUR, "surprised", "fearful", "disgusted", "contemptuous"]
HEAD = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
CLASSES = "ASHNUFDCOX"
SETS = {
    "Train": 2,
    "Development": 1,
    "Test1": 1,
    "Test2": 1,
}


def name_of(part, letter, number):
    index = 1000 * list(SETS).index(part) + 100 * number + CLASSES.index(letter)
    return f"MSP-PODCAST_{index:04d}_0008"


@pytest.fixture(scope="module")
def prepare():
    with preparation("MSP-Podcast") as function:
        yield function


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Ten classes in four parts, and a Test3 whose labels are withheld."""
    root = tmp_path_factory.mktemp("msp") / "corpus"
    rows = [HEAD]
    for part, repeats in SETS.items():
        for number in range(repeats):
            for letter in CLASSES:
                name = name_of(part, letter, number)
                write_sound(root / "Audios" / f"{name}.wav")
                speaker = "Unknown" if letter == "N" else f"{number + 7}"
                gender = "Unknown" if letter == "N" else "Female"
                rows.append(
                    f"{name}.wav,{letter},4.2,3.5,5.0,{speaker},{gender},{part}"
                )
    rows.append("MSP-PODCAST_9999_0001.wav,,,,,,,Test3")
    (root / "Labels").mkdir()
    text = "\n".join(rows) + "\n"
    # As Excel writes it, with a byte order mark.
    (root / "Labels" / "labels_consensus.csv").write_text(text, "utf-8-sig")
    make_noise(root.parent / "noise")
    return root


@pytest.fixture
def corpus(made, tmp_path):
    shutil.copytree(made.parent, tmp_path / "copy")
    return tmp_path / "copy" / "corpus"


def prepared(prepare, corpus, emotions=FOUR, **options):
    return run(prepare, corpus, emotions=emotions, noise=NOISE, **options)


def counts(manifest):
    return collections.Counter(f["emotion"] for f in manifest.values())


def relabel(corpus, change):
    path = corpus / "Labels" / "labels_consensus.csv"
    path.write_text(change(path.read_text("utf-8-sig")))


@pytest.mark.parametrize("emotions", [FOUR, EIGHT])
def test_counts_by_class(prepare, corpus, emotions):
    found = prepared(prepare, corpus, emotions)
    assert counts(found["train"]) == dict.fromkeys(emotions, 2)
    assert counts(found["valid"]) == dict.fromkeys(emotions, 1)
    assert counts(found["test"]) == dict.fromkeys(emotions, 1)
    assert skipped(corpus) == {}


def test_the_classes_of_the_command_line_reach_the_preparation(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    given = (
        "{corpus: MSP-Podcast, data_folder: x, emotions: [sad, fearful], "
        "encoder_source: null, encoder_config: {model_type: wavlm, "
        "hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, "
        "intermediate_size: 8, num_conv_pos_embedding_groups: 2}, "
        "expert_hidden_size: 8, prepare_options: {noise: {kind: musan}}}"
    )
    variant = ROOT / "hparams" / "sparse_merit.yaml"
    hparams = load_hyperpyyaml(compose(variant, given, ROOT).text)
    assert hparams["prepare_options"]["emotions"] == ["sad", "fearful"]
    assert hparams["prepare_options"]["noise"]["kind"] == "musan"
    assert hparams["prepare_options"]["test_set"] == "Test1"
    assert hparams["emotion_head"].num_classes == 2


def test_fields(prepare, corpus):
    found = prepared(prepare, corpus)["train"]
    name = name_of("Train", "A", 0)
    assert found[name] == {
        "wav": "{data_root}/Audios/" + f"{name}.wav",
        "start_s": 0.0,
        "duration_s": 0.2,
        "emotion": "angry",
        "speaker": "7",
        "activation": 4.2,
        "valence": 3.5,
        "dominance": 5.0,
        "gender": "female",
    }
    unknown = found[name_of("Train", "N", 0)]
    assert (unknown["speaker"], unknown["gender"]) == ("unknown", None)


def test_dropped_classes_train_without_a_label(prepare, corpus):
    found = prepared(prepare, corpus, other_emotions=True)
    # Six other classes, O and X among them, twice each.
    assert counts(found["train"])[None] == 2 * 6
    assert None not in counts(found["valid"]) + counts(found["test"])


def test_which_test_set(prepare, corpus):
    found = prepared(prepare, corpus, test_set="Test2")
    assert set(found["test"]) == {name_of("Test2", c, 0) for c in "ASHN"}
    with pytest.raises(ValueError, match="'Test4': use one of"):
        prepared(prepare, corpus, test_set="Test4")
    with pytest.raises(ValueError, match="for test: .* part that has labels"):
        prepared(prepare, corpus, test_set="Test3")


def test_an_early_release(prepare, corpus, caplog):
    """Other folder and split names, another spelling, no attributes."""
    (corpus / "Audios").rename(corpus / "Audio")
    labels = corpus / "Labels" / "labels_consensus.csv"
    rows = [line.split(",") for line in labels.read_text().splitlines()]
    kept = [",".join((row[0], row[1], row[7])) for row in rows]
    text = "\n".join(kept).replace("Development", "Validation")
    labels.with_name("labels_concensus.csv").write_text(text)
    labels.unlink()
    found = prepared(prepare, corpus)
    assert counts(found["valid"]) == dict.fromkeys(FOUR, 1)
    fields = found["train"][name_of("Train", "A", 0)]
    assert fields["wav"].startswith("{data_root}/Audio/")
    assert (fields["speaker"], fields["valence"]) == ("unknown", None)
    assert "no column EmoAct, EmoVal, EmoDom, SpkrID, Gender;" in caplog.text


def test_missing_files_are_named(prepare, corpus, caplog):
    for letter in "AS":
        name = name_of("Train", letter, 0)
        (corpus / "Audios" / f"{name}.wav").unlink()
    broken = corpus / "Audios" / f"{name_of('Train', 'H', 0)}.wav"
    broken.write_bytes(b"no sound")
    short = corpus / "Audios" / f"{name_of('Train', 'N', 0)}.wav"
    write_sound(short, 0.05)
    # Of a class that is left out: nobody looks.
    (corpus / "Audios" / f"{name_of('Train', 'O', 0)}.wav").unlink()
    found = prepared(prepare, corpus)
    assert counts(found["train"]) == dict.fromkeys(FOUR, 1)
    reasons = skipped(corpus)
    assert len(reasons) == 4
    assert sum("is missing" in reason for reason in reasons.values()) == 2
    assert "min_duration_s" in reasons[f"{{data_root}}/Audios/{short.name}"]
    assert "4 files were skipped" in caplog.text


def test_labels_that_cannot_be_used(prepare, corpus):
    relabel(corpus, lambda text: text.replace("EmoClass", "Emotion"))
    with pytest.raises(ValueError, match="no column EmoClass: its columns"):
        prepared(prepare, corpus)
    relabel(corpus, lambda text: text.replace("Emotion", "EmoClass"))
    with pytest.raises(ValueError, match=r"\['calm'\], which no utterance has"):
        prepared(prepare, corpus, ["angry", "calm"])
    relabel(corpus, lambda text: text.replace("Development", "Dev"))
    with pytest.raises(ValueError, match="no valid part: its Split_Set are"):
        prepared(prepare, corpus)
    relabel(corpus, lambda text: text + text.splitlines()[1])
    relabel(corpus, lambda text: text.replace(",Dev", ",Development"))
    with pytest.raises(ValueError, match="1 utterances occur more than once"):
        prepared(prepare, corpus)


def test_wrong_folder(prepare, corpus):
    with pytest.raises(FileNotFoundError, match="Did you mean .*/corpus"):
        prepared(prepare, corpus.parent)
    shutil.rmtree(corpus / "Audios")
    with pytest.raises(FileNotFoundError, match="no Audios or Audio: found"):
        prepared(prepare, corpus)
    with pytest.raises(ValueError, match="only fold 0"):
        prepared(prepare, corpus, fold=1)


def test_noise_of_test_alone_is_unseen(prepare, corpus):
    found = prepared(prepare, corpus)
    types = {
        name: {fields["noise_type"] for fields in found[name].values()}
        for name in found
        if name.startswith("noise")
    }
    assert types == {
        "noise_train": {"rain"},
        "noise_valid": {"rain"},
        "noise_seen": {"rain"},
        "noise_unseen": {"wind"},
    }
