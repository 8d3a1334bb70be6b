"""The sweep, with a script in place of train.py that only leaves files.

Authors
 * The speechbrain-merit developers 2026
"""

import re
import threading
import time
from functools import partial
from pathlib import Path

import pytest

import speechbrain
from speechbrain_merit.command_line import main
from speechbrain_merit.command_line.workers import Workers
from speechbrain_merit.config import (
    TrainingRecord,
    compose,
    parse_arguments,
    read_overrides,
    training_settings,
)
from speechbrain_merit.config.corpora import CORPUS_FILE, TASK_FOLDER
from speechbrain_merit.experiments.sweep import (
    Trainer,
    chained,
    parse_variants,
    plan_runs,
    read_spec,
)
from speechbrain_merit.training.folder_lock import claim_folder

# Does what its options say, and notes when; results are the last thing made.
STUB = """\
import json, sys, time
from pathlib import Path

from filelock import FileLock

given = [a[2:].split("=", 1) for a in sys.argv[2:] if "=" in a]
options = dict(given)
assert len(options) == len(given), "train.py takes every key once"
folder = Path(options["output_folder"])
system = options.get("system", Path(sys.argv[1]).stem)
place = f"{system} {options['fold']} {options.get('device')}"
# As train.py, for as long as it runs.
lock = FileLock(folder / "train.lock", timeout=0)
lock.acquire()


def note(event):
    with open(Path(__file__).parent / "journal.txt", "a") as journal:
        journal.write(f"{event} {place}\\n")


assert "--noprogressbar" in sys.argv
note("start")
enhancer = options.get("enhancer_folder")
if enhancer and not (Path(enhancer) / "hyperparams.yaml").is_file():
    sys.exit("there is no enhancer")
time.sleep(float(options.get("pause", 0)) / 2)
(folder / "manifests").mkdir(parents=True, exist_ok=True)
(folder / "manifests" / "mixtures_test.json").write_text("{}")
time.sleep(float(options.get("pause", 0)) / 2)
if (Path(__file__).parent / f"{system}{options['fold']}.fails").exists():
    raise ValueError("no luck")
(folder / "pretrained").mkdir(exist_ok=True)
(folder / "pretrained" / "hyperparams.yaml").write_text("")
condition = {"noise": "seen", "ser": {"f1_macro": 0.5}, "se": None}
results = {"conditions": [condition], "options": options}
(folder / "results.json").write_text(json.dumps(results))
note("end")
"""
VARIANTS = ("sparse_merit", "se_only", "ser_only")


@pytest.fixture
def script(tmp_path):
    """A train.py that trains nothing, with the files of four variants."""
    (tmp_path / "hparams").mkdir()
    for name in VARIANTS:
        (tmp_path / "hparams" / f"{name}.yaml").write_text("seed: 1\n")
    (tmp_path / "hparams" / "se_then_ser.yaml").write_text(
        "seed: 1\nenhancer_folder: !PLACEHOLDER\n"
    )
    (tmp_path / "train.py").write_text(STUB)
    return tmp_path / "train.py"


def plan(script, variants, folds=(0,), options=(), seeds=(7,)):
    return plan_runs(
        parse_variants(variants),
        folds,
        seeds,
        "mini",
        script.parent / "out",
        script.parent / "hparams",
        options,
    )


def sweep(script, runs, devices=(None,)):
    """Runs a plan, and gives what became of each run."""
    make_trainer = partial(Trainer, script, devices)
    with Workers(make_trainer, len(devices), in_process=True) as workers:
        found = [pair[1] for pair in workers.map(chained(runs))]
    return {outcome.run.name: outcome for chain in found for outcome in chain}


def journal(script):
    """What the script noted: events, systems, folds and devices."""
    text = (script.parent / "journal.txt").read_text()
    return [tuple(line.split()) for line in text.splitlines()]


# The plan


def test_plan_is_fold_by_fold_with_all_that_train_py_needs(script):
    runs = plan(script, ["ser_only", "sparse_merit"], [0, 2], ["--lr=1"])
    assert [run.name for run in runs] == [
        "ser_only/fold0_seed7",
        "sparse_merit/fold0_seed7",
        "ser_only/fold2_seed7",
        "sparse_merit/fold2_seed7",
    ]
    assert runs[-1].arguments == (
        str(script.parent / "hparams" / "sparse_merit.yaml"),
        "--corpus=mini",
        "--fold=2",
        "--seed=7",
        f"--output_folder={runs[-1].folder}",
        "--lr=1",
    )


def test_a_cascade_gets_the_enhancer_of_its_fold_and_seed(script):
    runs = plan(script, ["se_then_ser", "ser_only"], [3], seeds=[1, 2])
    assert [run.folder.parent.name for run in runs] == [
        "se_only",
        "ser_only",
        "se_then_ser",
    ] * 2
    cascade = runs[5]
    assert cascade.needs == runs[3].folder
    needed = f"--enhancer_folder={runs[3].folder / 'pretrained'}"
    assert needed in cascade.arguments and "seed2" in needed
    given = plan(script, ["se_then_ser"], options=["--enhancer_folder=mine"])
    assert [run.needs for run in given] == [None]


def test_a_variant_with_what_differs_has_a_name_of_its_own(script):
    entry = {
        "top2": {"variant": "sparse_merit", "top_k": 2, "emotions": ["sad"]}
    }
    plain, changed = plan(script, ["sparse_merit", entry])
    assert changed.folder.parent.name == "top2"
    assert changed.arguments[0] == plain.arguments[0]
    assert changed.arguments[-3:] == (
        "--system=top2",
        "--top_k=2",
        '--emotions=["sad"]',
    )


def test_train_py_gets_every_key_once(script):
    entry = {"low": {"variant": "sparse_merit", "lr": 3}}
    options = ["--lr=1", "--top_k=1", "--top_k", "2", "--debug", "--lr=2"]
    for run, lr in zip(
        plan(script, ["sparse_merit", entry], options=options),
        (2, 3),
        strict=True,
    ):
        _, run_options, overrides = speechbrain.parse_arguments(run.arguments)
        # Refuses a key that is there twice.
        given = read_overrides(overrides)
        assert (given["lr"], given["top_k"]) == (lr, 2)
        assert given["fold"] == 0 and run_options["debug"]


@pytest.mark.parametrize("option", ["--fold=1", "--seed", "--output_folder=x"])
def test_what_a_sweep_sets_is_no_option(script, option):
    with pytest.raises(ValueError, match=f"ser_only.*{option.split('=')[0]}"):
        plan(script, ["ser_only"], options=[option])


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        (["sparse"], "no variant 'sparse'.*se_only, se_then_ser"),
        (["se_only", "se_only"], "more than once"),
        ([{"a": {}, "b": {}}], "a name with what differs"),
    ],
)
def test_wrong_variants_are_named(script, variants, message):
    with pytest.raises(ValueError, match=message):
        plan(script, variants)


def test_wrong_keys_of_a_description_are_named(tmp_path):
    (tmp_path / "sweep.yml").write_text("variant: [se_only]")
    with pytest.raises(ValueError, match="sweep.yml.*'variant'.*'variants'"):
        read_spec(tmp_path / "sweep.yml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("variants: [se_only", "sweep.yml cannot be read as YAML"),
        ("se_only", "sweep.yml holds .*as key: value"),
    ],
)
def test_a_description_that_is_none_is_named(tmp_path, caplog, text, message):
    (tmp_path / "sweep.yml").write_text(text)
    assert main(["sweep", "--spec", str(tmp_path / "sweep.yml")]) == 1
    assert re.search(message, caplog.text)


# Running


def test_everything_runs_once(script):
    runs = plan(script, ["se_then_ser", "sparse_merit"], [0, 1])
    outcomes = sweep(script, runs)
    assert {o.status for o in outcomes.values()} == {"finished"}
    started = [entry[1:3] for entry in journal(script) if entry[0] == "start"]
    names = ["se_only", "se_then_ser", "sparse_merit"]
    assert started == [(name, fold) for fold in "01" for name in names]
    again = sweep(script, runs)
    assert {o.status for o in again.values()} == {"finished before"}
    assert len(journal(script)) == 2 * len(runs)


def test_a_failure_stops_nothing_but_what_needs_it(script):
    (script.parent / "se_only0.fails").touch()
    runs = plan(script, ["se_only", "se_then_ser", "ser_only"], [0, 1])
    outcomes = sweep(script, runs)
    assert {name: o.status for name, o in outcomes.items()} == {
        "se_only/fold0_seed7": "failed",
        "ser_only/fold0_seed7": "finished",
        "se_then_ser/fold0_seed7": "left out",
        "se_only/fold1_seed7": "finished",
        "ser_only/fold1_seed7": "finished",
        "se_then_ser/fold1_seed7": "finished",
    }
    failed = outcomes["se_only/fold0_seed7"]
    log = failed.run.folder / "sweep_log.txt"
    assert failed.reason == f"exit status 1, see {log}: ValueError: no luck"
    assert "se_only/fold0_seed7" in outcomes["se_then_ser/fold0_seed7"].reason
    # Only what is missing runs again, once the cause is gone.
    (script.parent / "se_only0.fails").unlink()
    (script.parent / "journal.txt").unlink()
    outcomes = sweep(script, runs)
    assert all(outcome.is_good for outcome in outcomes.values())
    assert [entry[1] for entry in journal(script) if entry[0] == "end"] == [
        "se_only",
        "se_then_ser",
    ]
    # The log of the first attempt is kept.
    assert log.read_text().count("ValueError: no luck") == 1


def test_a_folder_that_cannot_be_made_fails_its_run_alone(script):
    runs = plan(script, ["se_only", "ser_only"])
    runs[0].folder.parent.mkdir(parents=True)
    runs[0].folder.touch()
    outcomes = sweep(script, runs)
    statuses = [outcomes[run.name].status for run in runs]
    assert statuses == ["failed", "finished"]
    assert "File exists" in outcomes[runs[0].name].reason


def test_a_run_whose_model_is_needed_and_gone_is_run_again(script):
    runs = plan(script, ["se_only", "se_then_ser"])
    sweep(script, runs)
    (runs[0].folder / "pretrained" / "hyperparams.yaml").unlink()
    outcomes = sweep(script, runs)
    assert outcomes[runs[0].name].status == "finished"
    assert outcomes[runs[1].name].status == "finished before"


def test_runs_share_the_devices(script):
    runs = plan(script, ["sparse_merit"], range(5), ["--pause=0.3"])
    outcomes = sweep(script, runs, ["cuda:0", "cuda:1"])
    assert all(outcome.is_good for outcome in outcomes.values())
    busy, most = set(), 0
    for event, _, _, device in journal(script):
        if event == "start":
            assert device not in busy
            busy.add(device)
        else:
            busy.remove(device)
        most = max(most, len(busy))
    assert most == 2


def test_an_interruption_ends_what_is_running(script):
    runs = plan(script, ["sparse_merit"], [0], ["--pause=60"])
    trainer = Trainer(script, [None], 0)
    thread = threading.Thread(target=trainer, args=[runs])
    thread.start()
    while not (script.parent / "journal.txt").exists():
        time.sleep(0.01)
    trainer.stop()
    thread.join()
    # Nobody holds the lock any more: the run has ended.
    claim_folder(runs[0].folder).release()


# The command


def command(script, *arguments):
    out = ["--out", str(script.parent / "out"), "--script", str(script)]
    return main(["sweep", *out, *map(str, arguments)])


def test_the_command_says_what_became_of_it(script, capsys):
    (script.parent / "ser_only0.fails").touch()
    arguments = ("--variants", "ser_only,sparse_merit", "--", "--lr=2")
    assert command(script, *arguments) == 1
    text = capsys.readouterr().out
    assert "sparse_merit/fold0_seed1986: finished" in text
    assert "ser_only/fold0_seed1986: failed" in text and "no luck" in text
    (script.parent / "ser_only0.fails").unlink()
    assert command(script, *arguments) == 0
    text = capsys.readouterr().out
    assert "finished before" in text and "no luck" not in text
    found = (script.parent / "out").rglob("results.json")
    assert all('"lr": "2"' in path.read_text() for path in found)


def test_a_description_is_overridden_by_the_command(script):
    spec = script.parent / "sweep.yml"
    spec.write_text(
        "variants: [sparse_merit, ser_only]\nfolds: [0, 1]\nseeds: [5]\n"
        "options: {lr: 1, top_k: 2}\n"
    )
    arguments = ("--spec", spec, "--folds", "1", "--variants", "ser_only")
    assert command(script, *arguments, "--", "--lr=3") == 0
    (path,) = (script.parent / "out").rglob("results.json")
    assert path.parent.name == "fold1_seed5"
    text = path.read_text()
    assert '"lr": "3"' in text and '"top_k": "2"' in text


def test_a_finished_run_of_other_options_is_none_of_this_sweep(script):
    recipe = script.parent / "recipes" / "mini" / TASK_FOLDER
    recipe.mkdir(parents=True)
    (recipe / CORPUS_FILE).write_text("{}")
    (script.parent / "hparams" / "ser_only.yaml").write_text(
        "{seed: 1, fold: 0, corpus: x, output_folder: x, lr: 0.1, device: cpu}"
    )
    (run,) = plan(script, ["ser_only"])
    assert sweep(script, [run])[run.name].status == "finished"
    # As train.py, which is a stub here.
    _, options, overrides = speechbrain.parse_arguments(list(run.arguments))
    composed = compose(run.arguments[0], overrides, script.parent)
    record = TrainingRecord(run.folder / "save")
    record.check("settings", training_settings(composed, options))
    record.write()
    (run.folder / "save" / "CKPT+1").mkdir()
    assert sweep(script, [run])[run.name].status == "finished before"
    (other,) = plan(script, ["ser_only"], options=["--lr=0.2"])
    outcome = sweep(script, [other])[run.name]
    assert outcome.status == "failed"
    assert "- lr was 0.1, is 0.2" in outcome.reason
    assert journal(script).count(("start", "ser_only", "0", "None")) == 1


@pytest.mark.parametrize(
    ("option", "status"),
    [
        ("--num_workers=2", "finished before"),
        ("--test_snrs_db=[5]", "finished"),
        ("--number_of_epochs=9", "finished"),
        ("--number_of_epochs=1", "failed"),
    ],
)
def test_a_finished_run_of_another_test_is_tested_again(script, option, status):
    recipe = script.parent / "recipes" / "mini" / TASK_FOLDER
    recipe.mkdir(parents=True)
    (recipe / CORPUS_FILE).write_text("{}")
    (script.parent / "hparams" / "ser_only.yaml").write_text(
        "{seed: 1, fold: 0, corpus: x, output_folder: x, num_workers: 0, "
        "test_snrs_db: [0], number_of_epochs: 3}"
    )
    (run,) = plan(script, ["ser_only"])
    sweep(script, [run])
    _, options, overrides = parse_arguments(run.arguments)
    composed = compose(run.arguments[0], overrides, script.parent)
    record = TrainingRecord(run.folder / "save")
    record.check("settings", training_settings(composed, options))
    record.write()
    (run.folder / "save" / "CKPT+1").mkdir()
    (other,) = plan(script, ["ser_only"], options=[option])
    assert sweep(script, [other])[run.name].status == status
    assert len(journal(script)) == (4 if status == "finished" else 2)


def test_a_run_without_its_last_step_is_not_finished(script):
    (run,) = plan(script, ["ser_only"])
    sweep(script, [run])
    assert run.is_finished
    # The power went after results.json, and before the model was written.
    (run.folder / "test_progress_0.jsonl").touch()
    assert not run.is_finished


def test_a_dry_run_runs_nothing(script):
    assert command(script, "--variants", "ser_only", "--dry_run") == 0
    assert not (script.parent / "out").exists()


def test_mistakes_are_told_before_anything_runs(script, tmp_path):
    assert command(script) == 1
    assert command(script, "--variants", "nothing") == 1
    assert command(script, "--variants", "ser_only", "--jobs", "0") == 1
    assert main(["sweep", "--script", str(tmp_path / "no.py")]) == 1


def test_names_of_the_variants_are_those_of_the_repository():
    """What the sweep knows by name is there by that name."""
    folder = Path(__file__).parents[2] / "hparams"
    variants = parse_variants(["se_then_ser"])
    runs = plan_runs(variants, [0], [1], "mini", Path("out"), folder)
    names = [run.folder.parent.name for run in runs]
    assert names == ["se_only", "se_then_ser"]
