"""What a model says about itself to those who find it.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jinja2
from huggingface_hub import EvalResult, ModelCardData

from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.results_table import (
    EMOTION_HEADINGS,
    ENHANCEMENT_HEADINGS,
    markdown_table,
)

TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("speechbrain_merit.export"),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)
# What the hub calls the tasks; where results have their scores, and how these
# are called.
_TASKS = {
    ENHANCE: (
        "audio-to-audio",
        "speech-enhancement",
        "se",
        ENHANCEMENT_HEADINGS,
    ),
    EMOTION: (
        "audio-classification",
        "speech-emotion-recognition",
        "ser",
        EMOTION_HEADINGS,
    ),
}


def trained_model_card(
    results: Mapping[str, Any],
    encoder: str | None,
    license: str,
    language: Sequence[str] = (),
    samples: Sequence[tuple[str, str, str]] = (),
) -> str:
    """Writes the card of a model that was trained here, in the hub's format.

    Arguments
    ---------
    results : Mapping
        The experiment's results, as in its `results.json`.
    encoder : str or None
        What the encoder was before training; None for random weights.
    license : str
        The hub's identifier of the licence of the weights; `other` where it
        has none.
    language : sequence of str
        The hub's identifiers of the languages of the training data.
    samples : sequence of tuple
        Addresses of an original and of what was made of it, and its emotions.

    Returns
    -------
    str
        Markdown with a head in YAML.

    Example
    -------
    >>> results = {"system": "se_only", "corpus": "mini", "fold": 0}
    >>> results.update(seed=1, conditions=[], routing=None)
    >>> print(trained_model_card(results, None, "other"))
    ---
    datasets:
    - mini
    library_name: speechbrain
    ...
    """
    conditions = results["conditions"]
    tasks = [
        task
        for task, (_, _, key, _) in _TASKS.items()
        if any(condition[key] for condition in conditions)
    ]
    return TEMPLATES.get_template("trained_card.md.jinja").render(
        {key: results[key] for key in ("system", "corpus", "fold", "seed")},
        tasks=tasks or [*_TASKS],
        metadata=_metadata(tasks or [*_TASKS], license, language, results),
        table=markdown_table(results),
        encoder=encoder,
        license=license,
        samples=samples,
    )


def _metadata(
    tasks: Sequence[str],
    license: str,
    language: Sequence[str] = (),
    results: Mapping[str, Any] | None = None,
) -> str:
    """Writes the head of a card, from which the hub lists and compares."""
    tags = [tag for task in tasks for tag in _TASKS[task][:2]]
    known: dict[str, Any] = {}
    if results is not None:
        scores = [*_scores(tasks, results)]
        metrics = list(dict.fromkeys(score.metric_type for score in scores))
        known = {
            "datasets": [results["corpus"].lower()],
            "metrics": metrics or None,
            "eval_results": scores or None,
            "model_name": results["system"],
        }
    return ModelCardData(
        language=[*language] or None,
        license=license,
        library_name="speechbrain",
        tags=["speechbrain", *tags],
        **known,
    ).to_yaml()


def _scores(
    tasks: Sequence[str], results: Mapping[str, Any]
) -> Iterator[EvalResult]:
    for entry in results["conditions"]:
        condition = Condition(entry["noise"], entry["snr_db"]).name
        for task in tasks:
            task_type, name, key, headings = _TASKS[task]
            for metric, value in (entry[key] or {}).items():
                if metric in headings and value is not None:
                    title, decimals = headings[metric]
                    yield EvalResult(
                        task_type=task_type,
                        task_name=name.replace("-", " "),
                        dataset_type=results["corpus"].lower(),
                        dataset_name=f"{results['corpus']}, {condition}",
                        metric_type=metric,
                        metric_name=title,
                        metric_value=round(value, decimals),
                    )


def imported_model_card(
    source: str,
    gate: str,
    num_experts: int,
    emotions: Sequence[str],
    license: str,
) -> str:
    """Writes the card of a checkpoint that was imported.

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
        As for `trained_model_card`.

    Returns
    -------
    str
        Markdown with a head in YAML.

    Example
    -------
    >>> card = imported_model_card("a/b", "dense", 3, ["sad"], "other")
    >>> card.splitlines()[1]
    'library_name: speechbrain'
    """
    return TEMPLATES.get_template("imported_card.md.jinja").render(
        tasks=[*_TASKS],
        metadata=_metadata([*_TASKS], license),
        source=source,
        gate=gate,
        num_experts=num_experts,
        emotions=emotions,
        license=license,
    )
