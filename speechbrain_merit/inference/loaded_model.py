"""Loading a trained model for use.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from speechbrain.inference.interfaces import Pretrained
from speechbrain.utils.fetching import fetch
from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.data.reading_errors import naming_file
from speechbrain_merit.pretrained import MERIT_BASE
from speechbrain_merit.pretrained.folder import (
    HYPERPARAMETERS,
    LABELS,
    find_model,
)
from speechbrain_merit.pretrained.safe_loading import load_safely
from speechbrain_merit.pretrained.weights import WEIGHTS

from .devices import with_device_name


class LoadedModel(Pretrained):
    """A trained model, and what belongs to its use.

    Arguments
    ---------
    modules : Mapping, optional
        As for SpeechBrain's `Pretrained`.
    hparams : Mapping, optional
        As for SpeechBrain's `Pretrained`.
    run_opts : RunOptions or Mapping, optional
        As for SpeechBrain's `Pretrained`; the device may be a `torch.device`
        too, or a name as `cpu`, `cuda`, `cuda:1` or `mps`.
    freeze_params : bool
        As for SpeechBrain's `Pretrained`.

    Raises
    ------
    ValueError
        If the device is not there, or something is missing in the source.
    """

    MODULES_NEEDED = ["model"]
    HPARAMS_NEEDED = ["label_encoder", "sample_rate_hz"]

    def __init__(
        self,
        modules: Mapping[str, torch.nn.Module] | None = None,
        hparams: Mapping[str, Any] | None = None,
        run_opts: RunOptions | Mapping[str, Any] | None = None,
        freeze_params: bool = True,
    ) -> None:
        super().__init__(
            modules, hparams, with_device_name(run_opts), freeze_params
        )
        self._check_labels()

    def _check_labels(self) -> None:
        # SpeechBrain passes over a file of labels that it cannot read.
        model = self.mods.model
        head = getattr(model, "classifier", model)
        head = getattr(head, "emotion_head", None)
        num_classes = getattr(head, "num_classes", None)
        if num_classes is not None and len(self.emotions) != num_classes:
            raise ValueError(
                f"The model scores {num_classes} emotions, but their names "
                f"are {self.emotions}: its label_encoder.ckpt is damaged, or "
                "another model's."
            )

    @classmethod
    def from_hparams(
        cls,
        source: str | Path = MERIT_BASE,
        hparams_file: str = "hyperparams.yaml",
        **kwargs: Any,
    ) -> Any:
        """Loads a trained model.

        Arguments
        ---------
        source : str or Path
            A folder that train.py or `speechbrain-merit export` made: an
            experiment's output folder, its `pretrained` folder, or an
            exported one; or the hub's name of such a model. By default the
            model that comes with this package.
        hparams_file : str
            Its file of hyperparameters.
        **kwargs : Any
            As for SpeechBrain's `Pretrained.from_hparams`, e.g.
            `run_opts={"device": "cuda:1"}`.

        Returns
        -------
        LoadedModel
            Ready to use.
        """
        source = find_model(source)
        # What is wrong with it is not the model's fault.
        with_device_name(kwargs.get("run_opts"))
        with naming_file(source):
            return super().from_hparams(source, hparams_file, **kwargs)

    @classmethod
    def from_plain(
        cls,
        source: str | Path = MERIT_BASE,
        savedir: str | Path | None = None,
        **kwargs: Any,
    ) -> Any:
        """Loads a trained model as plain data: runs nothing of the source.

        Of its hyperparams.yaml, only the model is read, and only parts of
        `speechbrain_merit.lobes` are built; model.safetensors and the labels
        cannot hold code. Use it for a model whose source you cannot trust.

        Arguments
        ---------
        source : str or Path
            As for `from_hparams`.
        savedir : str or Path, optional
            Where to link what came from the hub.
        **kwargs : Any
            As for the class, e.g. `run_opts={"device": "cuda:1"}`.

        Returns
        -------
        LoadedModel
            Ready to use.

        Raises
        ------
        FileNotFoundError
            If a folder does not have these files.
        ValueError
            If they are not what they should be, or a tensor is missing.
        """
        source = find_model(source)
        names = (HYPERPARAMETERS, WEIGHTS, LABELS)
        if Path(source).is_dir():
            files = [Path(source) / name for name in names]
        else:
            with naming_file(source):
                files = [fetch(name, source, savedir) for name in names]
        model, labels, sample_rate_hz = load_safely(*files)
        hparams = {"label_encoder": labels, "sample_rate_hz": sample_rate_hz}
        return cls({"model": model}, hparams, **kwargs)

    @property
    def emotions(self) -> list[str]:
        """Names of the classes in the order of the posteriors."""
        names = self.hparams.label_encoder.ind2lab
        return [names[index] for index in sorted(names)]
