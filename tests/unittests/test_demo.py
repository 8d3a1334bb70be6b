"""The demo: what it shows, over HTTP and in a real browser."""

import shutil
import socket

import numpy as np
import pytest
import soundfile
import torch
from bad_audio import encode, speech
from toy_model import EMOTIONS, take_all_for_speech, write_experiment

from speechbrain_merit import load
from speechbrain_merit.command_line import main
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.inference.demo import analyse, make_demo, serve

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder)
    return JointEnhancementClassifier.from_hparams(
        folder, run_opts={"device": "cpu"}
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Six seconds in stereo at another rate than the model's."""
    path = tmp_path_factory.mktemp("recording") / "noisy.wav"
    samples = np.random.default_rng(0).normal(size=(6 * 22050, 2)) * 0.05
    soundfile.write(path, samples, 22050)
    return path


def test_all_of_a_recording_is_shown(model, recording):
    take_all_for_speech(model)
    result = analyse(model, recording, step_s=2.0)
    expected = model.process_file(recording, timeline_step_s=2.0)
    assert result.sample_rate_hz == 16000
    np.testing.assert_allclose(
        result.enhanced / 32767, expected.enhanced[0], atol=1e-4
    )
    probabilities = expected.log_posteriors[0].exp().tolist()
    assert result.posteriors == pytest.approx(
        dict(zip(EMOTIONS, probabilities, strict=True))
    )
    for image in (result.spectrograms, result.experts):
        assert image.mode == "RGB" and image.width > 800


def test_noise_alone_is_no_emotion(tmp_path, recording):
    write_experiment(tmp_path)
    model = load(tmp_path, device="cpu")
    assert analyse(model, recording, 1.0).posteriors == {"no speech": 1.0}


def test_a_recording_of_a_phone_is_shown(model, tmp_path):
    path = encode(tmp_path / "memo.m4a", speech(48000), "aac")
    result = analyse(model, path, step_s=2.0)
    assert len(result.enhanced) == pytest.approx(48000, abs=2100)


def test_models_without_emotions_or_experts(tmp_path, recording):
    write_experiment(tmp_path, tasks=["enhance"])
    model = JointEnhancementClassifier.from_hparams(
        tmp_path, run_opts={"device": "cpu"}
    )
    routed = model.mods.model.integrator.forward

    def unrouted(*arguments):
        integration = routed(*arguments)
        integration.routing = {}
        return integration

    model.mods.model.integrator.forward = unrouted
    result = analyse(model, recording, step_s=20.0)
    assert result.posteriors is None and result.experts is None
    assert len(result.enhanced) == 6 * 16000


def test_the_command_says_what_is_missing(tmp_path, caplog, monkeypatch):
    write_experiment(tmp_path / "ser", tasks=["emotion"])
    write_experiment(tmp_path / "both")

    def missing():
        raise ImportError("pip install '.[demo]'")

    monkeypatch.setattr(
        "speechbrain_merit.inference.demo.gradio_page._import_gradio", missing
    )
    assert main(["demo", "--model", str(tmp_path / "both")]) == 1
    assert ".[demo]" in caplog.text
    monkeypatch.setattr(
        "speechbrain_merit.inference.demo.gradio_page._import_gradio",
        lambda: None,
    )
    assert main(["demo", "--model", str(tmp_path / "ser")]) == 1
    assert "needs a model that enhances" in caplog.text


@pytest.fixture(scope="module")
def address(model):
    """The page, served."""
    pytest.importorskip("gradio")
    page = make_demo(model)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield serve(page, "127.0.0.1", port, block=False)
    page.close()


def test_the_page_answers_over_http(address, recording, model):
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(address, verbose=False)
    enhanced, emotion, spectrograms, experts = client.predict(
        client_module.handle_file(recording), 2.0, api_name="/process"
    )
    samples, rate = soundfile.read(enhanced, dtype="float32")
    expected = model.process_file(recording)
    assert rate == 16000
    torch.testing.assert_close(
        torch.from_numpy(samples), expected.enhanced[0], atol=1e-4, rtol=0
    )
    assert emotion["label"] == expected.labels[0]
    assert {entry["label"] for entry in emotion["confidences"]} == set(EMOTIONS)


@pytest.fixture
def browser():
    """A real one without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"There is none of {BROWSERS} here.")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path)
        yield browser
        browser.close()


def test_the_page_works_in_a_browser(address, recording, browser, tmp_path):
    page = browser.new_page(viewport={"width": 1200, "height": 1500})
    outside, errors = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((address, "data:", "blob:"))
            else outside.append(request.url)
        ),
    )
    page.goto(address)
    page.get_by_role("heading", name="Enhanced speech").wait_for()
    page.locator("input[type=file]").first.set_input_files(recording)
    # Dropping a file is enough to have it processed.
    page.wait_for_function(
        "[...document.images].filter(i => i.naturalWidth > 800).length == 2",
        timeout=120_000,
    )
    text = page.locator("body").inner_text()
    assert all(emotion in text for emotion in EMOTIONS)
    # One player for the recording, one for what was made of it.
    assert page.get_by_label("Play", exact=True).count() == 2
    page.screenshot(path=tmp_path / "demo.png", full_page=True)
    assert not errors
    assert not [url for url in outside if not url.startswith("ws")]
