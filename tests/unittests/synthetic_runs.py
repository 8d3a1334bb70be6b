"""Result folders as train.py leaves them, with scores made up.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import json
from pathlib import Path

import numpy as np

from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.results import MIXTURE_COLUMNS

EMOTIONS = ("angry", "sad", "happy", "neutral")
CONDITIONS = (
    Condition("clean"),
    Condition("seen", -5.0),
    Condition("seen", 5.0),
    Condition("unseen", -5.0),
    Condition("unseen", 5.0),
)
METRICS = ("pesq_wb", "stoi", "ssnr_db", "si_sdr_db")


def write_run(
    folder: Path,
    system: str = "sparse_merit",
    fold: int = 0,
    seed: int = 1,
    accuracy: float = 0.7,
    shift: float = 0.0,
    tasks: tuple[str, ...] = ("ser", "se"),
    num_utterances: int = 40,
    corpus: str = "mini",
    **mixture: object,
) -> Path:
    """Writes results.json and per_utterance.csv of a run.

    Arguments
    ---------
    folder : Path
        Where to write.
    system : str
        Name of the system.
    fold : int
        Which fold; its utterances and their scores depend on it.
    seed : int
        Of the training; what is predicted depends on it.
    accuracy : float
        Share of the utterances whose emotion is recognised.
    shift : float
        Added to all scores of the enhanced speech.
    tasks : tuple of str
        What the system does.
    num_utterances : int
        Utterances by four speakers in turns.
    corpus : str
        Name of the corpus.
    **mixture : object
        Columns of all mixtures that are to differ.

    Returns
    -------
    Path
        The folder.
    """
    folder.mkdir(parents=True)
    given = {"system": system, "corpus": corpus, "fold": fold, "seed": seed}
    (folder / "results.json").write_text(
        json.dumps({**given, "conditions": [], "routing": None})
    )
    columns = ["id", "condition", "noise", "snr_db", *MIXTURE_COLUMNS]
    columns += ["true", "predicted", *(f"posterior_{e}" for e in EMOTIONS)]
    columns += [*METRICS, *(f"noisy_{metric}" for metric in METRICS)]
    noises = np.random.default_rng(fold)
    guesses = np.random.default_rng([seed, fold])
    with open(folder / "per_utterance.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        for condition in CONDITIONS:
            for number in range(num_utterances):
                row = _mixture(fold, number, condition) | mixture
                scores = noises.normal(2.0, 0.5, len(METRICS))
                hit = guesses.random() < accuracy
                if "ser" in tasks:
                    row |= _judgement(number, number if hit else number + 1)
                if "se" in tasks:
                    row |= dict(zip(METRICS, scores + shift, strict=True))
                    for metric, score in zip(METRICS, scores, strict=True):
                        row[f"noisy_{metric}"] = score - 1
                writer.writerow(row)
    return folder


def _mixture(fold: int, number: int, condition: Condition) -> dict:
    utterance = f"f{fold}_u{number:03}"
    row = {
        "id": f"{utterance}_{condition.name}",
        "condition": condition.name,
        "noise": condition.noise,
        "utterance": utterance,
        "speaker": f"f{fold}_s{number // 4 % 4}",
        "start_s": 0.25,
        "duration_s": 1.5,
    }
    if condition.snr_db is not None:
        noise_type = ("rain", "hum")[number % 2]
        row |= {"snr_db": condition.snr_db, "noise_type": noise_type}
        row |= {"noise_id": f"{noise_type}_3", "noise_offset": 7 * number}
    return row


def _judgement(true: int, predicted: int) -> dict:
    names = [EMOTIONS[index % len(EMOTIONS)] for index in (true, predicted)]
    shares = {f"posterior_{name}": 0.1 for name in EMOTIONS}
    shares[f"posterior_{names[1]}"] = 0.7
    return {"true": names[0], "predicted": names[1], **shares}
