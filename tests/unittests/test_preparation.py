"""Durations that are remembered, and noise sets of every layout."""

import collections
import json

import pytest
from made_corpora import make_noise, write_sound

from speechbrain.dataio import audio_io
from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    read_manifest,
    write_manifest,
)
from speechbrain_merit.data.preparation import (
    Utterance,
    audio_files,
    durations,
    layout_error,
    measure_durations,
    prepare_corpus,
    prepare_noise,
    read_table,
)


@pytest.fixture
def read_headers(monkeypatch):
    """Counts how often a header is read."""
    read, real = [], durations.audio_info

    def info(path):
        read.append(path)
        return real(path)

    monkeypatch.setattr(durations, "audio_info", info)
    return read


def noise_of(folder, **options):
    return prepare_noise(folder, folder.parent / "cache", 0, **options)


def types_of(entries):
    return {
        split: {fields["noise_type"] for fields in items.values()}
        for split, items in entries.items()
    }


# Durations


def measure(folder, paths, **options):
    return measure_durations(folder, paths, folder / "cache", **options)


def test_headers_are_read_once(tmp_path, monkeypatch, read_headers):
    paths = [f"{number}.wav" for number in range(150)]
    for number, path in enumerate(paths):
        write_sound(tmp_path / path, 0.01 * (1 + number % 5))
    found, faults = measure(tmp_path, paths)
    assert found == {
        path: pytest.approx(0.01 * (1 + number % 5))
        for number, path in enumerate(paths)
    }
    assert not faults and len(read_headers) == 150
    assert measure(tmp_path, paths) == (found, faults)
    assert len(read_headers) == 150
    write_sound(tmp_path / "7.wav", 0.5)
    assert measure(tmp_path, paths)[0]["7.wav"] == 0.5
    assert len(read_headers) == 151


def test_a_killed_measurement_goes_on(tmp_path, read_headers):
    paths = ["a.wav", "b.wav", "c.wav"]
    for path in paths:
        write_sound(tmp_path / path)
    found, _ = measure(tmp_path, paths)
    cache = tmp_path / "cache"
    lines = cache.read_text().splitlines(keepends=True)
    cache.write_text(lines[0] + lines[1][:-9])
    assert measure(tmp_path, paths)[0] == found
    assert len(read_headers) == 3 + 2
    assert len(cache.read_text().splitlines()) == 3
    assert measure(tmp_path, paths)[0] == found
    assert len(read_headers) == 5


def test_decoding_finds_what_headers_hide(tmp_path):
    write_sound(tmp_path / "sound.wav")
    audio_io.save(
        tmp_path / "still.wav",
        0 * audio_io.load(tmp_path / "sound.wav")[0],
        16000,
    )
    paths = ["sound.wav", "still.wav", "gone.wav"]
    found, faults = measure(tmp_path, paths)
    assert set(found) == {"sound.wav", "still.wav"}
    assert list(faults) == ["gone.wav"]
    found, faults = measure(tmp_path, paths, decode=True)
    assert set(found) == {"sound.wav"}
    assert "digital silence" in faults["still.wav"]


# Noise


def test_split_folders(tmp_path):
    folder = make_noise(tmp_path / "noise")
    write_sound(folder / "test" / "seen" / "b.wav")
    write_sound(folder / "test" / "unseen" / "hum" / "b.wav")
    entries, skipped = noise_of(folder, kind="split_folders")
    assert {split: set(items) for split, items in entries.items()} == {
        "train": {"train/rain/a.wav"},
        "valid": {"dev/rain/a.wav"},
        "seen": {"test/rain/a.wav", "test/seen/b.wav"},
        "unseen": {"test/wind/a.wav", "test/unseen/hum/b.wav"},
    }
    assert entries["train"]["train/rain/a.wav"] == {
        "wav": "{noise_root}/train/rain/a.wav",
        "start_s": 0.0,
        "duration_s": 1.0,
        "noise_type": "rain",
    }
    assert not skipped


def test_an_unseen_kind_is_not_heard_in_training(tmp_path):
    folder = make_noise(tmp_path / "noise")
    write_sound(folder / "train" / "wind" / "a.wav")
    entries, _ = noise_of(folder, kind="split_folders")
    assert types_of(entries)["seen"] == {"rain", "wind"}
    entries, _ = noise_of(
        folder, kind="split_folders", unseen_noise_types=["wind"]
    )
    assert types_of(entries) == {
        "train": {"rain"},
        "valid": {"rain"},
        "seen": {"rain"},
        "unseen": {"wind"},
    }


def test_links_join_sets(tmp_path):
    folder = make_noise(tmp_path / "noise")
    write_sound(tmp_path / "elsewhere" / "a.flac")
    (folder / "train" / "fan").symlink_to(tmp_path / "elsewhere")
    entries, _ = noise_of(folder, kind="split_folders")
    assert "train/fan/a.flac" in entries["train"]


def test_musan(tmp_path):
    folder = tmp_path / "musan"
    for kind, source in (
        ("noise", "free-sound"),
        ("music", "fma"),
        ("speech", "librivox"),
    ):
        for number in range(20):
            name = f"{kind}-{source}-{number:04d}.wav"
            write_sound(folder / kind / source / name)
        (folder / kind / source / "ANNOTATIONS").touch()
    options = {"seen_noise_types": ["noise"], "unseen_noise_types": ["music"]}
    entries, _ = noise_of(folder, kind="musan", **options)
    counts = {split: len(items) for split, items in entries.items()}
    assert counts == {"train": 14, "valid": 2, "seen": 4, "unseen": 20}
    assert types_of(entries) == {
        "train": {"noise"},
        "valid": {"noise"},
        "seen": {"noise"},
        "unseen": {"music"},
    }
    names = [name for items in entries.values() for name in items]
    assert len(set(names)) == 40
    assert noise_of(folder, kind="musan", **options)[0] == entries
    other, _ = prepare_noise(
        folder, tmp_path / "cache", 1, kind="musan", **options
    )
    assert other["train"] != entries["train"]


def test_demand_is_divided_in_time(tmp_path):
    folder = tmp_path / "demand"
    for place in ("DKITCHEN", "TBUS"):
        for channel in (1, 2):
            write_sound(folder / place / f"ch{channel:02d}.wav", 10.0, 1000)
    options = {"unseen_noise_types": ["TBUS"], "max_stretch_s": 4.0}
    entries, _ = noise_of(folder, kind="demand", **options)
    stretches = {
        split: [
            (fields["start_s"], fields["duration_s"])
            for fields in items.values()
        ]
        for split, items in entries.items()
    }
    assert stretches == {
        "train": [(0.0, 3.5), (3.5, 3.5)],
        "valid": [(7.0, 1.0)],
        "seen": [(8.0, 2.0)],
        "unseen": [
            (0.0, 3.333333),
            (3.333333, 3.333333),
            (6.666667, 3.333333),
        ],
    }
    assert types_of(entries)["unseen"] == {"TBUS"}


def test_dns_keeps_pieces_of_a_recording_together(tmp_path):
    folder = tmp_path / "dns"
    inside = folder / "datasets_fullband" / "noise_fullband"
    for number in range(10):
        for piece in range(3):
            name = f"door_Freesound_validated_{number}_{piece}.wav"
            write_sound(inside / name)
        write_sound(inside / f"-clip{number}.wav")
    entries, _ = noise_of(folder, kind="dns")
    split_of = collections.defaultdict(set)
    for split, items in entries.items():
        for name, fields in items.items():
            if fields["noise_type"] == "door":
                split_of[name.rsplit("_", 1)[0]].add(split)
    assert len(split_of) == 10
    assert all(len(splits) == 1 for splits in split_of.values())
    assert types_of(entries)["train"] == {"door", "untyped"}
    assert not entries["unseen"]
    # The folder of the clips will do as well.
    assert len(noise_of(inside, kind="dns")[0]["train"]) == 21 + 7


def test_type_folders(tmp_path):
    folder = tmp_path / "types"
    for kind in ("fan", "horn"):
        for number in range(10):
            write_sound(folder / kind / f"{number}.ogg")
    entries, _ = noise_of(
        folder, kind="type_folders", unseen_noise_types=["horn"]
    )
    counts = {split: len(items) for split, items in entries.items()}
    assert counts == {"train": 7, "valid": 1, "seen": 2, "unseen": 10}


@pytest.mark.parametrize(
    ("paths", "kind"),
    [
        (
            ["train/a.wav", "Dev/b.wav", "test/unseen/hum/c.wav"],
            "split_folders",
        ),
        (["music/a/b.wav", "noise/c.wav", "speech/d.wav"], "musan"),
        (["DKITCHEN/ch01.wav", "DKITCHEN/ch02.wav"], "demand"),
        (["noise_fullband/a.wav"], "dns"),
        (["door_Freesound_validated_451485_0.wav", "b.wav"], "dns"),
        (["fan/a.wav", "horn/b.ogg"], "type_folders"),
        # One folder more than MUSAN has.
        (["music/a.wav", "noise/c.wav", "rain/d.wav"], "type_folders"),
        (["a.wav", "b.wav", "c.wav", "d.wav"], "type_folders"),
    ],
)
def test_what_a_noise_folder_is_is_recognised(tmp_path, paths, kind):
    for path in paths:
        write_sound(tmp_path / "noise" / path)
    expected, _ = noise_of(tmp_path / "noise", kind=kind)
    assert any(expected.values())
    assert noise_of(tmp_path / "noise", kind="auto")[0] == expected


@pytest.mark.parametrize("end", ["", "-10"])
def test_takes_of_one_esc_clip_stay_together(tmp_path, end):
    for number in range(30):
        # Ten clips of three takes; the fold is the clip's.
        clip, take = divmod(number, 3)
        name = f"{clip % 5 + 1}-{1000 + clip}-{'ABC'[take]}{end}.wav"
        write_sound(tmp_path / "esc" / "002 - Rain" / name)
    entries, _ = noise_of(tmp_path / "esc", kind="auto")
    clips = {
        split: {name.split("-")[2] for name in items}
        for split, items in entries.items()
    }
    counts = {split: len(items) for split, items in entries.items()}
    assert counts == {"train": 21, "valid": 3, "seen": 6, "unseen": 0}
    assert sum(map(len, clips.values())) == 10


def test_tables_may_have_tabs(tmp_path):
    rows = [("FileName", "EmoClass"), ("a, b.wav", "A"), ("c.wav", "")]
    table = tmp_path / "labels.tsv"
    table.write_text("".join("\t".join(row) + "\n" for row in rows))
    assert read_table(table, ["FileName", "EmoClass"]) == [
        {"FileName": "a, b.wav", "EmoClass": "A"},
        {"FileName": "c.wav", "EmoClass": None},
    ]
    folder = make_noise(tmp_path / "noise")
    named = {}
    for split in ("train", "dev", "test"):
        (wav,) = list((folder / split).rglob("*.wav"))[:1]
        named[split.replace("dev", "valid")] = tmp_path / f"{split}.tsv"
        (tmp_path / f"{split}.tsv").write_text(f"ID\twav\n1\t{wav}\n")
    entries, _ = noise_of(folder, kind="manifests", manifests=named)
    assert all(entries[split] for split in ("train", "valid", "seen"))


def test_manifests_of_both_kinds(tmp_path):
    folder = make_noise(tmp_path / "noise")
    entry = {"wav": "{noise_root}/train/rain/a.wav", "duration_s": 1.0}
    files = {"train": tmp_path / "train.json", "valid": tmp_path / "valid.csv"}
    files["test"] = tmp_path / "test.csv"
    write_manifest(
        files["train"], {"a": {**entry, "noise_type": "rain"}}, NOISE_KEYS
    )
    head = "ID, duration, wav, wav_format, wav_opts\n"
    files["valid"].write_text(f"{head}b,1.0,$data_root/dev/rain/a.wav,wav,\n")
    absolute = folder / "test" / "wind" / "a.wav"
    files["test"].write_text(f"{head}c,1.0,{absolute},wav,\n")
    options = {"kind": "manifests", "manifests": files}
    entries, _ = noise_of(folder, **options)
    assert entries["valid"]["dev/rain/a.wav"]["noise_type"] == "untyped"
    # Of the same unknown type as in development.
    assert [f["wav"] for f in entries["seen"].values()] == [str(absolute)]
    with pytest.raises(ValueError, match=r"name the splits \['dev'\]"):
        noise_of(folder, kind="manifests", manifests={"dev": "a.json"})
    with pytest.raises(ValueError, match="'manifests' needs them"):
        noise_of(folder, kind="manifests")
    (tmp_path / "bad.json").write_text(json.dumps({"a": {"file": "a.wav"}}))
    with pytest.raises(ValueError, match="without the field wav"):
        noise_of(
            folder,
            kind="manifests",
            manifests={"train": tmp_path / "bad.json"},
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "wham"}, "Unknown kind of noise 'wham': use one of"),
        ({"seen_noise_types": ["fan"]}, r"seen_noise_types names \['fan'\]"),
        (
            {"seen_noise_types": ["rain"], "unseen_noise_types": ["rain"]},
            r"\['rain'\] is in seen_noise_types and in unseen",
        ),
    ],
)
def test_unusable_noise_settings(tmp_path, options, message):
    folder = make_noise(tmp_path / "noise")
    with pytest.raises(ValueError, match=message):
        noise_of(folder, **{"kind": "split_folders", **options})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("split_folders", "no folder train, dev, test: found noise"),
        ("musan", "no folders music, noise and speech"),
        ("demand", "no folders such as DKITCHEN with ch01.wav"),
        ("type_folders", "no recordings, or folders of them: found noise"),
        ("dns", "no noise clips of DNS: found noise"),
    ],
)
def test_wrong_noise_folder(tmp_path, kind, message):
    (tmp_path / "top" / "noise").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=message):
        noise_of(tmp_path / "top", kind=kind)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        noise_of(tmp_path / "nowhere", kind=kind)


# Corpora


def test_only_what_is_used_is_read(tmp_path, read_headers):
    make_noise(tmp_path / "noise")
    for split in ("train", "valid", "test"):
        write_sound(tmp_path / f"{split}.wav")
    used = [
        Utterance(split, f"{split}.wav", split, "s1", "sad")
        for split in ("train", "valid", "test")
    ]
    unused = [Utterance("x", "nowhere.wav", "train", "s1", "calm")]
    prepare_corpus(
        used + unused,
        tmp_path,
        tmp_path / "noise",
        tmp_path / "save",
        0,
        emotions=["sad"],
        noise={"kind": "split_folders"},
    )
    # Three utterances, four recordings.
    assert len(read_headers) == 3 + 4
    skipped = json.loads((tmp_path / "save" / "skipped.json").read_text())
    assert skipped == {}


def test_missing_noise_shows_before_speech_is_read(tmp_path, read_headers):
    write_sound(tmp_path / "a.wav")
    utterances = [
        Utterance(split, "a.wav", split, "s1", "sad")
        for split in ("train", "valid", "test")
    ]
    missing = tmp_path / "missing"
    options = {"emotions": ["sad"], "noise": {"kind": "split_folders"}}
    with pytest.raises(FileNotFoundError, match="missing"):
        prepare_corpus(utterances, tmp_path, missing, tmp_path, 0, **options)
    assert not read_headers


def test_a_corpus_needs_noise_for_every_part(tmp_path):
    write_sound(tmp_path / "a.wav")
    utterances = [
        Utterance(split, "a.wav", split, "s1", "sad")
        for split in ("train", "valid", "test")
    ]
    folder = make_noise(tmp_path / "noise")
    (folder / "dev" / "rain" / "a.wav").unlink()
    arguments = (utterances, tmp_path, folder, tmp_path / "save", 0)
    options = {"emotions": ["sad"], "noise": {"kind": "split_folders"}}
    with pytest.raises(ValueError, match="is left for noise_valid"):
        prepare_corpus(*arguments, **options)
    # Where none is asked for, speech stays clean.
    prepare_corpus(*arguments, emotions=["sad"], noise=None)
    assert read_manifest(tmp_path / "save" / "noise_train.json") == {}
    with pytest.raises(ValueError, match="noise_folder is not set"):
        prepare_corpus(utterances, tmp_path, None, tmp_path, 0, **options)


# Folders unpacked twice


def test_a_folder_in_itself_is_suggested(tmp_path):
    write_sound(tmp_path / "wav" / "wav" / "a.wav")
    with pytest.raises(FileNotFoundError, match="Did you mean .*wav/wav?"):
        audio_files(tmp_path / "wav", ".wav")


def test_what_lies_two_folders_down_is_suggested(tmp_path):
    write_sound(tmp_path / "a" / "b" / "clean" / "a.wav")
    error = layout_error(tmp_path, "clean", "clean")
    assert str(error).endswith(f"Did you mean {tmp_path / 'a' / 'b'}?")
