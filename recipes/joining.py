"""Several corpora as one: each prepared by itself, then joined.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain_merit.data.labels import map_label
from speechbrain_merit.data.manifests import (
    NOISE_SPLITS,
    UTTERANCE_SPLITS,
    manifest_paths,
    of_corpus,
    read_manifest,
)
from speechbrain_merit.data.preparation import write_manifests


def join_corpora(
    data_folder: str,
    noise_folder: str | None,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int | str,
    seed: int,
    *,
    prepare: Mapping[str, Callable[..., None]],
    emotions: Sequence[str],
    label_mapping: Mapping[str, str | None],
    left_out: Collection[str] = (),
    **options: Mapping[str, Any],
) -> None:
    """Prepares every corpus in a folder of its own, and joins the manifests.

    Identities have the corpus before them, and all items have the field
    `corpus`. Labels are mapped. A recording of noise that several corpora
    name is taken once.

    Arguments
    ---------
    data_folder : str
        Where the speech is; for each corpus its own by `of_corpus`, as are
        `noise_folder` and `fold`.
    noise_folder : str, optional
        Where the noise is.
    manifest_folder : str or Path
        Where to write; made where needed.
    sample_rate_hz : int
        Given to every corpus.
    fold : int or str
        Which split of the corpora is tested.
    seed : int
        Given to every corpus.
    prepare : Mapping
        Preparation function by corpus.
    emotions : sequence of str
        Those of the model.
    label_mapping : Mapping
        As for `map_label`; with `NAME:` before a label, for that corpus
        alone.
    left_out : collection of str
        Corpora that are tested and not trained on, nor their noise.
    **options
        Further arguments of a corpus's function, by corpus.

    Raises
    ------
    ValueError
        If a corpus is unknown, an emotion is none of the model's, or noise is
        heard in training with one corpus and not with another.

    Example
    -------
    >>> join_corpora(
    ...     "a",
    ...     "b",
    ...     "c",
    ...     16000,
    ...     0,
    ...     1,
    ...     prepare={},
    ...     emotions=["sad"],
    ...     label_mapping={},
    ...     left_out=["nEMO"],
    ... )
    Traceback (most recent call last):
    ...
    ValueError: ['nEMO'] are none of the corpora, which are [].
    """
    if unknown := sorted({*left_out, *options} - prepare.keys()):
        raise ValueError(
            f"{unknown} are none of the corpora, which are {[*prepare]}."
        )
    joined: dict[str, dict[str, Any]] = {n: {} for n in manifest_paths("")}
    heard: dict[tuple[str, float], str] = {}
    for corpus, prepare_corpus in prepare.items():
        folder = Path(manifest_folder) / corpus
        own_fold = of_corpus(fold, corpus)
        own_noise = noise_folder and of_corpus(noise_folder, corpus)
        prepare_corpus(
            data_folder=of_corpus(data_folder, corpus),
            noise_folder=own_noise,
            manifest_folder=folder,
            sample_rate_hz=sample_rate_hz,
            fold=int(own_fold) if own_fold.isdigit() else own_fold,
            seed=seed,
            **options.get(corpus, {}),
        )
        # What is for one corpus comes after what is for all.
        mapping: dict[str | None, str | None] = {
            key.removeprefix(f"{corpus}:"): label_mapping[key]
            for key in sorted(label_mapping, key=lambda key: ":" in key)
        }
        for name, path in manifest_paths(folder).items():
            if corpus in left_out and name.endswith(("train", "valid")):
                continue
            for identity, fields in read_manifest(path).items():
                fields = {"start_s": 0.0, **fields, "corpus": corpus}
                if name in UTTERANCE_SPLITS:
                    fields["emotion"] = map_label(
                        fields["emotion"], emotions, mapping, corpus
                    )
                else:
                    wav = fields["wav"].replace("{noise_root}", str(own_noise))
                    place = (os.path.realpath(wav), fields["start_s"])
                    if heard.get(place, name) != name:
                        raise ValueError(
                            f"{wav} is in {heard[place]} of one corpus and in "
                            f"{name} of {corpus}: give the corpora noise "
                            "folders of their own, or divide it alike."
                        )
                    if place in heard:
                        continue
                    heard[place] = name
                joined[name][f"{corpus}_{identity}"] = fields
    for entries in joined.values():
        keys = dict.fromkeys(key for e in entries.values() for key in e)
        for identity, fields in entries.items():
            entries[identity] = {**dict.fromkeys(keys), **fields}
    write_manifests(
        {name: joined[name] for name in UTTERANCE_SPLITS},
        {name: joined[f"noise_{name}"] for name in NOISE_SPLITS},
        manifest_folder,
        # As far as the corpora allow it, which have been checked.
        may_be_empty=[name for name in joined if name.startswith("noise_")],
    )
