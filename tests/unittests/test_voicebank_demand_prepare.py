"""VoiceBank-DEMAND as distributed: pairs, and no noise to mix."""

import shutil

import pytest
from made_corpora import preparation, run, skipped, speakers, write_sound


@pytest.fixture(scope="module")
def prepare():
    with preparation("VoiceBank-DEMAND") as function:
        yield function


@pytest.fixture
def corpus(tmp_path):
    root = tmp_path / "corpus"
    for part, names in (
        ("trainset_28spk_wav", ("p226", "p287", "p230", "p231")),
        ("trainset_56spk_wav", ("p226", "p287", "p312")),
        ("testset_wav", ("p232", "p257")),
    ):
        for speaker in names:
            for number in (1, 2):
                for kind in ("clean", "noisy"):
                    name = f"{speaker}_{number:03d}.wav"
                    write_sound(root / f"{kind}_{part}" / name, rate_hz=48000)
    return root


def test_speakers_of_the_parts(prepare, corpus):
    found = run(prepare, corpus)
    assert speakers(found["train"]) == {"p230", "p231"}
    assert speakers(found["valid"]) == {"p226", "p287"}
    assert speakers(found["test"]) == {"p232", "p257"}
    assert [len(found[n]) for n in ("train", "valid", "test")] == [4, 4, 4]
    assert not any(found[name] for name in found if name.startswith("noise"))


def test_fields(prepare, corpus):
    assert run(prepare, corpus)["test"]["p232_001"] == {
        "wav": "{data_root}/clean_testset_wav/p232_001.wav",
        "start_s": 0.0,
        "duration_s": 0.2,
        "emotion": None,
        "speaker": "p232",
        "noisy_wav": "{data_root}/noisy_testset_wav/p232_001.wav",
    }


def test_the_larger_training_set(prepare, corpus):
    found = run(prepare, corpus, num_speakers=56, valid_speakers=["p312"])
    assert speakers(found["train"]) == {"p226", "p287"}
    assert speakers(found["valid"]) == {"p312"}


def test_pairs_that_are_not_whole(prepare, corpus, caplog):
    (corpus / "noisy_trainset_28spk_wav" / "p230_001.wav").unlink()
    broken = corpus / "noisy_trainset_28spk_wav" / "p230_002.wav"
    broken.write_bytes(b"no sound")
    found = run(prepare, corpus)
    assert set(found["train"]) == {"p231_001", "p231_002"}
    assert "1 files, such as p230_001.wav, are only in one of" in caplog.text
    assert list(skipped(corpus)) == [
        "{data_root}/noisy_trainset_28spk_wav/p230_002.wav"
    ]


def test_unusable(prepare, corpus):
    with pytest.raises(ValueError, match="only fold 0"):
        run(prepare, corpus, 1)
    with pytest.raises(ValueError, match=r"num_speakers is 30: use one of"):
        run(prepare, corpus, num_speakers=30)
    with pytest.raises(ValueError, match="no utterance for valid"):
        run(prepare, corpus, valid_speakers=[])
    shutil.rmtree(corpus / "noisy_testset_wav")
    with pytest.raises(FileNotFoundError, match="no noisy_testset_wav: found"):
        run(prepare, corpus)
