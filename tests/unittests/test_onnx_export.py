"""ONNX files: the numbers of PyTorch, for any length."""

import functools
import json
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from small_variants import VARIANTS, make_variant
from toy_model import EMOTIONS, write_experiment

from speechbrain_merit.command_line import main
from speechbrain_merit.export.onnx import export_onnx, quantize_weights
from speechbrain_merit.export.onnx.spectrum import InverseTransform, Transform
from speechbrain_merit.export.onnx.traceable_model import traceable
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.lobes import (
    EmotionHead,
    JointModel,
    LayerConcatenation,
    MeanPooling,
    SparseMoE,
    SpectralFrontend,
    SpectralMaskHead,
    SpeechEncoder,
    SubbandHead,
    WaveformNormalization,
)


def noise(num_samples):
    generator = torch.Generator().manual_seed(num_samples)
    return 0.1 * torch.randn(1, num_samples, generator=generator)


# --------------------------------------------------------- without onnx itself


@pytest.mark.parametrize(("size", "hop"), [(400, 160), (64, 16), (10, 3)])
def test_transforms_are_those_of_pytorch(size, hop):
    window = torch.hamming_window(size)
    signal = noise(1003)
    expected = torch.stft(
        signal, size, hop, window=window, center=False, return_complex=True
    ).transpose(1, 2)
    real, imaginary = Transform(window, hop)(signal)
    torch.testing.assert_close(
        torch.complex(real, imaginary), expected, atol=1e-5, rtol=0
    )
    restored = InverseTransform(window, hop)(real, imaginary)
    torch.testing.assert_close(
        restored, signal[:, : restored.shape[1]], atol=1e-5, rtol=0
    )


def assert_same_results(model, lengths=(0, 1, 160, 8017)):
    network = traceable(model)
    for extra in lengths:
        noisy = noise(network.minimum_samples + extra)
        with torch.no_grad():
            found = network(noisy)
            output = model(noisy)
            expected = []
            if "enhance" in model.tasks:
                expected.append(model.enhanced_waveform(output))
            if "emotion" in model.tasks:
                expected.append(output.logits.log_softmax(dim=1))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_can_be_traced(monkeypatch, name):
    assert_same_results(make_variant(monkeypatch, name))


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 2},
        {"router_learning": "probability", "normalization_mode": "none"},
        {"pooling_kind": "mean"},
        {"make_gate": {"smoothing_frames": 5}},
        {
            "normalization_mode": "corpus",
            "normalization_mean": 0.01,
            "normalization_std": 0.2,
        },
    ],
)
def test_every_option_can_be_traced(monkeypatch, options):
    assert_same_results(make_variant(monkeypatch, "sparse_merit", **options))


WHISPER = {
    "model_type": "whisper",
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "num_mel_bins": 20,
    "max_source_positions": 200,
    "vocab_size": 8,
    "decoder_layers": 0,
    "pad_token_id": 0,
}
CONVOLUTIONAL = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8, 8],
    # The group norm needs more than one frame of the first convolution.
    "conv_kernel": [10, 80],
    "conv_stride": [5, 64],
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
}
ENCODERS = {
    "whisper": WHISPER,
    "wavlm": {"model_type": "wavlm", **CONVOLUTIONAL},
    "wav2vec2": {
        "model_type": "wav2vec2",
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        **CONVOLUTIONAL,
    },
    "hubert": {"model_type": "hubert", **CONVOLUTIONAL},
}


def small_model(encoder):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return JointModel(
            SpeechEncoder(config=ENCODERS[encoder]),
            SparseMoE(3, 16, 24, 12),
            SpectralFrontend(),
            SpectralMaskHead(12, hidden_size=16),
            EmotionHead(MeanPooling(12), 4, hidden_size=16),
        ).eval()


def model_like_merit_base():
    """The parts of the model that comes with the package, and small."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        experts = SparseMoE(3, 16, 24, 12, tasks=["enhance"])
        model = JointModel(
            SpeechEncoder(
                config=WHISPER, normalization=WaveformNormalization("level")
            ),
            LayerConcatenation(experts, layers=[0, 2]),
            SpectralFrontend(512, 256),
            SubbandHead(12, channels=8, hidden_size=16),
            EmotionHead(MeanPooling(32), 4, hidden_size=0),
        ).eval()
        # As it starts, the head changes next to nothing.
        last = model.enhancement_head.synthesis[-1].convolution
        torch.nn.init.normal_(last.weight, std=0.3)
        return model


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_can_be_traced(encoder):
    assert_same_results(small_model(encoder))


def test_the_parts_of_merit_base_can_be_traced():
    assert_same_results(model_like_merit_base())


def test_a_trained_model_stays_as_it_is(monkeypatch):
    model = make_variant(monkeypatch, "sparse_merit")
    names = {name: type(module) for name, module in model.named_modules()}
    traceable(model)
    assert names == {
        name: type(module) for name, module in model.named_modules()
    }
    assert all(p.requires_grad for p in model.emotion_head.parameters())


def test_what_is_missing_is_named(monkeypatch, tmp_path, caplog):
    write_experiment(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "onnx", None)
    command = ["export-onnx", str(tmp_path / "model"), str(tmp_path / "a.onnx")]
    assert main(command) == 1
    assert "onnx: pip install '.[onnx]'" in caplog.text


def test_nan_is_no_agreement(interface, monkeypatch, tmp_path):
    class Session:
        def __init__(self, path, providers):
            pass

        def get_outputs(self):
            return [SimpleNamespace(name="log_posteriors")]

        def get_modelmeta(self):
            values = {"minimum_samples": "400"}
            return SimpleNamespace(custom_metadata_map=values)

        def run(self, names, inputs):
            return [np.full((1, len(EMOTIONS)), np.nan)]

    runtime = SimpleNamespace(InferenceSession=Session)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setitem(sys.modules, "onnx", MagicMock())
    monkeypatch.setattr(
        "speechbrain_merit.export.onnx.exporting._export",
        lambda network, path: path.touch(),
    )
    with pytest.raises(ValueError, match="differs from PyTorch by.*nan"):
        export_onnx(interface(small_model("whisper")), tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()


# --------------------------------------------------------------- with onnx


@pytest.fixture
def onnx_packages():
    """Skips where the extra `onnx` is not installed."""
    pytest.importorskip("onnx")
    return pytest.importorskip("onnxruntime")


def run(onnx_packages, path, noisy):
    session = onnx_packages.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, {"waveform": noisy.numpy()})
    return dict(zip(names, map(torch.from_numpy, outputs), strict=True))


def test_the_command_writes_what_pytorch_computes(
    onnx_packages, tmp_path, capsys
):
    write_experiment(tmp_path / "model", "utterance")
    path = tmp_path / "new" / "merit.onnx"
    command = ["export-onnx", str(tmp_path / "model"), str(path), "--int8"]
    assert main(command) == 0
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "merit.onnx",
        "merit_int8.onnx",
    ]
    printed = capsys.readouterr().out
    assert "merit_int8.onnx" in printed and "enhanced" in printed
    model = JointEnhancementClassifier.from_hparams(
        tmp_path / "model", run_opts={"device": "cpu"}
    )
    metadata = (
        onnx_packages.InferenceSession(str(path))
        .get_modelmeta()
        .custom_metadata_map
    )
    assert json.loads(metadata["emotions"]) == EMOTIONS
    assert metadata["sample_rate_hz"] == "16000"
    for count in (int(metadata["minimum_samples"]), 5000, 5320, 30001):
        expected = model.process_batch(noise(count))
        found = run(onnx_packages, path, noise(count))
        for name, output in found.items():
            torch.testing.assert_close(
                output, getattr(expected, name), atol=1e-4, rtol=1e-3
            )
        smaller = run(
            onnx_packages, path.with_name("merit_int8.onnx"), noise(count)
        )
        difference = (smaller["enhanced"] - expected.enhanced).square().mean()
        assert difference < 1e-2 * expected.enhanced.square().mean()


@pytest.fixture
def interface(monkeypatch):
    """Makes the interface of a model without writing it."""

    def process_batch(model, noisy):
        with torch.no_grad():
            output = model(noisy)
            return SimpleNamespace(
                enhanced=model.enhanced_waveform(output),
                log_posteriors=output.logits.log_softmax(dim=1),
            )

    return lambda model: SimpleNamespace(
        mods=SimpleNamespace(model=model),
        hparams=SimpleNamespace(sample_rate_hz=16000),
        emotions=EMOTIONS,
        process_batch=functools.partial(process_batch, model),
    )


def test_whisper_and_cascades_too(
    onnx_packages, interface, monkeypatch, tmp_path
):
    for model in (
        small_model("whisper"),
        make_variant(monkeypatch, "se_then_ser"),
    ):
        found = export_onnx(interface(model), tmp_path / "a.onnx")
        assert found["enhanced"] < 1e-3 and found["log_posteriors"] < 1e-3


def test_a_gain_makes_no_difference_to_the_graph(
    onnx_packages, interface, tmp_path
):
    path = tmp_path / "a.onnx"
    export_onnx(interface(model_like_merit_base()), path)
    noisy = noise(16161)
    expected = run(onnx_packages, path, noisy)
    for gain in (0.01, 10.0):
        found = run(onnx_packages, path, gain * noisy)
        torch.testing.assert_close(
            found["enhanced"] / gain, expected["enhanced"], atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            found["log_posteriors"],
            expected["log_posteriors"],
            atol=1e-4,
            rtol=0,
        )
    silence = run(onnx_packages, path, torch.zeros(1, 16161))
    assert not silence["enhanced"].any()


def test_large_weights_become_bytes(onnx_packages, interface, tmp_path):
    import onnx

    export_onnx(interface(small_model("whisper")), tmp_path / "a.onnx")
    quantize_weights(tmp_path / "a.onnx", tmp_path / "b.onnx")
    before, after = (
        onnx.load(tmp_path / name) for name in ("a.onnx", "b.onnx")
    )
    floats = {tensor.name for tensor in after.graph.initializer}
    used = {
        node.input[1]
        for node in before.graph.node
        if node.op_type in ("MatMul", "Gemm", "LSTM")
    }
    weights = {
        tensor.name: tensor
        for tensor in before.graph.initializer
        if tensor.name in used and len(tensor.dims) == 2
    }
    assert weights and not weights.keys() & floats
    stored = map(onnx.numpy_helper.to_array, after.graph.initializer)
    rounded = [array for array in stored if array.dtype == np.int8]
    # Zero points are zeros.
    matrices = [array for array in rounded if array.ndim == 2 and array.any()]
    # Constants of the graph may be among them.
    assert len(matrices) >= len(weights)
    for array in matrices:
        # The largest of an output channel takes the whole of a byte.
        assert (np.abs(array.astype(int)).max(axis=0) >= 126).all()


def test_a_graph_that_differs_is_not_written(
    onnx_packages, interface, monkeypatch, tmp_path
):
    model = interface(small_model("whisper"))
    other = small_model("whisper")
    other.emotion_head.output.bias.data[0] += 1
    model.process_batch = interface(other).process_batch
    with pytest.raises(ValueError, match="differs from PyTorch"):
        export_onnx(model, tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists()
