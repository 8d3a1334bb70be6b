"""Kills at random moments, many of them, and nothing is lost."""

import random
from collections import Counter
from pathlib import Path

import pytest
from faulty_machine import (
    Fault,
    assert_same_end,
    read_phase,
    train,
    train_killed,
)
from warm_process import warm_process

NUM_KILLS = 30
SEED = 8
KILLED = -9
# Every other kill comes within what takes little time and would rarely be
# hit: at which file, checkpoint, deletion or batch at most.
PLACES = {"writing": 36, "naming": 6, "deleting": 5, "testing": 6}


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux")
def test_thirty_kills_change_nothing(tmp_path, data, capsys):
    draw = random.Random(SEED)
    survived, runs = Counter(), 0
    straight, before_s = tmp_path / "straight", warm_process().cpu_s
    status, output = train(straight, data)
    assert status == 0, output[-3000:]
    straight_cpu_s = warm_process().cpu_s - before_s
    while survived.total() < NUM_KILLS:
        folder, status = tmp_path / f"run{runs}", None
        while status != 0:
            left = NUM_KILLS - survived.total()
            if left % 2:
                moment_s = draw.uniform(0, straight_cpu_s)
                status, output = train_killed(moment_s, folder, data)
            else:
                place = draw.choice(list(PLACES)) if left else ""
                number = draw.randint(1, PLACES.get(place, 1))
                fault = Fault("kill", place, number)
                status, output = train(folder, data, fault)
            assert status in (0, KILLED), output[-3000:]
            survived[read_phase()] += status == KILLED
        assert_same_end(folder, straight)
        runs += 1
    cpu_s = warm_process().cpu_s - before_s
    with capsys.disabled():
        print(
            f"\n{survived.total()} kills survived in {runs} trainings: "
            f"{dict(survived)}; {cpu_s:.0f} s of a processor, "
            f"{straight_cpu_s:.0f} s of it without kills."
        )
