"""What a trained model says about itself to those who find it.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping
from typing import Any

from speechbrain_merit.metrics.results_table import markdown_table

_CARD = """\
---
license: {license}
library_name: speechbrain
tags:
- speechbrain
{tags}---

# {system}, trained on {corpus}

{purpose} It was trained with
speechbrain-merit, an independent implementation of J.-T. Tzeng, C. Busso and
C.-C. Lee, *Joint Learning using Mixture-of-Expert-Based Representation for
Speech Enhancement and Robust Emotion Recognition*, IEEE TASLP vol. 34, 2026,
[arXiv 2509.08470](https://arxiv.org/abs/2509.08470).

## Results

On the test set of fold {fold} of {corpus}, with seed {seed}. "Seen" noise is
of kinds that the model was trained with, "unseen" of kinds that it was not; the
checkpoint was chosen on the development set.

{table}
## Use

With speechbrain-merit installed, in the folder of this file:

```bash
speechbrain-merit process noisy.wav --model .{out}
```

```python
{code}
```

Loading runs what `hyperparams.yaml` says, as everywhere in SpeechBrain: load
it only if you trust where it comes from. With `--safe`, or with
`JointEnhancementClassifier.from_plain(".")`, nothing of the folder is run: the
model is built from `model.json` and `model.safetensors`, which hold plain data.

## Intended use and limits

Research on speech enhancement and on the recognition of emotion in noise. The
emotions are those that the corpus names, as its speakers expressed them: what
somebody feels cannot be told from it. Other languages, speakers, rooms and
noises may do worse than the table says. It is not meant for judging persons,
at work, at school, or by authorities.

## Training

- Speech and noise: {corpus}, as the recipe of that name in speechbrain-merit
  prepares it.
- Encoder: {encoder}.

## Licence

{license_note} The code is under the Apache License 2.0. The weights are
derived from the speech and noise recordings named above and from the encoder:
their licences and terms apply to whoever uses or passes on the weights. The
recipe's README names them.
"""
_PURPOSES = {
    "both": "It takes noisy speech and returns the enhanced speech and the "
    "speaker's emotion.",
    "enhance": "It takes noisy speech and returns the enhanced speech.",
    "emotion": "It takes noisy speech and names the speaker's emotion.",
}
_TAGS = {
    "enhance": ["audio-to-audio", "speech-enhancement"],
    "emotion": ["audio-classification", "speech-emotion-recognition"],
}
_LOADING = """\
from speechbrain_merit.inference import JointEnhancementClassifier

model = JointEnhancementClassifier.from_hparams(".")
"""
_CODE = {
    "both": 'result = model.process_file("noisy.wav", "enhanced.wav")\n'
    "print(result.labels[0], result.log_posteriors.exp())",
    "enhance": 'model.enhance_file("noisy.wav", "enhanced.wav")',
    "emotion": 'log_posteriors, _, _, labels = model.classify_file("noisy.wav")\n'
    "print(labels[0], log_posteriors.exp())",
}


def model_card(
    results: Mapping[str, Any], encoder: str | None, license: str
) -> str:
    """Writes a model card in the hub's format.

    Arguments
    ---------
    results : Mapping
        The experiment's results, as in its `results.json`.
    encoder : str or None
        What the encoder was before training; None for random weights.
    license : str
        The hub's identifier of the licence of the weights; `other` where it
        has none.

    Returns
    -------
    str
        Markdown with a head in YAML.

    Example
    -------
    >>> results = {"system": "se_only", "corpus": "mini", "fold": 0}
    >>> results.update(seed=1, conditions=[], routing=None)
    >>> print(model_card(results, None, "other"))
    ---
    license: other
    library_name: speechbrain
    ...
    """
    conditions = results["conditions"]
    tasks = [
        task
        for task, key in (("enhance", "se"), ("emotion", "ser"))
        if any(condition[key] for condition in conditions)
    ]
    kind = tasks[0] if len(tasks) == 1 else "both"
    tags = [tag for task in tasks for tag in _TAGS[task]]
    return _CARD.format(
        **{key: results[key] for key in ("system", "corpus", "fold", "seed")},
        license=license,
        tags="".join(f"- {tag}\n" for tag in tags),
        purpose=_PURPOSES[kind],
        table=markdown_table(results),
        out="" if kind == "emotion" else " --out enhanced",
        code=_LOADING + _CODE[kind],
        encoder=encoder or "trained from random weights",
        license_note=(
            "No licence has been named for the weights."
            if license == "other"
            else f"The weights are under {license}."
        ),
    )
