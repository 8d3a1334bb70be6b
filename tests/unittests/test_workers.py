"""Workers in processes and on Ray: what they give, and what a death costs.

Authors
 * The speechbrain-merit developers 2026
"""

import os
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

from speechbrain_merit.command_line.workers import WorkerDied, Workers


class Fragile:
    """Doubles numbers, dies of what is negative, and has a weak start."""

    def __init__(self, number):
        if Path("no-start").exists():
            os._exit(1)
        if Path("bad-model").exists():
            raise ValueError("the model is bad")

    def __call__(self, item):
        if item < 0:
            os._exit(1)
        return 2 * item

    def stop(self):
        pass


@pytest.fixture(scope="module")
def ray_cluster():
    """A cluster of two machines, which both are this one."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    with pytest.MonkeyPatch.context() as context:
        # Its processes import this file.
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        context.setenv("PYTHONPATH", os.pathsep.join(paths))
        cluster = Cluster(initialize_head=True, head_node_args=options)
        cluster.gone = cluster.add_node(**options)
    yield cluster
    cluster.shutdown()


@pytest.fixture(params=["processes", "ray"])
def place(request, tmp_path, monkeypatch):
    """Where two workers are."""
    monkeypatch.chdir(tmp_path)
    if request.param == "processes":
        return {"count": 2}
    cluster = request.getfixturevalue("ray_cluster")
    return {"count": 2, "ray": cluster.address}


def test_items_are_done_once_and_killers_alone_fail(place):
    items = [*range(1, 20), -1]
    items.insert(3, -2)
    with Workers(Fragile, depth=2, **place) as workers:
        found = dict(workers.map(items))
    assert found.keys() == set(items)
    assert all(isinstance(found.pop(item), WorkerDied) for item in (-1, -2))
    assert found == {item: 2 * item for item in range(1, 20)}


@pytest.mark.parametrize(
    ("name", "error"),
    [("no-start", ChildProcessError), ("bad-model", ValueError)],
)
def test_workers_that_cannot_begin_say_so(place, name, error):
    Path(name).touch()
    with pytest.raises(error):
        Workers(Fragile, **place).__enter__()


def test_a_machine_that_goes_takes_nothing_along(ray_cluster):
    where = {"count": 2, "depth": 2, "ray": ray_cluster.address}
    found = []
    with Workers(Fragile, **where) as workers:
        # Both have begun.
        for number, pair in enumerate(workers.map(range(1, 200))):
            found.append(pair)
            if number == 100:
                ray_cluster.remove_node(ray_cluster.gone, allow_graceful=False)
    assert sorted(found) == [(item, 2 * item) for item in range(1, 200)]


def test_no_result_waits_for_a_worker_without_room():
    full = threading.Barrier(2)
    over = threading.Event()
    made = []

    def make_worker(number):
        made.append(number)
        if made.count(1) > 1:
            over.wait()
        return mock.Mock(side_effect=doubles if number == 0 else dies)

    def doubles(item):
        time.sleep(0.01)
        return 2 * item

    def dies(item):
        # Both of its items go with it.
        full.wait()
        raise WorkerDied

    with Workers(make_worker, 2, depth=2, in_process=True) as workers:
        assert dict(workers.map(range(40))) == {n: 2 * n for n in range(40)}
        over.set()
