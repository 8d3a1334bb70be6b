"""Hyperparameters are checked before anything is done with them."""

import io
from pathlib import Path

import pytest
import ruamel.yaml
from hyperpyyaml import load_hyperpyyaml

from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.config import (
    check_hyperparameters,
    checking,
    compose,
    parse_arguments,
    read_overrides,
    suggestion,
)
from speechbrain_merit.config.hyperparameters import KNOWN
from speechbrain_merit.config.reading import tag_of

ROOT = Path(__file__).parents[2]
SPARSE = ROOT / "hparams" / "sparse_merit.yaml"


@pytest.fixture(scope="module")
def variant(tmp_path_factory):
    """Sparse MERIT with what `mini` sets, and without any objects."""
    merged = ruamel.yaml.YAML().load(compose(SPARSE, "", ROOT).resolve())
    plain = {
        key: None if tag_of(value).startswith("!") else value
        for key, value in merged.items()
        if not tag_of(value).startswith("!") or key not in KNOWN
    }
    del plain["modules"]
    path = tmp_path_factory.mktemp("variant") / "my.yaml"
    stream = io.StringIO()
    ruamel.yaml.YAML().dump(plain, stream)
    path.write_text(
        stream.getvalue() + "modules: {model: 1, task_balancing: 1}\n"
        "noises: {cache_size: 1}\n"
        "integrator: {tasks: [enhance, emotion]}\n"
        "task_balancing: {tasks: [enhance, emotion]}\n",
        encoding="utf-8",
    )
    return path


def check(path, text="", script_folder=None):
    check_hyperparameters(compose(path, text, script_folder))


def complaints(path, text="", script_folder=None, **options):
    """What is said about a variant with overrides."""
    text += "\n".join(f"{key}: {value}" for key, value in options.items())
    with pytest.raises(ValueError) as caught:
        check(path, text, script_folder)
    message = str(caught.value)
    assert message.startswith(f"{path} cannot be run:\n- ")
    return message.split("\n- ")[1:]


def test_a_good_variant_passes(variant):
    check(variant)
    check(SPARSE, "", ROOT)


# Names


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("bath_size", "batch_size"),
        ("prezision", "precision"),  # an option of SpeechBrain's
        ("rooter_learning", "router_learning"),
        ("snr_low", "snr_low_db"),
    ],
)
def test_misspelt_overrides_are_named(variant, key, meant):
    (text,) = complaints(variant, **{key: 1})
    assert text == (
        f"{key} is no key of my.yaml. Did you mean {meant}? "
        "(on the command line)"
    )


def test_keys_of_other_variants_are_told_from_misspelt_ones(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text("seed: 1\n")
    with pytest.raises(ValueError, match="top_k is a key of other variants"):
        check(path, "top_k: 2")


def test_misspelt_names_within_mappings():
    options = {
        "speed_perturb: {speds: [9]}": "takes no speds. Did you mean speeds?",
        "noises: {cache: 9}": "NoiseSource takes no cache",
        "train_dataloader_opts: {nm_workers: 2}": "Did you mean num_workers?",
        "prepare_options: {num_trian: 3}": "Did you mean num_train?",
        "encoder_config: {hiden_size: 3}": "Did you mean hidden_size?",
    }
    found = complaints(SPARSE, "\n".join(options), ROOT)
    assert len(found) == len(options)
    for text in options.values():
        assert any(text in line for line in found), text


@pytest.mark.parametrize(
    ("key", "name", "meant"),
    [
        ("loss_weights", "enhanc", "enhance"),
        ("score_weights", "emotoin", "emotion"),
    ],
)
def test_misspelt_weights(variant, key, name, meant):
    (text,) = complaints(variant, **{key: f"{{{name}: 1}}"})
    assert text == (
        f"{key} has no {name}. Did you mean {meant}? (on the command line)"
    )


def test_misspelt_weights_of_an_overlay(variant, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        f"base: {variant}\nloss_weights: {{rooter_z: 2.0, contrast: 1.0}}\n",
        encoding="utf-8",
    )
    (text,) = complaints(own)
    assert text == (
        f"Nothing uses loss_weights.rooter_z. Did you mean router_z? (in {own})"
    )


def test_a_reference_to_itself(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        f"base: {SPARSE}\nfold: !ref <seed>\nseed: !ref <fold>\n",
        encoding="utf-8",
    )
    (text,) = complaints(own, "", ROOT)
    assert text == "A reference leads back to itself: look for !ref."


def test_own_keys_are_welcome_in_an_own_file(variant, tmp_path):
    text = variant.read_text(encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(
        text + "my_depth: 3\nbatch_sizes: !ref <batch_size>\n", encoding="utf-8"
    )
    check(own)


def test_a_misspelt_key_of_an_own_file_is_named(variant, tmp_path):
    text = variant.read_text(encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(
        text.replace("\nnum_metric_jobs:", "\nnum_metrics_jobs:"),
        encoding="utf-8",
    )
    misspelt, missing = complaints(own)
    assert misspelt == (
        "Nothing uses num_metrics_jobs. Did you mean num_metric_jobs? "
        f"(in {own})"
    )
    assert missing == "num_metric_jobs is missing."


def test_references_and_places_to_fill_in(variant, tmp_path):
    text = variant.read_text(encoding="utf-8")
    text += "mine: {a: !ref <expert_dorpout>}\nfolder: !PLACEHOLDER\n"
    own = tmp_path / "own.yaml"
    own.write_text(text, encoding="utf-8")
    assert complaints(own) == [
        "folder is not set: give it by --folder=...",
        "mine.a refers to <expert_dorpout>, which is no key. Did you mean "
        f"expert_dropout? (in {own})",
    ]


def test_misspelt_keys_of_a_corpus(tmp_path):
    folder = tmp_path / "recipes" / "Mine" / "joint_enhance_emotion"
    folder.mkdir(parents=True)
    (folder / "corpus.yml").write_text("bath_size: 4\n")
    with pytest.raises(ValueError, match="Did you mean batch_size.*corpus.yml"):
        compose(SPARSE, "corpus: Mine", tmp_path)


# Values


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("batch_size", "0", "greater than or equal to 1"),
        ("batch_size", "4.0", "a valid integer"),
        ("batch_size", "four", "a valid integer"),
        ("number_of_epochs", "-1", "greater than or equal to 1"),
        ("grad_accumulation_factor", "0", "greater than or equal to 1"),
        ("seed", "-1", "greater than or equal to 0"),
        ("fold", "[0]", "a whole number from 0 on, or a text"),
        ("lr", "fast", "a valid number"),
        ("lr", "True", "a valid number"),
        ("weight_decay", ".nan", "a finite number"),
        ("max_duration_s", "0", "greater than 0"),
        ("clean_probability", "-0.1", "greater than or equal to 0"),
        ("expert_dropout", "1.5", "less than or equal to 1"),
        ("label_smoothing", "2", "less than or equal to 1"),
        ("snr_low_db", "-1000", "greater than or equal to -100"),
        ("snr_high_db", ".inf", "a finite number"),
        ("test_snrs_db", "5", "a valid list"),
        ("test_snrs_db", "[0, 101]", "less than or equal to 100"),
        ("test_snrs_db", "[0, loud]", "a valid number"),
        ("valid_snrs_db", "[5, 0, 5.0]", "have 5.0 once"),
        ("use_tensorboard", "yes", "a valid boolean"),
        ("skip_prep", "1", "a valid boolean"),
        ("system", "7", "a valid string"),
        ("data_folder", "null", "a valid string"),
        ("pooling_kind", "atentive", "Did you mean attentive?"),
        ("router_learning", "straight", "Did you mean straight_through?"),
        ("task_balancing_kind", "pc_grad", "Did you mean pcgrad?"),
        ("freeze_encoder", "some", "one of all, convolutions, none"),
        ("normalization_mode", "batch", "one of none, utterance, corpus"),
        ("enhancement_metrics", "[pesq]", "Did you mean pesq_wb?"),
        ("emotions", "[]", "at least 1 item"),
        ("emotions", "[sad, sad]", "have 'sad' once"),
        ("emotions", "sad", "a valid list"),
        ("label_mapping", "calm", "takes a mapping"),
        ("loss_weights", "1", "takes a mapping"),
        ("n_fft", "1", "greater than or equal to 2"),
    ],
)
def test_values_that_are_no_such_thing(variant, key, value, wanted):
    (text,) = complaints(variant, **{key: value})
    assert text.startswith(key) and wanted in text
    assert text.endswith(" (on the command line)")


def test_a_mapping_for_a_number(variant):
    (text,) = complaints(variant, seed="{a: 1}")
    assert text == (
        "seed is {'a': 1}: it takes no mapping. (on the command line)"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 4}, "top_k is 4, but there are only 3 experts"),
        ({"snr_low_db": 9, "snr_high_db": 8}, "snr_low_db 9 is above"),
        ({"hop_length": 500}, "hop_length 500 is above n_fft 400"),
        (
            {"label_mapping": "{calm: joy}"},
            "label_mapping {'calm': 'joy'} leads to",
        ),
        ({"normalization_mode": "corpus"}, "the mode corpus needs both"),
        ({"normalization_mean": 0.1}, "mode is none, normalization_mean 0.1"),
        ({"sample_rate_hz": 8000}, "pesq_wb are defined at 16000"),
        ({"max_duration_s": 0.0001}, "max_duration_s 0.0001 at sample_rate_hz"),
        ({"number_of_frozen_epochs": 50}, "number_of_frozen_epochs 50 is"),
        ({"encoder_config": "{model_type: vawlm}"}, "Did you mean wavlm?"),
        ({"valid_snrs_db": "[]"}, "on clean speech alone"),
        ({"score_weights": "{emotion: -1}"}, "score_weights.emotion is -1"),
    ],
)
def test_combinations_that_cannot_be(variant, options, message):
    (text,) = complaints(variant, **options)
    assert message in text


def test_an_encoder_that_is_not_described():
    (text,) = complaints(SPARSE, encoder_source="null", data_folder="x")
    assert "name a speech encoder" in text


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("integrator", "integrator.tasks.1 is 'emotions': it must be one of"),
        ("task_balancing", "task_balancing.tasks.1 is 'emotions'"),
    ],
)
def test_unknown_tasks(variant, place, message):
    (text,) = complaints(variant, **{place: "{tasks: [enhance, emotions]}"})
    assert message in text and "Did you mean emotion?" in text


def test_a_shortcut_is_for_a_known_task():
    (text,) = complaints(
        SPARSE.with_name("merit_plus.yaml"),
        integrator="{shortcut_tasks: [enhanse]}",
        data_folder="x",
    )
    assert "integrator.shortcut_tasks.0 is 'enhanse'" in text
    assert "Did you mean enhance?" in text


def test_no_test_snr_means_clean_speech_alone(variant):
    check(variant, "test_snrs_db: []")


def test_all_problems_are_listed_at_once(variant):
    found = complaints(variant, batch_size=0, top_k=9, lr="fast")
    assert len(found) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--grad_accumulation_factor=0", "grad_accumulation_factor is 0"),
        ("--max_grad_norm=-5", "max_grad_norm is -5.0: it must be greater"),
        # It would make every gradient zero.
        ("--max_grad_norm=0", "max_grad_norm is 0.0: it must be greater"),
        (
            "--device=quantum",
            "device is 'quantum': it must be a device of this",
        ),
        (
            "--device=cuda:99",
            "device is 'cuda:99': it must be a device of this",
        ),
        (
            "--device=cpu --precision=fp16",
            "precision is fp16, which the device",
        ),
        (
            "--device=cpu --eval_precision=fp16",
            "eval_precision is fp16, which the device cpu does not have",
        ),
        ("--ckpt_interval_minutes=-1", "ckpt_interval_minutes is -1"),
        ("--ckpt_interval_steps=-1", "ckpt_interval_steps is -1"),
        (
            "--ckpt_interval_minutes=5 --ckpt_interval_steps=5",
            "one of them must be 0",
        ),
    ],
)
def test_options_of_speechbrain_are_checked_too(variant, options, message):
    _, options, _ = RunOptions.from_command_line_args(
        ["x.yaml", *options.split()]
    )
    with pytest.raises(ValueError, match=message):
        check_hyperparameters(compose(variant), options)


def test_half_precision_needs_another_device_than_that_found(
    variant, monkeypatch
):
    monkeypatch.setattr(checking, "infer_device", lambda: "cpu")
    _, options, _ = RunOptions.from_command_line_args(
        ["x.yaml", "--precision=fp16"]
    )
    with pytest.raises(ValueError, match="device as found here"):
        check_hyperparameters(compose(variant), options)


# Files and command lines


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2", "once,.*duplicate key"),
        ("emotions: [sad", "cannot be read as YAML"),
        ("fast", "'fast' on the command line.* holds no settings"),
        ("- fast", "holds no settings"),
    ],
)
def test_command_lines_that_are_none(text, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_overrides(text)


@pytest.mark.parametrize(
    "text", ["a: [1", "- a\n- b", "just words", "a: 1\na: 2", ""]
)
def test_files_that_are_no_hyperparameters(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="broken.yaml"):
        check(path)


def test_a_file_of_other_bytes_and_one_that_is_not_there(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("größe: 1".encode("latin-1"))
    with pytest.raises(ValueError, match="latin.yaml cannot be read"):
        check(path)
    with pytest.raises(FileNotFoundError, match="sparse_merit.yaml"):
        check(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "text",
    [
        *("exp #2", "a=b", "set: A [x]", "'a'", '"b"', "{x}!", "a&b", "a > b"),
        *("yes", "12:30", "1_000", "null", "(a)", "!ref x", "&a", "|", "- x"),
        *(" a ", "a  b", "a\nb", "C:\\x", "größe", "😀", "%", "long " * 40),
    ],
)
@pytest.mark.parametrize("joined", [True, False])
def test_texts_of_the_command_line_are_literal(tmp_path, text, joined):
    path = tmp_path / "variant.yaml"
    path.write_text("output_folder: x\nsave: !ref <output_folder>/save\n")
    option = [f"--output_folder={text}"]
    if not joined:
        option = ["--output_folder", text]
    file, _, overrides = parse_arguments([str(path), "--device=cpu", *option])
    found = load_hyperpyyaml(compose(file, overrides).text)
    assert found == {"output_folder": text, "save": f"{text}/save"}


def test_values_that_are_no_texts_are_yaml():
    options = ["--lr", "1e-3", "--emotions", "[a,", "b]", "--noise_folder=null"]
    options += ["--mine='a #1'", "--fold=3", "--data_folder=null"]
    _, options, text = parse_arguments(["a.yaml", "--debug", *options])
    assert options.debug
    assert ruamel.yaml.YAML(typ="safe").load(text) == {
        "lr": 1e-3,
        "emotions": ["a", "b"],
        "noise_folder": None,
        "mine": "a #1",
        "fold": 3,
        "data_folder": "null",
    }
    with pytest.raises(ValueError, match="--mine=a #1: put what has a # into"):
        parse_arguments(["a.yaml", "--mine=a #1"])


def test_what_hyperpyyaml_would_change_is_refused(variant):
    for text in ("exp <corpus>", "<none>"):
        (said,) = complaints(variant, output_folder=f"'{text}'")
        assert said.startswith(f"output_folder is '{text}': only behind !ref")


def test_no_blank_is_lost_in_silence(tmp_path):
    path = tmp_path / "variant.yaml"
    lost = 0
    # Where ruamel.yaml breaks a line, it keeps one blank of several.
    for length in range(55, 75):
        text = f"{'x' * length}  {'y' * 70}"
        path.write_text(f"output_folder: '{text}'")
        composed = compose(path)
        if load_hyperpyyaml(composed.text)["output_folder"] != text:
            lost += 1
            with pytest.raises(ValueError, match="output_folder is .*, read"):
                check_hyperparameters(composed)
    assert lost


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drop: [modules]", "modules.model is missing: train.py needs it"),
        ("drop: [opt_class]", "opt_class is missing"),
        ("mine: !nwe:torch.nn.ReLU {}", r"mine: there is no tag !nwe:.*!new:"),
        ("mine: {a: [!rfe <lr>]}", r"mine.a.0: there is no tag !rfe.*!ref"),
        ("loss_weights: 3", r"loss_weights is 3: it takes a.* \(in .*over"),
    ],
)
def test_what_would_fail_later_is_refused(variant, tmp_path, text, message):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(f"base: {variant}\n{text}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        check(overlay, "", ROOT)


def test_a_broken_file_is_the_trouble_of_no_other(variant):
    variant.with_name("broken.yaml").write_text("a: [1")
    (text,) = complaints(variant, lr="fast")
    assert text.startswith("lr is 'fast'")


def test_suggestions_are_only_for_similar_names():
    assert suggestion("tok_k", ["top_k", "seed"]) == " Did you mean top_k?"
    assert suggestion("xyz", ["top_k", "seed"]) == ""
