"""EmoBox's public partitions, of a corpus that is not public here."""

import json

import pytest
from made_corpora import NOISE, make_noise, preparation, run, write_sound
from sklearn.metrics import balanced_accuracy_score, f1_score

from speechbrain_merit.metrics.emotion import average_recall, f1_macro

EMOTIONS = ["angry", "sad"]
SPEAKERS = [f"s{k}" for k in range(5)]
NO_NOISE = {"noise": {"kind": "none"}, "emotions": EMOTIONS}


@pytest.fixture(scope="module")
def prepare():
    with preparation("EmoBox") as function:
        yield function


def write_partition(folder, split, rows):
    path = folder / "fold_1" / f"{folder.name}_{split}_fold_1.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_rows(dataset, speaker, numbers):
    return [
        {
            "key": f"{dataset}-{speaker}-{number}",
            "wav": f"downloads/{dataset}/audio/{speaker}/{number}.wav",
            "length": 0.2,
            "emo": ("A", "S")[number % 2],
        }
        for number in numbers
    ]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Five speakers, of whom four train; the audio without `downloads`."""
    root = tmp_path_factory.mktemp("emobox") / "corpus"
    data = root.parent / "EmoBox" / "data" / "made"
    rows = {s: make_rows("made", s, range(4)) for s in SPEAKERS}
    for row in (row for part in rows.values() for row in part):
        write_sound(root / row["wav"].removeprefix("downloads/made/"))
    train = [row for name in SPEAKERS[:4] for row in rows[name]]
    write_partition(data, "train", train)
    write_partition(data, "test", rows["s4"])
    (data / "label_map.json").write_text('{"A": "Angry"}')
    lines = [
        f"{row['key']} 1 {name} 0 0.2 <id={row['key']},lang=en,spk={name},"
        f"emotion={row['emo']}> {row['emo']}\n"
        for name, part in rows.items()
        for row in part
    ]
    (data / "data.seg.wrd.stm").write_text("".join(lines))
    make_noise(root.parent / "noise")
    return root


def options(corpus, dataset="made", **others):
    folder = corpus.parent / "EmoBox"
    return {"dataset": dataset, "partition_folder": folder, **others}


def test_partitions_are_the_splits(prepare, corpus):
    given = options(corpus, emotions=["angry", "s"], noise=NOISE)
    found = run(prepare, corpus, 1, **given)
    assert set(found["test"]) == {f"made-s4-{k}" for k in range(4)}
    valid = {fields["speaker"] for fields in found["valid"].values()}
    train = {fields["speaker"] for fields in found["train"].values()}
    # The whole of one speaker is nearest to a fifth.
    assert len(valid) == 1 and not valid & train
    assert len(found["valid"]) + len(found["train"]) == 16
    # A class that the map lacks keeps its name.
    labels = {fields["emotion"] for fields in found["train"].values()}
    assert labels == {"angry", "s"}


def test_folders_may_lead_less_far(prepare, corpus):
    given = options(corpus, **{**NO_NOISE, "emotions": ["angry", "s"]})
    for folder in (corpus, corpus / "audio"):
        found = run(prepare, folder, 1, **given)
        assert found["test"]["made-s4-0"]["wav"].endswith("/s4/0.wav")
        assert found["noise_train"] == {}
    with pytest.raises(FileNotFoundError, match="none of the 20 files"):
        run(prepare, corpus / "audio" / "s1", 1, **given)


def test_what_is_not_there_is_named(prepare, corpus):
    with pytest.raises(FileNotFoundError, match="fold 2 of made"):
        run(prepare, corpus, 2, **options(corpus, **NO_NOISE))
    data = corpus.parent / "EmoBox" / "data" / "half"
    write_partition(data, "test", make_rows("half", "s1", range(2)))
    (data / "label_dict.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="no partition train of fold 1"):
        run(prepare, corpus, 1, **options(corpus, "half", **NO_NOISE))


def test_own_development_set_stretches_and_missing_audio(prepare, corpus):
    data = corpus.parent / "EmoBox" / "data" / "whole"
    (long,) = make_rows("whole", "s0", [0])
    for split, number in (("train", 1), ("valid", 2), ("test", 3)):
        rows = [
            {**long, "key": f"{split}{k}", "start_time": k, "end_time": k + 1.5}
            for k in range(number)
        ]
        rows.append({**long, "key": f"{split}-lost", "wav": "downloads/l.wav"})
        write_partition(data, split, rows)
    (data / "label_map.json").write_text('{"A": "Angry"}')
    write_sound(corpus.parent / long["wav"], 5.0)
    given = options(corpus, "whole", **{**NO_NOISE, "emotions": ["angry"]})
    found = run(prepare, corpus.parent / "downloads", 1, **given)
    sizes = {name: len(found[name]) for name in ("train", "valid", "test")}
    assert sizes == {"train": 1, "valid": 2, "test": 3}
    fields = found["test"]["test2"]
    assert (fields["start_s"], fields["duration_s"]) == (2.0, 1.5)
    text = (corpus.parent / "manifests" / "skipped.json").read_text()
    assert "l.wav is missing" in text


def test_scores_are_those_of_the_leaderboards():
    """WA and micro F1 are the accuracy, of scikit-learn as EmoBox calls it."""
    import numpy as np

    true, found = np.random.default_rng(1).integers(0, 4, (2, 200))
    confusion = np.zeros((4, 4), dtype=int)
    np.add.at(confusion, (true, found), 1)
    accuracy = confusion.trace() / confusion.sum()
    assert accuracy == pytest.approx(f1_score(true, found, average="micro"))
    assert average_recall(confusion) == pytest.approx(
        balanced_accuracy_score(true, found)
    )
    assert f1_macro(confusion) == pytest.approx(
        f1_score(true, found, average="macro")
    )
