"""Prepares MyCorpus: files `speaker/emotion_number.wav`.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path

from speechbrain_merit.data.preparation import (
    Utterance,
    audio_files,
    cyclic_split,
    layout_error,
    prepare_corpus,
)

NUM_FOLDS = 4


def prepare_mycorpus(
    data_folder,
    noise_folder,
    manifest_folder,
    sample_rate_hz,
    fold,
    seed,
    **options,
):
    """Writes the seven manifests of one of four folds by speaker."""
    data_folder = Path(data_folder)
    if not data_folder.is_dir():
        raise layout_error(data_folder, "speakers' folders", "speakers")
    speakers = sorted(f.name for f in data_folder.iterdir() if f.is_dir())
    utterances = [
        Utterance(
            name=f"{speaker}_{path.stem}",
            path=f"{speaker}/{path.name}",
            split=cyclic_split(number, fold, NUM_FOLDS),
            speaker=speaker,
            emotion=path.stem.split("_")[0],
        )
        for number, speaker in enumerate(speakers)
        for path in audio_files(data_folder / speaker, ".wav")
    ]
    prepare_corpus(
        utterances, data_folder, noise_folder, manifest_folder, seed, **options
    )
