"""WavLM's attention with PyTorch's fused kernels.

transformers computes it with all weights spelled out, and with the position
bias repeated for every utterance of the batch. Here the gated bias is an
additive mask of `torch.nn.functional.scaled_dot_product_attention`, which
picks the fastest kernel there is. Parameters, their names and the results are
those of transformers.

Reference: S. Chen et al., "WavLM: Large-Scale Self-Supervised Pre-Training for
Full Stack Speech Processing", IEEE JSTSP vol. 16, 2022, arXiv 2110.13900,
section III-B.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from typing import Any

import torch
from torch import nn


def position_buckets(
    offsets: torch.Tensor, num_buckets: int, max_distance: int
) -> torch.Tensor:
    """Numbers the buckets that share a position bias.

    Half of them are for keys after the query. Of each half, the first half
    holds one distance each; the others grow as the logarithm of the distance
    up to `max_distance`, and the last one holds all beyond.

    Arguments
    ---------
    offsets : torch.Tensor
        Position of the key minus that of the query, int64, any shape.
    num_buckets : int
        Number of buckets.
    max_distance : int
        Distance from which on all are the same.

    Returns
    -------
    torch.Tensor
        Number of every offset's bucket, int64.

    Example
    -------
    >>> position_buckets(torch.tensor([-9, -1, 0, 1, 2, 9]), 8, 8)
    tensor([3, 1, 0, 5, 6, 7])
    """
    per_direction = num_buckets // 2
    num_exact = per_direction // 2
    distances = offsets.abs()
    # Distances below num_exact have a negative logarithm, but are not of its
    # kind.
    growth = (distances.clamp(min=1) / num_exact).log()
    growth = growth / math.log(max_distance / num_exact)
    far = num_exact + (growth * (per_direction - num_exact)).long()
    far = far.clamp(max=per_direction - 1)
    buckets = torch.where(distances < num_exact, distances, far)
    return buckets + per_direction * (offsets > 0)


class FusedWavLMAttention(nn.Module):
    """Self-attention of one WavLM layer, in the place of transformers' own.

    Attention weights are dropped in training as there. The bias is computed
    from the embedding once in every pass, by the first layer, for all layers
    and utterances: it depends on nothing but the offset of two frames, so
    that twice as many values as there are frames say it all. There is nothing
    to be cached, and nothing that could be out of date.

    Arguments
    ---------
    attention : torch.nn.Module
        The attention of a transformers WavLM layer; its parameters are taken
        over.

    Example
    -------
    >>> from transformers.models.wavlm import modeling_wavlm
    >>> theirs = modeling_wavlm.WavLMAttention(embed_dim=16, num_heads=2)
    >>> ours = FusedWavLMAttention(theirs)
    >>> output, _, bias = ours(torch.rand(3, 7, 16))
    >>> output.shape, bias.shape
    (torch.Size([3, 7, 16]), torch.Size([2, 7, 7]))
    """

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.num_heads = attention.num_heads
        self.dropout = attention.dropout
        self.num_buckets = attention.num_buckets
        self.max_distance = attention.max_distance
        self.k_proj = attention.k_proj
        self.v_proj = attention.v_proj
        self.q_proj = attention.q_proj
        self.out_proj = attention.out_proj
        self.gru_rel_pos_const = attention.gru_rel_pos_const
        self.gru_rel_pos_linear = attention.gru_rel_pos_linear
        if hasattr(attention, "rel_attn_embed"):
            self.rel_attn_embed = attention.rel_attn_embed

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_bias: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None, torch.Tensor]:
        """Attends to the true frames of every utterance.

        Arguments
        ---------
        hidden_states : torch.Tensor
            Input, `[batch, time, channel]`.
        attention_mask : torch.Tensor, optional
            True on frames that are not padding, `[batch, time]`.
        position_bias : torch.Tensor, optional
            What the first layer returned, `[head, time, time]`; the first
            layer computes it.
        **kwargs
            What transformers passes besides, such as the layer's number.

        Returns
        -------
        tuple of torch.Tensor
            Output, `[batch, time, channel]`; None in the place of the
            attention weights; the position bias before gating.
        """
        if position_bias is None:
            position_bias = self._position_bias(hidden_states.shape[1])
        heads = self._split_heads(hidden_states)
        # In place: at [batch, head, time, time], a copy is worth avoiding.
        mask = self._gate(heads) * position_bias
        if attention_mask is not None:
            padding = attention_mask.ne(1)[:, None, None, :]
            mask = mask.masked_fill_(padding, -math.inf)
        attended = nn.functional.scaled_dot_product_attention(
            self._split_heads(self.q_proj(hidden_states)),
            self._split_heads(self.k_proj(hidden_states)),
            self._split_heads(self.v_proj(hidden_states)),
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
        output = self.out_proj(attended.transpose(1, 2).flatten(2))
        return output, None, position_bias

    def _split_heads(self, hidden_states: torch.Tensor) -> torch.Tensor:
        # [batch, time, channel] -> [batch, head, time, channel of the head]
        heads = hidden_states.unflatten(2, (self.num_heads, -1))
        return heads.transpose(1, 2)

    def _gate(self, heads: torch.Tensor) -> torch.Tensor:
        """Scale of the bias for every head and query, `[..., time, 1]`."""
        projected = self.gru_rel_pos_linear(heads).unflatten(-1, (2, 4))
        update, reset = projected.sum(dim=-1).sigmoid().chunk(2, dim=-1)
        return update * (reset * self.gru_rel_pos_const - 1.0) + 2.0

    def _position_bias(self, num_frames: int) -> torch.Tensor:
        """Bias of every query and key, `[head, time, time]`."""
        offsets = torch.arange(
            1 - num_frames,
            num_frames,
            device=self.rel_attn_embed.weight.device,
        )
        buckets = position_buckets(offsets, self.num_buckets, self.max_distance)
        # Without heads side by side, which would slow down all that follows.
        by_offset = self.rel_attn_embed(buckets).t().contiguous()
        # The windows begin at the offsets of the first key: that of the last
        # query comes first.
        return by_offset.unfold(1, num_frames, 1).flip(1)


def use_fused_attention(model: nn.Module) -> None:
    """Replaces the attention of all layers of a WavLM, in place.

    Arguments
    ---------
    model : torch.nn.Module
        A transformers `WavLMModel`.

    Example
    -------
    >>> from transformers import WavLMConfig, WavLMModel
    >>> model = WavLMModel(
    ...     WavLMConfig(
    ...         hidden_size=32,
    ...         num_attention_heads=2,
    ...         num_hidden_layers=1,
    ...         intermediate_size=16,
    ...     )
    ... )
    >>> names = list(model.state_dict())
    >>> use_fused_attention(model)
    >>> list(model.state_dict()) == names
    True
    """
    for layer in model.encoder.layers:
        layer.attention = FusedWavLMAttention(layer.attention)
