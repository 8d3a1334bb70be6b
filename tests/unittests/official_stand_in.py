"""The published system, small and slow, with random weights.

Written from the paper and from notes on the published format, so that the
names of its tensors are those of the published files. It runs in double
precision, on one utterance at a time, and nothing of it is the package's.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

MEAN, STD = 1.3e-3, 0.071
FILES = {
    "ssl": "final_ssl.pt",
    "mmoe": "final_mmoe.pt",
    "pool": "final_pool.pt",
    "ser": "final_ser.pt",
    "se": "final_se.pt",
}


@dataclasses.dataclass
class Sizes:
    """Sizes of a stand-in; those of the published system are much larger."""

    num_layers: int = 2
    width: int = 16
    inner: int = 24
    heads: int = 2
    channels: int = 8
    conv_pos: int = 8
    conv_pos_groups: int = 2
    num_buckets: int = 20
    max_distance: int = 60
    num_experts: int = 3
    expert_hidden: int = 10
    features: int = 12
    mask_hidden: int = 6
    emotion_hidden: int = 7
    num_classes: int = 4

    def config(self) -> dict:
        """The original WavLM's configuration."""
        channels = self.channels
        return {
            "extractor_mode": "layer_norm",
            "encoder_layers": self.num_layers,
            "encoder_embed_dim": self.width,
            "encoder_ffn_embed_dim": self.inner,
            "encoder_attention_heads": self.heads,
            "activation_fn": "gelu",
            "layer_norm_first": True,
            "normalize": True,
            "conv_bias": False,
            "conv_feature_layers": f"[({channels},10,5)] + "
            f"[({channels},3,2)] * 4 + [({channels},2,2)] * 2",
            "conv_pos": self.conv_pos,
            "conv_pos_groups": self.conv_pos_groups,
            "relative_position_embedding": True,
            "gru_rel_pos": True,
            "num_buckets": self.num_buckets,
            "max_distance": self.max_distance,
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "activation_dropout": 0.0,
            "dropout_input": 0.0,
            "mask_prob": 0.8,
        }


class Attention(nn.Module):
    """Self-attention with WavLM's gated relative position bias."""

    def __init__(self, sizes: Sizes, first: bool) -> None:
        super().__init__()
        self.sizes = sizes
        width, heads = sizes.width, sizes.heads
        self.grep_a = nn.Parameter(torch.empty(1, heads, 1, 1))
        if first:
            self.relative_attention_bias = nn.Embedding(
                sizes.num_buckets, heads
            )
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.grep_linear = nn.Linear(width // heads, 8)

    def bucket(self, distance: int) -> int:
        """T5's buckets: exact nearby, logarithmic further away."""
        half = self.sizes.num_buckets // 2
        exact, size = half // 2, abs(distance)
        if size >= exact:
            # In float32, which decides at the borders.
            ratio = torch.log(torch.tensor(size / exact, dtype=torch.float32))
            scale = math.log(self.sizes.max_distance / exact)
            size = min(int(exact + ratio / scale * (half - exact)), half - 1)
        return size + (half if distance > 0 else 0)

    def bias(self, count: int) -> torch.Tensor:
        """Bias by head, query and key, before the gates."""
        buckets = [
            [self.bucket(key - query) for key in range(count)]
            for query in range(count)
        ]
        return self.relative_attention_bias(torch.tensor(buckets)).movedim(2, 0)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Attends within `[time, width]`."""

        def by_head(values):
            return values.unflatten(1, (self.sizes.heads, -1)).transpose(0, 1)

        gates = self.grep_linear(by_head(x)).unflatten(2, (2, 4)).sum(3)
        first, second = gates.sigmoid().unbind(2)
        gate = 2 + first * (second * self.grep_a[0, :, :, 0] - 1)
        queries = by_head(self.q_proj(x)) / math.sqrt(
            self.sizes.width // self.sizes.heads
        )
        scores = queries @ by_head(self.k_proj(x)).transpose(1, 2)
        weights = (scores + gate.unsqueeze(2) * bias).softmax(dim=2)
        attended = weights @ by_head(self.v_proj(x))
        return self.out_proj(attended.transpose(0, 1).flatten(1))


class Layer(nn.Module):
    """A Transformer layer that normalises first."""

    def __init__(self, sizes: Sizes, first: bool) -> None:
        super().__init__()
        self.self_attn = Attention(sizes, first)
        self.self_attn_layer_norm = nn.LayerNorm(sizes.width)
        self.fc1 = nn.Linear(sizes.width, sizes.inner)
        self.fc2 = nn.Linear(sizes.inner, sizes.width)
        self.final_layer_norm = nn.LayerNorm(sizes.width)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """`[time, width]` to the same."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), bias)
        hidden = nn.functional.gelu(self.fc1(self.final_layer_norm(x)))
        return x + self.fc2(hidden)


class Encoder(nn.Module):
    """WavLM with the original's names."""

    def __init__(self, sizes: Sizes, weight_norm: str) -> None:
        super().__init__()
        self.mask_emb = nn.Parameter(torch.empty(sizes.width))
        channels = sizes.channels
        kinds = [(1, 10, 5)] + 4 * [(channels, 3, 2)] + 2 * [(channels, 2, 2)]
        self.feature_extractor = nn.Module()
        self.feature_extractor.conv_layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(inputs, channels, kernel, stride, bias=False),
                nn.Identity(),
                # The norm stands between two transpositions.
                nn.Sequential(nn.Identity(), nn.LayerNorm(channels)),
            )
            for inputs, kernel, stride in kinds
        )
        self.post_extract_proj = nn.Linear(channels, sizes.width)
        self.encoder = nn.Module()
        convolution = nn.Conv1d(
            sizes.width,
            sizes.width,
            sizes.conv_pos,
            padding=sizes.conv_pos // 2,
            groups=sizes.conv_pos_groups,
        )
        with warnings.catch_warnings():
            # The old spelling is deprecated.
            warnings.simplefilter("ignore")
            normed = {
                "old": nn.utils.weight_norm,
                "new": nn.utils.parametrizations.weight_norm,
            }[weight_norm](convolution, dim=2)
        self.encoder.pos_conv = nn.Sequential(normed)
        self.encoder.layers = nn.ModuleList(
            Layer(sizes, number == 0) for number in range(sizes.num_layers)
        )
        self.encoder.layer_norm = nn.LayerNorm(sizes.width)
        self.layer_norm = nn.LayerNorm(channels)

    def forward(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        """All states of `[time]`, the last one before the final norm."""
        x = waveform[None]
        for convolution, _, (_, norm) in self.feature_extractor.conv_layers:
            x = nn.functional.gelu(norm(convolution(x).T).T)
        x = self.post_extract_proj(self.layer_norm(x.T))
        positions = self.encoder.pos_conv(x.T)[:, : len(x)].T
        x = x + nn.functional.gelu(positions)
        states, bias = [x], self.encoder.layers[0].self_attn.bias(len(x))
        for layer in self.encoder.layers:
            x = layer(x, bias)
            states.append(x)
        return states


class Mixture(nn.Module):
    """All experts on all frames, then the gates."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        num_states = sizes.num_layers + 1
        width = num_states * sizes.width
        self.layer_norms = nn.ModuleList(
            nn.LayerNorm(sizes.width) for _ in range(num_states)
        )
        self.experts = nn.ModuleList()
        for _ in range(sizes.num_experts):
            expert = nn.Module()
            expert.fc1 = nn.Linear(width, sizes.expert_hidden)
            expert.fc2 = nn.Linear(sizes.expert_hidden, sizes.features)
            self.experts.append(expert)
        self.gates = nn.ModuleList()
        for _ in range(2):
            gate = nn.Module()
            gate.fc = nn.Linear(width, sizes.num_experts)
            self.gates.append(gate)

    def forward(
        self, states: list[torch.Tensor], dense: bool
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Features and gate scores of both tasks, SE first."""
        joined = torch.cat(
            [
                norm(state)
                for norm, state in zip(self.layer_norms, states, strict=True)
            ],
            dim=1,
        )
        outputs = torch.stack(
            [e.fc2(e.fc1(joined).relu()) for e in self.experts], dim=1
        )
        results = []
        for gate in self.gates:
            scores = gate.fc(joined)
            weights = scores.softmax(dim=1)
            if not dense:
                weights = nn.functional.one_hot(
                    scores.argmax(dim=1), scores.shape[1]
                )
            results.append(((weights.unsqueeze(2) * outputs).sum(1), scores))
        return results


class Pooling(nn.Module):
    """Attentive statistics."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.attention = nn.Parameter(torch.empty(sizes.features, 1))
        self.sap_linear = nn.Linear(sizes.features, sizes.features)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """`[time, width]` to mean and deviation."""
        scores = self.sap_linear(features).tanh() @ self.attention
        weights = scores.softmax(dim=0)
        mean = (weights * features).sum(0)
        variance = (weights * features**2).sum(0) - mean**2
        return torch.cat([mean, variance.clamp(min=1e-5).sqrt()])


class EmotionHead(nn.Module):
    """A hidden layer and the scores."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        hidden = sizes.emotion_hidden
        self.fc = nn.Sequential(
            nn.Sequential(
                nn.Linear(2 * sizes.features, hidden),
                nn.LayerNorm(hidden),
                nn.ReLU(),
            )
        )
        self.out = nn.Sequential(nn.Linear(hidden, sizes.num_classes))

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Scores of one utterance."""
        return self.out(self.fc(pooled))


class EnhancementHead(nn.Module):
    """The mask estimator, with the weights that nothing uses."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        num_states, hidden = sizes.num_layers + 1, sizes.mask_hidden
        self.weights = nn.Parameter(torch.empty(num_states))
        self.layer_norm = nn.ModuleList(
            nn.LayerNorm(sizes.width) for _ in range(num_states)
        )
        recurrent = nn.Module()
        recurrent.blstm = nn.LSTM(
            hidden, hidden, 2, batch_first=True, bidirectional=True
        )
        self.lstm_enc = nn.ModuleList(
            [
                nn.Linear(201 + sizes.features, hidden),
                recurrent,
                nn.Linear(hidden, 201),
            ]
        )

    def forward(
        self, log1p: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Masked spectrum, `[frame, bin]`."""
        repeated = features.repeat_interleave(2, dim=0)
        tail = repeated[-1:].expand(len(log1p), -1)
        repeated = torch.cat([repeated, tail])[: len(log1p)]
        project, recurrent, output = self.lstm_enc
        hidden = project(torch.cat([log1p, repeated], dim=1))
        hidden, _ = recurrent.blstm(hidden[None])
        ahead, back = hidden[0].chunk(2, dim=1)
        return output(ahead + back).sigmoid() * log1p


class StandIn(nn.Module):
    """The whole system; its children are the published files."""

    def __init__(
        self, sizes: Sizes, weight_norm: str = "new", dense: bool = False
    ) -> None:
        super().__init__()
        self.sizes, self.dense = sizes, dense
        self.ssl = Encoder(sizes, weight_norm)
        self.mmoe = Mixture(sizes)
        self.pool = Pooling(sizes)
        self.ser = EmotionHead(sizes)
        self.se = EnhancementHead(sizes)

    @torch.no_grad()
    def forward(
        self, waveform: torch.Tensor, mean: float = MEAN, std: float = STD
    ) -> dict[str, torch.Tensor]:
        """What the published system says about `[time]`."""
        window = torch.hamming_window(400, dtype=torch.float64)
        options = {"n_fft": 400, "hop_length": 160, "window": window}
        waveform = (waveform.double() - mean) / (std + 1e-8)
        (enhance, se_scores), (emotion, ser_scores) = self.mmoe(
            self.ssl(waveform), self.dense
        )
        spectrum = torch.stft(
            waveform, pad_mode="reflect", return_complex=True, **options
        ).T
        magnitude = spectrum.abs() + 1e-6
        log1p = self.se(magnitude.log1p(), enhance)
        enhanced = (log1p.expm1() - 1e-6) * (spectrum / magnitude)
        enhanced = torch.istft(enhanced.T, length=len(waveform), **options)
        return {
            "logits": self.ser(self.pool(emotion)),
            "enhanced": enhanced * (std + 1e-8) + mean,
            "log1p": log1p,
            "features": torch.stack([enhance, emotion]),
            "scores": torch.stack([se_scores, ser_scores]),
        }


def make_stand_in(
    sizes: Sizes | None = None,
    weight_norm: str = "new",
    dense: bool = False,
    seed: int = 0,
) -> StandIn:
    """Makes one with seeded weights under which every part matters.

    Arguments
    ---------
    sizes : Sizes, optional
        Sizes.
    weight_norm : str
        `old` or `new` spelling.
    dense : bool
        Whether all experts count.
    seed : int
        Of the weights.

    Returns
    -------
    StandIn
        In double precision; its weights are exact in float32.
    """
    model = StandIn(sizes or Sizes(), weight_norm, dense)
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        if "bias" in name.rsplit(".", 1)[-1] or name == "ssl.mask_emb":
            noise = 0.1 * noise
        elif value.ndim == 1 or name.endswith(
            ("grep_a", "weight_g", "original0")
        ):
            noise = 1 + 0.1 * noise
        elif "relative_attention_bias" not in name:
            fan_in = value[0].numel() if value.shape[-1] > 1 else len(value)
            noise = 2 * noise / math.sqrt(fan_in)
        value.copy_(noise)
    return model.double().eval()


def write_stand_in(model: StandIn, folder: Path) -> Path:
    """Writes the published files of a stand-in.

    Arguments
    ---------
    model : StandIn
        The system.
    folder : Path
        Where to write; need not exist.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part, file in FILES.items():
        weights = {
            name: value.float()
            for name, value in getattr(model, part).state_dict().items()
        }
        optimizer = {"state": {}, "param_groups": [{"lr": 5e-5, "params": [0]}]}
        torch.save({"model": weights, "optimizer": optimizer}, folder / file)
    torch.save(
        {"cfg": model.sizes.config(), "model": {}}, folder / "WavLM-Large.pt"
    )
    with (folder / "train_norm_stat.pkl").open("wb") as file:
        pickle.dump((np.float64(MEAN), np.float64(STD)), file)
    return folder


def make_waveform(num_samples: int, seed: int = 0) -> torch.Tensor:
    """Noise and a tone, at the level of speech.

    Arguments
    ---------
    num_samples : int
        Length.
    seed : int
        Of the noise.

    Returns
    -------
    torch.Tensor
        `[time]`, float32.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(num_samples, generator=generator)
    time = torch.arange(num_samples) / 16000
    return 0.05 * noise + 0.1 * torch.sin(2 * math.pi * 220 * time)
