"""What a model says about itself to those who find it.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2

from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.metrics.results_table import markdown_table

TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("speechbrain_merit.export"),
    undefined=jinja2.StrictUndefined,
    keep_trailing_newline=True,
)


def trained_model_card(
    results: Mapping[str, Any], encoder: str | None, license: str
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
    license: other
    library_name: speechbrain
    ...
    """
    conditions = results["conditions"]
    tasks = [
        task
        for task, key in ((ENHANCE, "se"), (EMOTION, "ser"))
        if any(condition[key] for condition in conditions)
    ]
    return TEMPLATES.get_template("trained_card.md.jinja").render(
        {key: results[key] for key in ("system", "corpus", "fold", "seed")},
        tasks=tasks or [ENHANCE, EMOTION],
        table=markdown_table(results),
        encoder=encoder,
        license=license,
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
    'license: other'
    """
    return TEMPLATES.get_template("imported_card.md.jinja").render(
        tasks=[ENHANCE, EMOTION],
        source=source,
        gate=gate,
        num_experts=num_experts,
        emotions=emotions,
        license=license,
    )
