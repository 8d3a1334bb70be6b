"""Several corpora as one: joined, composed, and drawn by weights."""

from collections import Counter
from pathlib import Path

import pytest
from made_corpora import make_noise, preparation, write_sound

from recipes.joining import join_corpora
from speechbrain.dataio.sampler import ReproducibleWeightedRandomSampler
from speechbrain_merit.config import check_hyperparameters, compose
from speechbrain_merit.data.batches import draw_shares
from speechbrain_merit.data.manifests import (
    load_utterances,
    manifest_paths,
    of_corpus,
    read_manifest,
)
from speechbrain_merit.data.mixing import NoiseSource
from speechbrain_merit.losses.task_losses import class_weights

ROOT = Path(__file__).parents[2]
NOISE = {"kind": "split_folders"}
FOUR = ["angry", "sad", "happy", "neutral"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """EmoDB and nEMO, small, and a folder of noise."""
    root = tmp_path_factory.mktemp("corpora")
    for actor in ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16"):
        for letter in "WFTN":
            write_sound(root / "a" / "wav" / f"{actor}a01{letter}a.wav")
    for speaker in ("KD0", "WR0", "EB0", "KS0", "IC0", "MK0"):
        for label in ("anger", "happiness", "sadness", "fear"):
            write_sound(root / "b" / "samples" / f"{speaker}_{label}_1.wav")
    make_noise(root / "noise")
    make_noise(root / "other")
    return root


def join(folders, target, noise_folder=None, **others):
    kinds = {"EmoDB": FOUR, "nEMO": ["angry", "happy", "sad", "fearful"]}
    with preparation("EmoDB") as emodb, preparation("nEMO") as nemo:
        join_corpora(
            f"EmoDB:{folders / 'a'},nEMO:{folders / 'b'}",
            noise_folder or str(folders / "noise"),
            target,
            16000,
            "EmoDB:3,nEMO:0",
            1,
            prepare={"EmoDB": emodb, "nEMO": nemo},
            emotions=FOUR,
            **{"label_mapping": {"nEMO:fearful": None}, **others},
            **{n: {"noise": NOISE, "emotions": kinds[n]} for n in kinds},
        )
    return {n: read_manifest(p) for n, p in manifest_paths(target).items()}


def test_joined_manifests(folders, tmp_path):
    found = join(folders, tmp_path)
    for split in ("train", "valid", "test"):
        counts = Counter(f["corpus"] for f in found[split].values())
        alone = {
            name: read_manifest(tmp_path / name / f"{split}.json")
            for name in ("EmoDB", "nEMO")
        }
        assert counts == {name: len(alone[name]) for name in alone}
        assert set(found[split]) == {
            f"{n}_{i}" for n in alone for i in alone[n]
        }
    # Fold 3 of one, 0 of the other.
    speakers = {fields["speaker"] for fields in found["test"].values()}
    assert speakers == {"14", "12", "KD0", "WR0"}
    labels = Counter(
        (f["corpus"], f["emotion"]) for f in found["train"].values()
    )
    assert labels["nEMO", None] == labels["nEMO", "angry"] == 2
    # The noise that both name is there once.
    assert len(found["noise_train"]) == len(found["noise_unseen"]) == 1


def test_files_are_those_of_the_corpora(folders, tmp_path):
    places = f"EmoDB:{folders / 'noise'},nEMO:{folders / 'other'}"
    found = join(folders, tmp_path, places)
    data = f"EmoDB:{folders / 'a'},nEMO:{folders / 'b'}"
    paths = manifest_paths(tmp_path)
    loaded = load_utterances(paths["train"], data)
    assert all(Path(fields["wav"]).is_file() for fields in loaded.values())
    assert len(found["noise_train"]) == 2
    source = NoiseSource(paths["noise_train"], places, 16000)
    assert all(len(source._read(name)) == 16000 for name in source.noise_ids)


def test_a_corpus_left_out_is_tested_alone(folders, tmp_path):
    places = f"EmoDB:{folders / 'noise'},nEMO:{folders / 'other'}"
    found = join(folders, tmp_path, places, left_out=["nEMO"])
    corpora = {
        name: {fields["corpus"] for fields in found[name].values()}
        for name in found
    }
    both, one = {"EmoDB", "nEMO"}, {"EmoDB"}
    assert corpora["test"] == corpora["noise_seen"] == both
    for name in ("train", "valid", "noise_train", "noise_valid"):
        assert corpora[name] == one


def test_what_does_not_fit_is_refused(folders, tmp_path):
    with pytest.raises(ValueError, match="'fearful' of nEMO is none of"):
        join(folders, tmp_path, label_mapping={})
    (tmp_path / "mixed").mkdir()
    # What one corpus trains on is tested by the other.
    for split, other in (("train", "test"), ("dev", "dev"), ("test", "train")):
        (tmp_path / "mixed" / split).symlink_to(folders / "noise" / other)
    places = f"EmoDB:{folders / 'noise'},nEMO:{tmp_path / 'mixed'}"
    with pytest.raises(ValueError, match="is in noise_.* and in noise_.* of"):
        join(folders, tmp_path / "target", places)
    with pytest.raises(ValueError, match=r"\['EmoDb'\] are none"):
        join(folders, tmp_path, left_out=["EmoDb"])
    with pytest.raises(ValueError, match="no value for nEMO"):
        of_corpus("EmoDB:/a", "nEMO")


def composed(options, variant="sparse_merit"):
    return compose(ROOT / "hparams" / f"{variant}.yaml", options, ROOT)


def test_the_first_corpus_sets_the_training():
    found = composed(
        "corpus: RAVDESS,nEMO\n"
        "data_folder: RAVDESS:/a,nEMO:/b\n"
        "prepare_options: {left_out: [nEMO], nEMO: {num_jobs: 1}}\n"
        'label_mapping: {"nEMO:fearful": null}'
    )
    alone = composed("corpus: RAVDESS\ndata_folder: /a").tree
    assert found.tree["lr"] == alone["lr"]
    assert found.tree["encoder_source"] == alone["encoder_source"]
    options = found.tree["prepare_options"]
    assert options["RAVDESS"] == alone["prepare_options"]
    assert options["nEMO"]["num_jobs"] == 1
    check_hyperparameters(found)
    assert options["left_out"] == ["nEMO"]
    twice = (
        "data_folder: /a\nsampling_weights: {sad: 2}\ndynamic_batching: True"
    )
    with pytest.raises(ValueError, match="sampling_weights"):
        check_hyperparameters(composed(twice))


def test_an_overlay_stands_over_the_corpus():
    """MSP-Podcast's settings of Sparse MERIT are not those of Dense MERIT."""
    tree = composed("corpus: MSP-Podcast", "dense_merit").tree
    assert tree["router_learning"] == "probability"
    assert str(tree["top_k"].value) == "<num_experts>"
    assert tree["loss_weights"]["load_balance"] == 0.0
    given = composed("corpus: MSP-Podcast\ntop_k: 2", "dense_merit").tree
    assert given["top_k"] == 2


def test_shares_of_the_draws():
    groups = [("A", "sad")] * 6 + [("A", "happy")] * 2 + [("B", None)] * 4
    assert draw_shares(groups, {}) == [1.0] * 12
    shares = dict(
        zip(groups, draw_shares(groups, {"B": 3, "sad": 2}), strict=False)
    )
    # A quarter to A, of which two thirds to sad.
    assert 6 * shares["A", "sad"] == pytest.approx(12 / 4 * 2 / 3)
    assert 2 * shares["A", "happy"] == pytest.approx(12 / 4 / 3)
    assert 4 * shares["B", None] == pytest.approx(12 * 3 / 4)
    shares = dict(zip(groups, draw_shares(groups, {"A": 0.0}), strict=False))
    assert shares["A", "sad"] == 0 and shares["B", None] == 3
    for weights, message in (
        ({"sda": 1.0}, r"\['sda'\].*'sad'"),
        ({"A": 0.0, "B": 0.0}, "all of it is 0"),
    ):
        with pytest.raises(ValueError, match=message):
            draw_shares(groups, weights)


def test_draws_follow_the_shares():
    groups = [("A", "sad")] * 90 + [("B", "happy")] * 10
    shares = draw_shares(groups, {"A": 1, "B": 1})
    sampler = ReproducibleWeightedRandomSampler(shares, 4000, True)
    counts = Counter(groups[index][0] for index in sampler)
    # Four standard deviations of a binomial distribution.
    assert counts["A"] == pytest.approx(2000, abs=4 * 1000**0.5)


def test_class_weights_follow_the_draws():
    labels = ["sad"] * 3 + ["happy"]
    assert class_weights(labels, ["sad", "happy"]) == [2 / 3, 2.0]
    shares = draw_shares([(None, label) for label in labels], {"sad": 1})
    assert class_weights(labels, ["sad", "happy"], shares) == [1.0, 1.0]
