"""What an imported model says about itself to those who find it.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

_CARD = """\
---
license: {license}
library_name: speechbrain
tags:
- speechbrain
- audio-to-audio
- speech-enhancement
- audio-classification
- speech-emotion-recognition
---

# {kind} MERIT, imported from {source}

It takes noisy speech and returns the enhanced speech and the speaker's
emotion: {emotions}. The weights are those of `{source}`, a checkpoint in the
format of the code published with J.-T. Tzeng, C. Busso and C.-C. Lee, *Joint
Learning using Mixture-of-Expert-Based Representation for Speech Enhancement
and Robust Emotion Recognition*, IEEE TASLP vol. 34, 2026,
[arXiv 2509.08470](https://arxiv.org/abs/2509.08470). speechbrain-merit, an
independent implementation, runs them; it has changed none of them.

## Use

With speechbrain-merit installed, in the folder of this file:

```bash
speechbrain-merit process noisy.wav --model . --out enhanced
```

```python
from speechbrain_merit.inference import JointEnhancementClassifier

model = JointEnhancementClassifier.from_hparams(".")
result = model.process_file("noisy.wav", "enhanced.wav")
print(result.labels[0], result.log_posteriors.exp())
```

Loading runs what `hyperparams.yaml` says, as everywhere in SpeechBrain: load
it only if you trust where it comes from.
`speechbrain-merit export-official` gives back the files that it was made of;
`official_extras.ckpt` is there for that alone.

## Model

- Encoder: WavLM, all hidden states, the last one from before the final
  LayerNorm.
- {num_experts} shared experts; {gate}.
- Waveforms are normalised by the mean and the standard deviation of the
  training set, which are stored with the model.

## Intended use and limits

Research on speech enhancement and on the recognition of emotion in noise. The
emotions are those that the training corpus names, as listeners heard them:
what somebody feels cannot be told from it. Other languages, speakers, rooms
and noises may do worse than what has been reported. It is not meant for
judging persons, at work, at school, or by authorities.

## Training and results

Nothing has been trained or scored here: see the paper, and those who made the
checkpoint. The paper's corpus is MSP-Podcast 1.11, with noise of
CRSS-4ENGLISH-14, Freesound and the DNS Challenge.

## Licence

{license_note} The code is under the Apache License 2.0. The weights are
derived from speech and noise recordings and from WavLM: their licences and
terms, and those of the checkpoint, apply to whoever uses or passes on the
weights.
"""
_GATES = {
    "sparse": "every frame goes to one of them, which a gate per task chooses",
    "dense": "every frame goes to all of them, weighted by a gate per task",
}


def official_model_card(
    source: str,
    gate: str,
    num_experts: int,
    emotions: Sequence[str],
    license: str,
) -> str:
    """Writes a model card in the hub's format.

    Arguments
    ---------
    source : str
        Where the checkpoint came from.
    gate : str
        `sparse` or `dense`.
    num_experts : int
        Number of experts.
    emotions : sequence of str
        Names of the classes.
    license : str
        The hub's identifier of the licence of the weights; `other` where it
        has none.

    Returns
    -------
    str
        Markdown with a head in YAML.

    Example
    -------
    >>> card = official_model_card("a/b", "dense", 3, ["sad"], "other")
    >>> card.splitlines()[1]
    'license: other'
    """
    return _CARD.format(
        source=source,
        kind=gate.capitalize(),
        gate=_GATES[gate],
        num_experts=num_experts,
        emotions=", ".join(emotions),
        license=license,
        license_note=(
            "No licence has been named for the weights."
            if license == "other"
            else f"The weights are under {license}."
        ),
    )
