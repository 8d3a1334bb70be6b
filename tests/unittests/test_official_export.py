"""What was imported comes out again, and our own models in the same form."""

import pickle

import pytest
import torch
from official_stand_in import (
    FILES,
    MEAN,
    STD,
    Sizes,
    StandIn,
    make_stand_in,
    make_waveform,
    write_stand_in,
)
from toy_model import write_experiment

from speechbrain_merit.command_line import main
from speechbrain_merit.export.official import export_official, import_official
from speechbrain_merit.export.official.exportable import check_exportable
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.lobes import (
    MeanPooling,
    SparseMoE,
    SpectralMaskHead,
    WeightedSumIntegrator,
)
from speechbrain_merit.pretrained.folder import load_model


def contents(folder):
    """Tensors of a published folder, by file and name, in order."""
    return {
        file: torch.load(folder / file, weights_only=True)["model"]
        for file in FILES.values()
    }


def assert_same(one, other):
    """Equal to the last bit, in the same order."""
    for file in FILES.values():
        assert list(one[file]) == list(other[file])
        for name, value in one[file].items():
            assert value.dtype == other[file][name].dtype
            assert torch.equal(value, other[file][name]), (file, name)


@pytest.mark.parametrize("weight_norm", ["old", "new"])
@pytest.mark.parametrize(("gate", "num_experts"), [("sparse", 3), ("dense", 5)])
def test_a_round_trip_changes_no_bit(tmp_path, weight_norm, gate, num_experts):
    official = make_stand_in(Sizes(num_experts=num_experts), weight_norm)
    source = write_stand_in(official, tmp_path / "files")
    steps = ["files", "model", "back"]
    files, model, back = (str(tmp_path / step) for step in steps)
    assert main(["import-official", files, model, "--gate", gate]) == 0
    assert main(["export-official", model, back]) == 0
    exported = tmp_path / "back"
    assert_same(contents(source), contents(exported))
    assert {path.name for path in exported.iterdir()} == {
        path.name for path in source.iterdir()
    }
    for name in ("WavLM-Large.pt",):
        given = torch.load(source / name, weights_only=True)
        assert torch.load(exported / name, weights_only=True) == given
    name = "train_norm_stat.pkl"
    assert pickle.loads((exported / name).read_bytes()) == (MEAN, STD)
    # And once more the same model.
    import_official(exported, tmp_path / "again", gate)
    one = load_model(tmp_path / "model").state_dict()
    other = load_model(tmp_path / "again").state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert main(["export-official", model, back]) == 1


def test_bits_survive_that_arithmetic_would_lose(tmp_path):
    source = write_stand_in(make_stand_in(), tmp_path / "files")
    path = source / "final_ser.pt"
    saved = torch.load(path, weights_only=True)
    saved["model"]["out.0.bias"] = torch.tensor([-0.0, 1e-45, 3e38, 0.1])
    torch.save(saved, path)
    import_official(source, tmp_path / "model")
    export_official(tmp_path / "model", tmp_path / "back")
    found = contents(tmp_path / "back")["final_ser.pt"]["out.0.bias"]
    expected = saved["model"]["out.0.bias"]
    assert torch.equal(found.view(torch.int32), expected.view(torch.int32))


@pytest.mark.parametrize("changed", [False, True])
def test_the_encoder_of_before_training(tmp_path, changed):
    source = write_stand_in(make_stand_in(), tmp_path / "files")
    path = source / "WavLM-Large.pt"
    saved = torch.load(path, weights_only=True)
    saved["model"] = contents(source)["final_ssl.pt"]
    if changed:
        saved["model"]["mask_emb"] = saved["model"]["mask_emb"] + 1
    torch.save(saved, path)
    import_official(source, tmp_path / "model")
    export_official(tmp_path / "model", tmp_path / "back")
    found = torch.load(tmp_path / "back" / "WavLM-Large.pt", weights_only=True)
    assert found["cfg"] == saved["cfg"]
    # Other weights than those of the model are not part of it.
    assert set(found["model"]) == (set() if changed else set(saved["model"]))


def own_model(folder):
    """A model as train.py leaves it, built as the paper's."""
    write_experiment(folder, "corpus\n        mean: 0.001\n        std: 0.07")
    return load_model(folder / "pretrained").eval()


def test_our_own_models_run_as_the_published_system(tmp_path):
    model = own_model(tmp_path)
    export_official(tmp_path, tmp_path / "official")
    sizes = Sizes(
        conv_pos=8,
        conv_pos_groups=1,
        num_buckets=320,
        max_distance=800,
        expert_hidden=4096,
        mask_hidden=16,
        emotion_hidden=16,
    )
    official = StandIn(sizes)
    for part, file in FILES.items():
        exported = contents(tmp_path / "official")[file]
        getattr(official, part).load_state_dict(exported)
    config = torch.load(
        tmp_path / "official" / "WavLM-Large.pt", weights_only=True
    )["cfg"]
    plain = sizes.config()
    shared = set(plain) - {"mask_prob", "conv_feature_layers"}
    without_dropout = {key for key in shared if "dropout" not in key}
    assert {k: config[k] for k in without_dropout} == {
        k: plain[k] for k in without_dropout
    }
    assert eval(config["conv_feature_layers"]) == eval(
        plain["conv_feature_layers"]
    )
    waveform = make_waveform(9000)
    expected = official.double()(waveform, 0.001, 0.07)
    with torch.no_grad():
        output = model(waveform.unsqueeze(0))
        enhanced = model.enhanced_waveform(output)[0]
    torch.testing.assert_close(
        output.logits[0].double(), expected["logits"], atol=1e-5, rtol=1e-4
    )
    torch.testing.assert_close(
        enhanced.double(), expected["enhanced"], atol=1e-5, rtol=0
    )
    # Imported again, it is the same model.
    import_official(tmp_path / "official", tmp_path / "again")
    again = JointEnhancementClassifier.from_hparams(
        tmp_path / "again", run_opts={"device": "cpu"}
    )
    torch.testing.assert_close(again.enhance_batch(waveform)[0], enhanced)


def test_all_reasons_against_a_model_are_named(tmp_path):
    model = own_model(tmp_path)
    check_exportable(model, "it")
    model.encoder.normalization.mode = "utterance"
    model.encoder.standardization = torch.nn.Identity()
    model.integrator = SparseMoE(3, 16, output_size=12, top_k=2)
    model.emotion_head.pooling = MeanPooling(12)
    model.enhancement_head = SpectralMaskHead(12, num_layers=3)
    model.frontend.hop_length = 100
    with pytest.raises(ValueError) as error:
        check_exportable(model, "it")
    for reason in (
        "normalization_mode is utterance",
        "standardises",
        "top_k is 2 of 3",
        "3 layers",
        "MeanPooling",
        "400 and 100",
    ):
        assert reason in str(error.value)
    model.integrator = WeightedSumIntegrator(3, 16)
    with pytest.raises(ValueError, match="a WeightedSumIntegrator"):
        check_exportable(model, "it")


@pytest.mark.parametrize(
    ("top_k", "router_learning", "fits"),
    [
        (1, "straight_through", True),
        (1, "frozen", True),
        (1, "probability", False),
        (3, "probability", True),
        (3, "straight_through", True),
    ],
)
def test_both_gates_can_be_exported(tmp_path, top_k, router_learning, fits):
    model = own_model(tmp_path)
    model.integrator = SparseMoE(
        3, 16, top_k=top_k, router_learning=router_learning
    )
    if fits:
        check_exportable(model, "it")
    else:
        with pytest.raises(ValueError, match="top_k is 1 of 3"):
            check_exportable(model, "it")


def test_models_of_one_task_and_no_models_are_refused(tmp_path, caplog):
    write_experiment(tmp_path / "one", tasks=["enhance"])
    for source, message in (
        ("one", "its tasks are enhance"),
        ("no", "holds no"),
    ):
        command = ["export-official", str(tmp_path / source)]
        assert main([*command, str(tmp_path / "to")]) == 1
        assert message in caplog.text
    assert not (tmp_path / "to").exists()


def test_weights_that_do_not_fit_are_named(tmp_path):
    write_stand_in(make_stand_in(), tmp_path / "files")
    import_official(tmp_path / "files", tmp_path / "model")
    path = tmp_path / "model" / "model.ckpt"
    weights = torch.load(path, weights_only=True)
    del weights["emotion_head.output.bias"]
    weights["emotion_head.more"] = torch.zeros(1)
    torch.save(weights, path)
    with pytest.raises(ValueError) as error:
        export_official(tmp_path / "model", tmp_path / "to")
    assert "emotion_head.output.bias is missing" in str(error.value)
    assert "emotion_head.more has no place" in str(error.value)
