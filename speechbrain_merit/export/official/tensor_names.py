"""Every tensor of the published files: its name there and here.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping

import torch

from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE

from . import published_files as files

Weights = Mapping[str, Mapping[str, torch.Tensor]]

# The published order of the tasks.
TASKS = (ENHANCE, EMOTION)
# The start of our names, and the file that holds what follows; the first counts.
_FILES = {
    "encoder.features.model.": files.ENCODER,
    "integrator.": files.INTEGRATOR,
    "emotion_head.pooling.": files.POOLING,
    "emotion_head.": files.EMOTION_HEAD,
    "enhancement_head.": files.ENHANCEMENT_HEAD,
}
# What is spelled in another way, first in our names and then in theirs.
_SPELLINGS = {
    files.ENCODER: {
        r"masked_spec_embed": "mask_emb",
        r"feature_projection\.projection": "post_extract_proj",
        r"feature_projection\.": "",
        r"(conv_layers\.\d+)\.conv": r"\1.0",
        r"(conv_layers\.\d+)\.layer_norm": r"\1.2.1",
        r"pos_conv_embed\.conv": "pos_conv.0",
        r"(layers\.\d+)\.layer_norm": r"\1.self_attn_layer_norm",
        r"\.attention\.": ".self_attn.",
        r"gru_rel_pos_const": "grep_a",
        r"gru_rel_pos_linear": "grep_linear",
        r"rel_attn_embed": "relative_attention_bias",
        r"feed_forward\.intermediate_dense": "fc1",
        r"feed_forward\.output_dense": "fc2",
    },
    files.INTEGRATOR: {
        rf"gates\.{task}\.": f"gates.{number}."
        for number, task in enumerate(TASKS)
    },
    files.POOLING: {r"projection": "sap_linear"},
    files.EMOTION_HEAD: {
        r"hidden\.1": "fc.0.0",
        r"hidden\.2": "fc.0.1",
        r"output": "out.0",
    },
    # Here every layer and direction is an LSTM of its own.
    files.ENHANCEMENT_HEAD: {
        r"input_projection": "lstm_enc.0",
        r"output_projection": "lstm_enc.2",
        r"blstm\.forwards\.(\d)\.(.*)_l0": r"lstm_enc.1.blstm.\2_l\1",
        r"blstm\.backwards\.(\d)\.(.*)_l0": r"lstm_enc.1.blstm.\2_l\1_reverse",
    },
}
# Weight norm was spelled in another way by torch before 2.1.
_OLD_WEIGHT_NORM = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
# Sizes that the encoder's configuration does not tell: what the published
# system has, the tensors that tell, and their axis of that length.
_SIZES = {
    "num_experts": (3, files.INTEGRATOR, r"gates\.", 0),
    "expert_hidden_size": (4096, files.INTEGRATOR, r"experts\.\d+\.fc1\.", 0),
    "feature_size": (1024, files.INTEGRATOR, r"experts\.\d+\.fc2\.", 0),
    "mask_hidden_size": (256, files.ENHANCEMENT_HEAD, r".*\.weight_hh_", -1),
    "emotion_hidden_size": (1024, files.EMOTION_HEAD, r"fc\.", 0),
    "num_classes": (4, files.EMOTION_HEAD, r"out\.", 0),
}


def sizes_of(weights: Weights) -> dict[str, int]:
    """Tells the sizes that the encoder's configuration does not.

    Arguments
    ---------
    weights : Mapping
        The tensors of every file.

    Returns
    -------
    dict of str to int
        What most tensors say, so that one which differs is the one that is
        named later on; what the published system has where none says anything.

    Example
    -------
    >>> weights = dict.fromkeys(files.WEIGHTS, {})
    >>> weights["final_ser.pt"] = {"out.0.bias": torch.zeros(8)}
    >>> sizes_of(weights)["num_classes"], sizes_of(weights)["num_experts"]
    (8, 3)
    """
    found = {}
    for name, (published, file, pattern, axis) in _SIZES.items():
        votes = Counter(
            tensor.shape[axis]
            for key, tensor in weights[file].items()
            if re.match(pattern, key) and tensor.ndim
        )
        found[name] = votes.most_common(1)[0][0] if votes else published
    return found


def rename(
    expected: Mapping[str, torch.Tensor], weights: Weights
) -> dict[str, torch.Tensor]:
    """Gives every tensor its name in our model, and accounts for all.

    Arguments
    ---------
    expected : Mapping
        Tensors of our model, of the right shapes.
    weights : Mapping
        The tensors of every file.

    Returns
    -------
    dict of str to torch.Tensor
        The given tensors by our names.

    Raises
    ------
    ValueError
        If tensors are unknown, missing, or of another shape or kind; names
        all of them.

    Example
    -------
    >>> weights = dict.fromkeys(files.WEIGHTS, {})
    >>> rename({"emotion_head.output.bias": torch.zeros(4)}, weights)
    Traceback (most recent call last):
    ...
    ValueError: These tensors are not as the published files have them:
    final_ser.pt: out.0.bias is missing...
    """
    names = {ours: _published_name(ours, weights) for ours in expected}
    shapes = {names[ours]: expected[ours].shape for ours in expected}
    shapes.update(_unused(expected))
    problems = list(_problems(shapes, weights))
    if problems:
        raise ValueError(
            "These tensors are not as the published files have them:\n"
            + "\n".join(problems)
        )
    return {ours: weights[file][name] for ours, (file, name) in names.items()}


def _published_name(ours: str, weights: Weights) -> tuple[str, str]:
    """File and name of one of our tensors."""
    start = next(start for start in _FILES if ours.startswith(start))
    file, name = _FILES[start], ours.removeprefix(start)
    for pattern, replacement in _SPELLINGS[file].items():
        name = re.sub(pattern, replacement, name)
    old = tuple(_OLD_WEIGHT_NORM.values())
    if any(given.endswith(old) for given in weights[files.ENCODER]):
        for new, spelling in _OLD_WEIGHT_NORM.items():
            name = name.replace(new, spelling)
    return file, name


def _unused(
    expected: Mapping[str, torch.Tensor],
) -> dict[tuple[str, str], torch.Size]:
    """Shapes of what the published enhancement head carries along unused.

    BSSE-SE sums the hidden states with it, as many as there are norms here.
    """
    norms = {
        ours.replace("integrator.layer_norms", "layer_norm"): tensor.shape
        for ours, tensor in expected.items()
        if ours.startswith("integrator.layer_norms.")
    }
    shapes = {**norms, "weights": torch.Size([len(norms) // 2])}
    return {
        (files.ENHANCEMENT_HEAD, name): shape for name, shape in shapes.items()
    }


def _problems(
    shapes: Mapping[tuple[str, str], torch.Size], weights: Weights
) -> Iterator[str]:
    for (file, name), shape in shapes.items():
        tensor = weights[file].get(name)
        if tensor is None:
            yield f"{file}: {name} is missing"
        elif tensor.shape != shape:
            found = list(tensor.shape)
            yield f"{file}: {name} is {found}, not {list(shape)}"
        elif not tensor.is_floating_point():
            yield f"{file}: {name} is {tensor.dtype}, not of floating point"
    for file, given in weights.items():
        for name in given:
            if (file, name) not in shapes:
                yield f"{file}: {name} is unknown"
