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
    markdown_text,
)

TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("speechbrain_merit.export"),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)
TEMPLATES.filters["text"] = markdown_text
# Where results have a task's scores, and what the hub calls the task.
_TASKS = {
    ENHANCE: ("se", "audio-to-audio", "speech-enhancement"),
    EMOTION: ("ser", "audio-classification", "speech-emotion-recognition"),
}
_HEADINGS = {**EMOTION_HEADINGS, **ENHANCEMENT_HEADINGS}


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
        for task, (key, *_) in _TASKS.items()
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
    known: dict[str, Any] = {"language": [*language]}
    if results is not None:
        scores = list(_scores(tasks, results))
        metrics = list(dict.fromkeys(score.metric_type for score in scores))
        known |= {"datasets": [results["corpus"].lower()], "metrics": metrics}
        known |= {"eval_results": scores, "model_name": results["system"]}
    return ModelCardData(
        license=license,
        library_name="speechbrain",
        tags=["speechbrain", *(t for task in tasks for t in _TASKS[task][1:])],
        **{key: value for key, value in known.items() if value},
    ).to_yaml()


def _scores(
    tasks: Sequence[str], results: Mapping[str, Any]
) -> Iterator[EvalResult]:
    corpus = results["corpus"]
    for entry in results["conditions"]:
        condition = Condition(entry["noise"], entry["snr_db"]).name
        for key, task_type, name in (_TASKS[task] for task in tasks):
            for metric, value in (entry[key] or {}).items():
                if metric in _HEADINGS and value is not None:
                    title, decimals = _HEADINGS[metric]
                    yield EvalResult(
                        task_type,
                        corpus.lower(),
                        f"{corpus}, {condition}",
                        metric,
                        round(value, decimals),
                        task_name=name.replace("-", " "),
                        metric_name=title,
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
