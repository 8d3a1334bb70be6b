"""SpeechBrain's way of loading a model, from its safetensors file.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path
from typing import Any

from speechbrain.utils.fetching import FetchSource
from speechbrain.utils.parameter_transfer import Pretrainer

from .folder import WEIGHTS, load_weights


class PlainPretrainer(Pretrainer):
    """A Pretrainer whose `model` lies in model.safetensors, not a pickle.

    So an exported folder holds its weights once, for `from_hparams`, for
    SpeechBrain's own interfaces and for `from_plain`.

    Arguments
    ---------
    loadables : dict of str to object
        As for SpeechBrain's `Pretrainer`, with a module under `model`.

    Example
    -------
    >>> from torch import nn
    >>> model = nn.Linear(2, 1)
    >>> PlainPretrainer({"model": model}).custom_hooks["model"].__name__
    'load_weights'
    """

    def __init__(self, loadables: dict[str, Any]) -> None:
        super().__init__(
            loadables=loadables, custom_hooks={"model": load_weights}
        )

    def collect_files(
        self,
        default_source: str | Path | FetchSource | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Does what SpeechBrain's does, with another name for the weights.

        Arguments
        ---------
        default_source : str, Path or FetchSource, optional
            Where the files are.
        **kwargs : Any
            As for SpeechBrain's.

        Returns
        -------
        dict
            Local path of every loadable.
        """
        if default_source is not None:
            self.add_paths({"model": _weights_of(default_source)})
        return super().collect_files(default_source, **kwargs)


def _weights_of(source: str | Path | FetchSource) -> str | FetchSource:
    if isinstance(source, FetchSource):
        return FetchSource(source[0], f"{source[1]}/{WEIGHTS}")
    return f"{source}/{WEIGHTS}"
