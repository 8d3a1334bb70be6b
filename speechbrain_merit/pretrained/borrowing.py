"""A trained model for another run: to start from, or to test as it is.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path

import ruamel.yaml

from speechbrain_merit.config import Composition
from speechbrain_merit.lobes import JointModel

from .folder import (
    LABELS,
    find_pretrained_folder,
    load_model,
    read_emotions,
    read_encoder_config,
)


def replace_encoder_source(composed: Composition) -> None:
    """Lets a run that takes a trained model do without the encoder's source.

    The encoder will be as that of `pretrained_folder`, whose weights take the
    place of random ones; nothing is changed where that is null.

    Arguments
    ---------
    composed : Composition
        All hyperparameters.

    Raises
    ------
    FileNotFoundError
        If `pretrained_folder` does not hold a model.

    Example
    -------
    >>> from speechbrain_merit.config import compose
    >>> path = getfixture("tmpdir") / "variant.yaml"
    >>> path.write("pretrained_folder: nowhere")
    >>> replace_encoder_source(compose(path))
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no hyperparams.yaml: give the ...
    """
    resolved = ruamel.yaml.YAML().load(composed.resolve())
    folder = resolved["pretrained_folder"]
    if folder is not None:
        composed.tree["encoder_source"] = None
        composed.tree["encoder_config"] = read_encoder_config(
            find_pretrained_folder(folder)
        )


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
    model, known = load_model(folder), read_emotions(Path(folder) / LABELS)
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
