"""The demo: what it shows, over HTTP and in a real browser."""

import shutil
import socket

import numpy as np
import pytest
import soundfile
import torch
from toy_model import EMOTIONS, take_all_for_speech, write_experiment

from speechbrain_merit import load
from speechbrain_merit.command_line import main
from speechbrain_merit.inference.demo import make_demo, serve

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder)
    model = load(folder, "cpu")
    take_all_for_speech(model)
    return model


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Six seconds in stereo at another rate than the model's."""
    path = tmp_path_factory.mktemp("recording") / "noisy.wav"
    samples = np.random.default_rng(0).normal(size=(6 * 22050, 2)) * 0.05
    soundfile.write(path, samples, 22050)
    return path


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
    page = make_demo(model, max_duration_s=60.0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield serve(page, "127.0.0.1", port, block=False, max_upload_mb=1.0)
    page.close()


def test_the_page_answers_over_http(address, recording, model):
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(address, verbose=False)
    shown, enhanced = client.predict(
        client_module.handle_file(recording), 2.0, api_name="/process"
    )
    samples, rate = soundfile.read(enhanced, dtype="float32")
    expected = model.process_file(recording)
    assert rate == 16000
    torch.testing.assert_close(
        torch.from_numpy(samples), expected.enhanced[0], atol=1e-4, rtol=0
    )
    assert f'font-weight: 600">{expected.labels[0]}' in shown
    assert all(f">{emotion}" in shown for emotion in EMOTIONS)


def test_limits_and_errors_without_paths(address, tmp_path, caplog):
    client_module = pytest.importorskip("gradio_client")
    client = client_module.Client(address, verbose=False)
    # Silence of a minute in a kilobyte; samples that are none; too large.
    soundfile.write(tmp_path / "long.flac", np.zeros(61 * 8000), 8000)
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "large.wav", np.zeros(10**6), 16000)
    said = {
        "long.flac": "It takes 61 s; 60 s are the most here.",
        "text.wav": "text.wav cannot be read as audio",
        "large.wav": "exceeds",
    }
    for name, text in said.items():
        with pytest.raises(Exception, match=text) as error:
            file = client_module.handle_file(tmp_path / name)
            client.predict(file, 1.0, api_name="/process")
        assert name == "large.wav" or "/" not in str(error.value)
    assert "long.flac failed" in caplog.text


@pytest.fixture
def browser():
    """A real one without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"There is none of {BROWSERS} here.")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=path,
            # As after a click on the player.
            args=["--autoplay-policy=no-user-gesture-required"],
        )
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
        "[...document.images].filter(i => i.naturalWidth > 800).length == 1",
        timeout=120_000,
    )
    text = page.locator("body").inner_text()
    assert all(emotion in text for emotion in EMOTIONS)
    # Both versions in one player: which is heard changes while it plays.
    heard = "p => p.channels.map(channel => channel.gain.value)"
    player = page.locator("form audio")
    player.evaluate("p => p.play()")
    page.wait_for_function("document.querySelector('form audio').channels")
    assert player.evaluate(heard) == [0, 1]
    page.get_by_label("original", exact=True).check()
    assert player.evaluate(heard) == [1, 0]
    assert not player.evaluate("p => p.paused")
    page.screenshot(path=tmp_path / "demo.png", full_page=True)
    assert not errors
    assert not [url for url in outside if not url.startswith("ws")]
