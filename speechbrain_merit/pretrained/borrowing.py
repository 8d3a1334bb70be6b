"""A trained model for another run: to start from, or to test as it is.

Authors
 * The speechbrain-merit developers 2026
"""

import io
from collections.abc import Sequence
from pathlib import Path

import ruamel.yaml

from speechbrain_merit.config import read_overrides, read_settings
from speechbrain_merit.lobes import JointModel

from .folder import (
    find_pretrained_folder,
    load_emotions,
    load_model,
    read_encoder_config,
)


def without_encoder_source(hparams_file: str | Path, overrides: str) -> str:
    """Lets a test of a trained model do without the encoder's source.

    Arguments
    ---------
    hparams_file : str or Path
        The variant.
    overrides : str
        In YAML, of the corpus and of the command line.

    Returns
    -------
    str
        Overrides that build the encoder as that of `pretrained_folder` is,
        with random weights; unchanged where that is null.

    Raises
    ------
    FileNotFoundError
        If `pretrained_folder` does not hold a model.

    Example
    -------
    >>> path = getfixture("tmpdir") / "variant.yaml"
    >>> path.write("pretrained_folder: null")
    >>> without_encoder_source(path, "seed: 1")
    'seed: 1'
    """
    folder = read_settings(hparams_file, overrides).merged["pretrained_folder"]
    if folder is None:
        return overrides
    options = read_overrides(overrides)
    options["encoder_source"] = None
    options["encoder_config"] = read_encoder_config(
        find_pretrained_folder(folder)
    )
    text = io.StringIO()
    ruamel.yaml.YAML().dump(options, text)
    return text.getvalue()


def borrow_model(
    source: str | Path, own: JointModel, emotions: Sequence[str], as_it_is: bool
) -> JointModel:
    """Takes a trained model, or its weights.

    Arguments
    ---------
    source : str or Path
        Its folder, or the output folder of its training.
    own : JointModel
        The run's model, with the tasks of the trained one.
    emotions : sequence of str
        Those of the run, in the order of the logits.
    as_it_is : bool
        Whether to take the model, which may have other parts and sizes than
        the run's own, or else its weights.

    Returns
    -------
    JointModel
        The trained model, or the run's own with its weights.

    Raises
    ------
    FileNotFoundError
        If the folder does not hold a model.
    ValueError
        If the model has other tasks or emotions, or cannot give its weights.

    Example
    -------
    >>> borrow_model("nowhere", None, ["angry", "sad"], as_it_is=True)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no hyperparams.yaml: give the ...
    """
    folder = find_pretrained_folder(source)
    model, known = load_model(folder), load_emotions(folder)
    if model.tasks != own.tasks or known != list(emotions):
        raise ValueError(
            f"The model of {folder} has the tasks {model.tasks} and the "
            f"emotions {known}: take the variant that it was trained as, "
            "and its emotions."
        )
    if as_it_is:
        return model
    try:
        own.load_state_dict(model.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"The model of {folder} has other parts or sizes than the one to "
            f"be trained from it: {error}"
        ) from error
    return own
