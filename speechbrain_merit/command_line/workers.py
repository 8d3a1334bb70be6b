"""The same work on many items: in this process, in others, or on Ray.

A worker is called with one item after another, by several threads at a time.
What one that dies was at is given to another.

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from multiprocessing.managers import BaseManager
from queue import SimpleQueue
from typing import Any

# When so many workers have died of an item, or while they start, it is no
# accident.
_MOST_DEATHS = 3


class WorkerDied(Exception):
    """A worker's process or machine is gone, and what it was at with it."""


class Workers:
    """Workers that share items; they are there within `with`.

    Arguments
    ---------
    make_worker : callable
        Gives a worker for its number: it is called with an item, and has a
        method `stop` that ends what it is at. Can be pickled, unless the
        worker is for this process.
    count : int
        How many.
    depth : int
        How many items a worker has at a time, each in a thread.
    ray : str, optional
        Address of a Ray cluster to work on, as `ray.init` takes it.
    cpus : float
        Cores of each worker.
    gpus : float
        GPUs of each worker on Ray, such as 0.5.
    in_process : bool
        Whether workers live in this process, where Ray is not asked for.

    Raises
    ------
    ImportError
        If Ray is asked for and not installed.
    Exception
        What is raised by the making of a worker.

    Example
    -------
    >>> from unittest import mock
    >>> make_worker = lambda number: mock.Mock(return_value=number)
    >>> with Workers(make_worker, in_process=True) as workers:
    ...     list(workers.map(["item"]))
    [('item', 0)]
    """

    def __init__(
        self,
        make_worker: Callable[[int], Any],
        count: int = 1,
        depth: int = 1,
        ray: str | None = None,
        cpus: float = 1,
        gpus: float = 0,
        in_process: bool = False,
    ) -> None:
        self._over = threading.Event()
        self._leave: Callable[[], Any] = bool
        if ray is not None:
            self._leave = _connect(ray)
            needs = {"num_cpus": cpus, "num_gpus": gpus}
            needs["max_concurrency"] = depth
            make_worker = partial(_RayWorker, make_worker, needs, self._over)
        elif not in_process:
            num_cores = max(int(cpus), 1)
            make_worker = partial(_ProcessWorker, make_worker, num_cores)
        self._lanes = [_Lane(make_worker, number) for number in range(count)]
        self._todo: SimpleQueue = SimpleQueue()
        self._done: SimpleQueue = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, args=[lane])
            for lane in self._lanes
            for _ in range(depth)
        ]

    def __enter__(self) -> "Workers":
        try:
            # What is wrong with all of them shows with the first one.
            self._lanes[0].worker()
        except BaseException:
            self._leave()
            raise
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._over.set()
        for _ in self._threads:
            self._todo.put(None)
        for lane in self._lanes:
            lane.stop()
        for thread in self._threads:
            thread.join()
        # Those that were about to start.
        for lane in self._lanes:
            lane.stop()
        self._leave()

    def _serve(self, lane: "_Lane") -> None:
        item: Any = None
        while not self._over.is_set():
            try:
                # No item waits for a worker that may never find room.
                lane.worker()
                item = self._todo.get()
                if item is None:
                    return
                if not lane.is_up:
                    self._todo.put(item)
                    continue
                result = lane(item)
            except Exception as error:
                result = error
            self._done.put((item, result))

    def map(self, items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Has items done, and gives the results as they are ready.

        Arguments
        ---------
        items : iterable
            Taken as there are workers for them.

        Yields
        ------
        tuple
            An item, and what a worker returned for it, or the `WorkerDied`
            that was raised again and again.

        Raises
        ------
        Exception
            What a worker raises.
        """
        suspects = []
        for item, result in self._done_of(items):
            if isinstance(result, WorkerDied):
                suspects.append(item)
            else:
                yield item, result
        # One after another, so that what workers die of takes nothing down
        # with it.
        for item in suspects:
            for _ in range(_MOST_DEATHS - 1):
                ((_, result),) = self._done_of([item])
                if not isinstance(result, WorkerDied):
                    break
            yield item, result

    def _done_of(self, items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        waiting, num_busy = iter(items), 0
        while True:
            free = len(self._threads) - num_busy
            for item in itertools.islice(waiting, free):
                self._todo.put(item)
                num_busy += 1
            if not num_busy:
                return
            item, result = self._done.get()
            num_busy -= 1
            died = isinstance(result, WorkerDied)
            if isinstance(result, Exception) and not died:
                raise result
            yield item, result


class _Lane:
    """A worker, and after its death another one."""

    def __init__(self, make_worker: Callable[[int], Any], number: int) -> None:
        self._make_worker, self._number = make_worker, number
        self._worker: Any = None
        # Told without the lock, which those have who wait for another one.
        self._dead: Any = None
        self._changing = threading.Lock()

    def worker(self) -> Any:
        """Gives the worker, as soon as there is one."""
        deaths = 0
        with self._changing:
            while not self.is_up:
                try:
                    self._worker = self._make_worker(self._number)
                except WorkerDied as error:
                    deaths += 1
                    if deaths == _MOST_DEATHS:
                        raise ChildProcessError(
                            f"A worker does not start: {error}"
                        ) from error
            return self._worker

    @property
    def is_up(self) -> bool:
        return self._worker is not self._dead

    def __call__(self, item: Any) -> Any:
        worker = self.worker()
        try:
            return worker(item)
        except WorkerDied:
            self._dead = worker
            raise

    def stop(self) -> None:
        if self.is_up:
            self._worker.stop()


class _Served:
    """A worker in another process."""

    def __init__(self, folder: str) -> None:
        # Paths are meant as where the command was given. Where a machine does
        # not have that folder, they have to be whole.
        if os.path.isdir(folder):
            os.chdir(folder)

    def start(self, make_worker: Callable[[int], Any], number: int) -> None:
        self._worker = make_worker(number)

    def work(self, item: Any) -> Any:
        return self._worker(item)


class _Server(BaseManager):
    """Another process, with a thread for each thread that calls it."""

    served: Any


_Server.register("served", _Served, exposed=["start", "work"])


class _ProcessWorker:
    """A worker in a process of its own, on cores of its own if there are."""

    def __init__(self, make_worker: Any, num_cores: int, number: int) -> None:
        self._server = _Server(ctx=multiprocessing.get_context("spawn"))
        self._call(self._server.start, _begin, [num_cores, number])
        self._served = self._call(self._server.served, os.getcwd())
        self._call(self._served.start, make_worker, number)

    def __call__(self, item: Any) -> Any:
        return self._call(self._served.work, item)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (EOFError, ConnectionError) as error:
            raise WorkerDied(f"its process ended ({error!r})") from error

    def stop(self) -> None:
        self._server.shutdown()


def _begin(num_cores: int, number: int) -> None:
    """Keeps a process on its cores, and from outliving the one it serves."""
    # Not every system has it.
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[number * num_cores :]
        if len(cores) >= num_cores:
            os.sched_setaffinity(0, cores[:num_cores])
    # In time: PyTorch is not imported yet.
    os.environ["OMP_NUM_THREADS"] = str(num_cores)

    def watch() -> None:
        parent: Any = multiprocessing.parent_process()
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _RayWorker:
    """A worker in an actor, on a machine where Ray finds room for it."""

    def __init__(
        self,
        make_worker: Any,
        needs: dict[str, float],
        over: threading.Event,
        number: int,
    ) -> None:
        import ray

        self._ray: Any = ray
        self._over = over
        self._actor = self._ray.remote(**needs)(_Served).remote(os.getcwd())
        self._get(self._actor.start.remote(make_worker, number))

    def __call__(self, item: Any) -> Any:
        return self._get(self._actor.work.remote(item))

    def _get(self, reference: Any) -> Any:
        try:
            # There may be no room; and Ray does not bear to be left by a
            # thread that waits.
            while not self._ray.wait([reference], timeout=1)[0]:
                if self._over.is_set():
                    raise InterruptedError
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayError as error:
            raise WorkerDied(str(error)) from error

    def stop(self) -> None:
        self._ray.kill(self._actor)


def _connect(address: str) -> Callable[[], None]:
    """Enters a Ray cluster, and gives what leaves it."""
    try:
        import ray
    except ImportError as error:
        raise ImportError(
            "--ray needs Ray: pip install '.[cluster]' in the project's folder."
        ) from error
    ray.init(address, logging_level=logging.WARNING)
    return ray.shutdown
