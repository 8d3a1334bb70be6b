"""The command `speechbrain-merit`, as its users run it."""

import configparser
import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import ruamel.yaml
import soundfile
import torch
from toy_model import EMOTIONS, write_experiment

from speechbrain_merit import load
from speechbrain_merit.command_line import main
from speechbrain_merit.command_line.jobs import Jobs
from speechbrain_merit.inference import JointEnhancementClassifier


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An experiment's folder with a model of random weights."""
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder)
    return folder


@pytest.fixture
def noisy(tmp_path):
    """A folder with recordings at two depths, of two rates and formats."""
    folder = tmp_path / "noisy"
    generator = torch.Generator().manual_seed(0)
    for place, rate in (("a.wav", 16000), ("deep/er/b.flac", 44100)):
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * torch.randn(rate + 5, 2, generator=generator)
        soundfile.write(path, samples.numpy(), rate)
    (folder / "notes.txt").write_text("no audio")
    return folder


def process(*arguments):
    return main(["process", *map(str, arguments), "--device", "cpu"])


def read_lines(path):
    return {
        record["file"]: record
        for record in map(json.loads, path.read_text().splitlines())
    }


def test_a_folder_is_processed(model, noisy, tmp_path, capsys):
    out, lines = tmp_path / "out", tmp_path / "results.jsonl"
    assert process(noisy, "--model", model, "--out", out, "--json", lines) == 0
    written = sorted(p for p in out.rglob("*") if p.is_file())
    assert written == [out / "a.wav", out / "deep" / "er" / "b.wav"]
    records = read_lines(lines)
    assert set(records) == {
        str(noisy / "a.wav"),
        str(noisy / "deep" / "er" / "b.flac"),
    }
    loaded = JointEnhancementClassifier.from_hparams(
        model, run_opts={"device": "cpu"}
    )
    printed = capsys.readouterr().out
    for path, record in records.items():
        expected = loaded.process_file(path)
        assert record["emotion"] == expected.labels[0]
        assert list(record["posteriors"]) == EMOTIONS
        assert list(record["posteriors"].values()) == pytest.approx(
            expected.log_posteriors[0].exp().tolist(), abs=1e-5
        )
        info = soundfile.info(path)
        assert record["duration_s"] == pytest.approx(
            info.frames / info.samplerate
        )
        enhanced, rate = soundfile.read(record["output"], dtype="float32")
        assert rate == 16000
        torch.testing.assert_close(
            torch.from_numpy(enhanced),
            expected.enhanced[0],
            atol=2 / 32768,
            rtol=0,
        )
        assert f"{path}  -> {record['output']}  {record['emotion']}" in printed
        assert "timeline" not in record


def test_sample_rate_and_timeline_on_request(model, noisy, tmp_path):
    out, lines = tmp_path / "out", tmp_path / "results.jsonl"
    source = noisy / "deep" / "er" / "b.flac"
    options = ["--model", model, "--out", out, "--json", lines]
    options += ["--timeline", "--keep_sample_rate"]
    options += ["--chunk_s", 0.4, "--overlap_s", 0.1, "--timeline_step_s", 0.3]
    options += ["--timeline_files", "csv", "TextGrid", "rttm"]
    assert process(source, *options) == 0
    for name, num_lines in (("b.csv", 5), ("b.TextGrid", 18), ("b.rttm", 0)):
        assert len((out / name).read_text().splitlines()) == num_lines
    (out / "b.csv").unlink()
    assert process(source, *options) == 0
    assert (out / "b.csv").is_file()
    info = soundfile.info(out / "b.wav")
    assert (info.samplerate, info.frames) == (44100, 44105)
    timeline = read_lines(lines)[str(source)]["timeline"]
    ends = [entry["end_s"] for entry in timeline[:-1]]
    assert ends == pytest.approx([0.3, 0.6, 0.9])
    assert timeline[0]["start_s"] == 0
    assert timeline[-1]["end_s"] == pytest.approx(44105 / 44100, abs=1e-4)
    for entry in timeline:
        assert sum(entry["posteriors"].values()) == pytest.approx(1, abs=1e-5)
        assert (entry["emotion"], entry["speech_s"]) == ("no speech", 0)


def test_a_time_line_is_printed_where_no_file_is_named(model, noisy, capsys):
    source = noisy / "a.wav"
    assert process(source, "--model", model, "--timeline") == 0
    # What is no speech has no emotion, however sure a model may be.
    assert capsys.readouterr().out.splitlines() == [
        f"{source}  no speech",
        "  0.0-1.0 s  no speech",
    ]


def test_noise_is_lowered_by_no_more_than_asked(model, noisy, tmp_path):
    source, out = noisy / "a.wav", tmp_path / "out"
    command = [source, "--model", model, "--out", out, "--overwrite"]
    found = {}
    for limit in (None, 0, 12):
        options = [] if limit is None else ["--max_attenuation_db", limit]
        assert process(*command, *options) == 0
        found[limit], _ = soundfile.read(out / "a.wav")
    samples, _ = soundfile.read(source)
    mixture = samples.mean(axis=1)
    np.testing.assert_allclose(found[0], mixture, atol=2**-14)
    # A quarter of the amplitude is 12 dB less.
    expected = mixture / 4 + found[None] * 3 / 4
    np.testing.assert_allclose(found[12], expected, atol=2e-3)


def test_a_run_resumes(model, noisy, tmp_path, capsys, monkeypatch):
    out, lines = tmp_path / "out", tmp_path / "results.jsonl"
    command = [noisy, "--model", model, "--out", out, "--json", lines]
    assert process(*command) == 0
    before = read_lines(lines)
    # As a run leaves it that was killed while it wrote a line.
    first, second = lines.read_text().splitlines(keepends=True)
    lines.write_text(first + second[:20])
    (out / "a.wav").write_bytes(b"kept as it is")
    (out / "deep" / "er" / "b.wav").unlink()
    capsys.readouterr()
    assert process(*command) == 0
    assert "1 finished before" in capsys.readouterr().err
    assert (out / "a.wav").read_bytes() == b"kept as it is"
    assert soundfile.info(out / "deep" / "er" / "b.wav").frames
    assert read_lines(lines) == before
    with monkeypatch.context() as context:
        # All finished: not even the model is loaded.
        context.setattr("speechbrain_merit.command_line.file_worker.load", None)
        assert process(*command) == 0
    assert process(*command, "--overwrite") == 0
    assert soundfile.info(out / "a.wav").frames
    assert read_lines(lines) == before
    # A line is not enough where the speech is gone.
    (out / "a.wav").unlink()
    assert process(*command) == 0
    assert soundfile.info(out / "a.wav").frames


def test_results_stay_where_nothing_can_be_done(model, noisy, tmp_path, caplog):
    lines = tmp_path / "results.jsonl"
    command = [noisy, "--json", lines, "--overwrite", "--model"]
    assert process(*command, model) == 0
    before = lines.read_text()
    for options, message in (
        ([tmp_path], "hyperparams.yaml"),
        ([model, "--overlap_s", "11"], "cannot overlap"),
        ([model, "--chunk_s", "inf"], "finite"),
    ):
        caplog.clear()
        assert process(*command, *options) == 1
        assert message in caplog.text
        assert lines.read_text() == before


def test_a_time_line_is_added_to_what_is_finished(model, noisy, tmp_path):
    lines = tmp_path / "results.jsonl"
    command = [noisy / "a.wav", "--model", model, "--json", lines]
    assert process(*command) == 0
    assert process(*command, "--timeline") == 0
    (record,) = read_lines(lines).values()
    assert record["timeline"]
    before = lines.stat().st_ino
    assert process(*command, "--timeline") == process(*command) == 0
    assert lines.stat().st_ino == before


def test_a_bad_file_does_not_stop_it(model, noisy, tmp_path, caplog):
    out, lines = tmp_path / "out", tmp_path / "results.jsonl"
    (noisy / "a.wav").write_bytes(b"no audio")
    command = [noisy, tmp_path / "missing.wav", "--model", model]
    command += ["--out", out, "--json", lines]
    assert process(*command) == 1
    assert f"{noisy / 'a.wav'} failed" in caplog.text
    assert f"{tmp_path / 'missing.wav'} failed" in caplog.text
    assert "2 of 3 files failed." in caplog.text
    assert [p.name for p in out.rglob("*") if p.is_file()] == ["b.wav"]
    found = {
        Path(name).name: line.get("error")
        for name, line in read_lines(lines).items()
    }
    assert found["b.flac"] is None
    assert "Format not recognised" in found["a.wav"]
    assert "there is no such file" in found["missing.wav"]


def test_emotions_alone_need_no_folder(model, noisy, tmp_path, capsys):
    source = noisy / "a.wav"
    assert process(source, "--model", model) == 0
    assert capsys.readouterr().out == f"{source}  no speech\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["noisy"]


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [("emotion", ["--out", "x"], "--out"), ("enhance", [], "--out")],
)
def test_models_of_one_task_say_what_they_cannot(
    noisy, tmp_path, caplog, monkeypatch, task, options, message
):
    monkeypatch.chdir(tmp_path)
    write_experiment(tmp_path / "model", tasks=[task])
    command = [noisy / "a.wav", "--model", tmp_path / "model"]
    assert process(*command, *options) == 1
    assert message in caplog.text
    assert process(*command, *([] if options else ["--out", "x"])) == 0
    assert (tmp_path / "x" / "a.wav").exists() == (task == "enhance")


def test_wrong_commands_are_refused(noisy, tmp_path, caplog):
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, message in [
        ([noisy, "--plot"], "--out"),
        ([empty], "no audio file"),
        ([noisy], "hyperparams.yaml"),
        ([noisy, "--out", noisy], "lies in the output folder"),
        ([noisy / "a.wav", "--out", noisy], "lies in the output folder"),
        ([noisy / "a.wav", noisy, "--json", noisy / "notes.txt"], "line 1"),
    ]:
        caplog.clear()
        assert process(*arguments, "--model", empty) == 1
        assert message in caplog.text
    assert (noisy / "notes.txt").read_text() == "no audio"
    with pytest.raises(SystemExit) as error:
        main(["process"])
    assert error.value.code == 2


def test_the_command_is_installed():
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg")
    scripts = config["options.entry_points"]["console_scripts"]
    name, target = scripts.strip().split(" = ")
    module, function = target.split(":")
    assert name == "speechbrain-merit"
    assert getattr(importlib.import_module(module), function) is main


def test_outputs_never_meet(noisy, tmp_path):
    (noisy / "a.flac").touch()
    found = [job.output.name for job in Jobs([str(noisy)], tmp_path / "o")]
    assert found == ["a.flac.wav", "a.wav.wav", "b.wav"]
    assert len(Jobs([str(noisy)], None)) == 3
    (noisy / "a.flac").rename(noisy / "deep" / "a.wav")
    both = [str(noisy / "a.wav"), str(noisy / "deep" / "a.wav")]
    with pytest.raises(ValueError, match="both be written"):
        Jobs(both, tmp_path / "out")
    # A file given twice is one file, and the output folder no input.
    out = noisy / "out"
    again = [str(noisy / "a.wav")] * 2
    assert [job.output for job in Jobs(again, out)] == [out / "a.wav"]
    out.mkdir()
    (out / "a.wav").touch()
    (noisy / "deep" / "a.wav").unlink()
    assert len(Jobs([str(noisy)], out)) == 2


RESULTS = {
    "system": "sparse_merit",
    "corpus": "mini",
    "fold": 0,
    "seed": 1986,
    "routing": None,
    "conditions": [
        {
            "noise": "seen",
            "snr_db": -5,
            "num_utterances": 8,
            "ser": {"f1_macro": 0.625, "accuracy": 0.75, "uar": 0.5},
            "se": {
                "pesq_wb": 1.75,
                "stoi": 0.75,
                "ssnr_db": 2.5,
                "si_sdr_db": 7.5,
            },
            "noisy": {
                "pesq_wb": 1.25,
                "stoi": 0.5,
                "ssnr_db": -2.5,
                "si_sdr_db": -5.0,
            },
            "num_unscored": {},
        }
    ],
}


@pytest.fixture
def finished(tmp_path):
    """An experiment with results."""
    folder = tmp_path / "experiment"
    write_experiment(folder)
    (folder / "results.json").write_text(json.dumps(RESULTS))
    return folder


def test_an_export_stands_alone(finished, tmp_path):
    destination = tmp_path / "models" / "merit"
    arguments = ["export", str(finished), str(destination)]
    assert main([*arguments, "--license", "cc-by-4.0"]) == 0
    expected = JointEnhancementClassifier.from_hparams(
        finished, run_opts={"device": "cpu"}
    )
    for path in sorted(finished.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert sorted(p.name for p in destination.iterdir()) == [
        "README.md",
        "hyperparams.yaml",
        "label_encoder.ckpt",
        "model.safetensors",
    ]
    model = JointEnhancementClassifier.from_hparams(
        destination, run_opts={"device": "cpu"}
    )
    signal = torch.linspace(-1, 1, 8000)
    assert torch.equal(
        model.enhance_batch(signal), expected.enhance_batch(signal)
    )


def test_an_export_in_half_precision_is_half_as_large(finished, tmp_path):
    sizes, outputs = [], []
    signal = torch.linspace(-1, 1, 8000)
    for name, options in (("whole", []), ("half", ["--half_precision"])):
        folder = tmp_path / name
        assert main(["export", str(finished), str(folder), *options]) == 0
        sizes.append((folder / "model.safetensors").stat().st_size)
        model = JointEnhancementClassifier.from_hparams(
            folder, run_opts={"device": "cpu"}
        )
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        plain = JointEnhancementClassifier.from_plain(
            folder, run_opts={"device": "cpu"}
        )
        outputs.append(model.process_batch(signal))
        assert torch.equal(plain.enhance_batch(signal), outputs[-1].enhanced)
    assert sizes[1] < 0.6 * sizes[0]  # names and shapes stay as long
    whole, half = outputs
    torch.testing.assert_close(half.enhanced, whole.enhanced, atol=2e-3, rtol=0)
    torch.testing.assert_close(
        half.log_posteriors, whole.log_posteriors, atol=2e-2, rtol=0
    )


def test_the_card_is_what_the_hub_reads(finished, tmp_path):
    destination = tmp_path / "model"
    arguments = ["export", str(finished), str(destination)]
    assert main([*arguments, "--license", "cc-by-4.0"]) == 0
    card = (destination / "README.md").read_text()
    _, head, text = card.split("---\n", maxsplit=2)
    head = ruamel.yaml.YAML(typ="safe").load(head)
    assert head["license"] == "cc-by-4.0"
    assert head["library_name"] == "speechbrain"
    assert "speech-enhancement" in head["tags"]
    assert "speech-emotion-recognition" in head["tags"]
    assert head["datasets"] == ["mini"] and head["metrics"][0] == "pesq_wb"
    (entry,) = head["model-index"]
    assert entry["name"] == "sparse_merit"
    scores = {
        (r["task"]["type"], r["dataset"]["name"], m["type"]): m["value"]
        for r in entry["results"]
        for m in r["metrics"]
    }
    assert len(scores) == 7
    assert scores["audio-classification", "mini, seen_-5dB", "uar"] == 0.5
    assert scores["audio-to-audio", "mini, seen_-5dB", "stoi"] == 0.75
    (row,) = [line for line in text.splitlines() if "seen_-5dB" in line]
    assert [cell.strip() for cell in row.strip("|").split("|")][1:6] == [
        "8",
        "0.625",
        "0.500",
        "0.750",
        "1.25 -> 1.75",
    ]
    assert "{" not in text.replace("{'", "") and str(tmp_path) not in text


def test_models_are_listed(finished, tmp_path, capsys):
    destination = tmp_path / "exported"
    main(["export", str(finished), str(destination)])
    assert main(["models", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    emotions = ", ".join(EMOTIONS)
    assert lines[0].startswith("merit-base  5")
    assert lines[1:] == [
        f"{finished}  3 MB  {emotions}",
        f"{destination}  3 MB  {emotions}",
    ]
    for line in lines:
        load(line.split("  ")[0], "cpu")


class Hub:
    """Stands for the hub's client: keeps what it is given."""

    def __init__(self):
        self.calls = {}

    def create_repo(self, repo_id, exist_ok):
        self.calls["repo"] = repo_id

    def upload_folder(self, repo_id, folder_path):
        files = sorted(folder_path.rglob("*"))
        self.calls[repo_id] = [p.relative_to(folder_path) for p in files]


def test_an_export_goes_to_the_hub_with_sound(
    finished, noisy, tmp_path, monkeypatch
):
    hub, destination = Hub(), tmp_path / "model"
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    arguments = ["export", str(finished), str(destination)]
    arguments += ["--push", "me/merit", "--language", "en", "de"]
    samples = [str(noisy / "a.wav"), str(noisy / "deep" / "er" / "b.flac")]
    assert main([*arguments, "--samples", *samples]) == 0
    assert hub.calls["repo"] == "me/merit"
    assert {str(path) for path in hub.calls["me/merit"]} >= {
        "README.md",
        "model.safetensors",
        "samples/1_original.flac",
        "samples/2_enhanced.flac",
    }
    enhanced, rate_hz = soundfile.read(
        destination / "samples" / "1_enhanced.flac", dtype="float32"
    )
    expected = load(finished, "cpu")(noisy / "a.wav")
    torch.testing.assert_close(
        torch.from_numpy(enhanced),
        torch.from_numpy(expected.enhanced),
        atol=2 / 32768,
        rtol=0,
    )
    assert rate_hz == 16000
    card = (destination / "README.md").read_text()
    assert "- en\n- de\n" in card
    source = "https://huggingface.co/me/merit/resolve/main/samples/1_original"
    assert f'<audio controls src="{source}.flac">' in card


def test_what_the_hub_refuses_stays_as_a_folder(
    finished, tmp_path, monkeypatch, caplog
):
    def refuse():
        raise OSError("Nobody is logged in.")

    destination = tmp_path / "model"
    monkeypatch.setattr("huggingface_hub.HfApi", refuse)
    arguments = ["export", str(finished), str(destination), "--push", "me/it"]
    assert main(arguments) == 1
    assert "Nobody is logged in." in caplog.text
    assert f"hf upload me/it {destination}" in caplog.text
    assert (destination / "README.md").is_file()


def test_the_code_of_the_card_runs(finished, tmp_path, noisy, monkeypatch):
    destination = tmp_path / "model"
    main(["export", str(finished), str(destination)])
    (noisy / "a.wav").rename(destination / "noisy.wav")
    monkeypatch.chdir(destination)
    card = (destination / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0]
    exec(compile(code, "README.md", "exec"), {})
    assert (destination / "enhanced.wav").is_file()
    shell = card.split("```bash\n")[1].split("```")[0].split()
    assert shell[0] == "speechbrain-merit"
    assert main(shell[1:]) == 0
    assert (destination / "enhanced" / "noisy.wav").is_file()


def test_an_export_never_replaces_anything(finished, tmp_path, caplog):
    arguments = ["export", str(finished), str(tmp_path)]
    assert main(arguments) == 1
    assert "exists" in caplog.text
    (finished / "results.json").unlink()
    assert main(["export", str(finished), str(tmp_path / "new")]) == 1
    assert "lacks results.json" in caplog.text
    assert not (tmp_path / "new").exists()
