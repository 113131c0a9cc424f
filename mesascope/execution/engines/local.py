"""Runs units on this machine: in this process, or in several processes of loky.

loky starts every process as a new interpreter, because a forked process can deadlock once JAX has started threads.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from mesascope.errors import MesascopeError
from mesascope.execution.calls import Outcome, WorkFunction, call_unit

SCHEMES = ("local",)
MAX_WORKERS = 4  # each process compiles its own code and keeps its trials in memory
GRACE_SECONDS = 5.0  # how long an interrupted unit may take to save its state, before its process is killed
PARENT_SECONDS = 0.5  # how often a worker looks whether its parent process still runs


def count_cores() -> int:
    """Counts the cores that are available to this process; returns at most four."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MAX_WORKERS)


def run(work: WorkFunction, units: Sequence[tuple], address: str, workers: int) -> Iterator[tuple[int, Outcome]]:
    """Yields the index and the outcome of every unit, in the order in which the units finish.

    Args:
        work: the function to call once for each unit.
        units: the function's arguments for each unit.
        address: 'local', the only address of this engine.
        workers: the number of processes, or 0 for one per core, at most four; with 1, everything runs in this process.

    Raises:
        MesascopeError: a worker process ended unexpectedly.
    """
    workers = min(workers or count_cores(), len(units))
    if workers < 2:
        yield from ((index, Outcome(work(*unit))) for index, unit in enumerate(units))
        return
    from joblib.externals.loky import ProcessPoolExecutor

    earlier_processes = multiprocessing.active_children()
    pool = ProcessPoolExecutor(workers, initializer=_prepare_worker, initargs=(os.getpid(),))
    futures: dict[Any, int] = {}
    try:
        with _ignore_interrupts():  # the pool starts processes as units are submitted
            futures = {pool.submit(_run_unit, work, *unit): index for index, unit in enumerate(units)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException as error:
        for process in multiprocessing.active_children():
            if process not in earlier_processes:
                process.terminate()
        wait(futures, GRACE_SECONDS)
        if isinstance(error, BrokenProcessPool):
            problem = "A worker process ended unexpectedly, perhaps because memory ran out."
            raise MesascopeError(problem, "Run the command again with fewer --workers.") from None
        raise
    finally:
        pool.shutdown(wait=True, kill_workers=True)


class _WorkerState:
    """What a worker process is doing: whether a unit runs, and whether no further unit may begin."""

    is_running = False
    is_stopping = False


def _run_unit(work: WorkFunction, *unit: Any) -> Outcome:
    """Computes the outcome of one unit, unless the worker was told to stop."""
    try:
        _WorkerState.is_running = True
        if _WorkerState.is_stopping:
            raise KeyboardInterrupt
        return call_unit(work, *unit)
    finally:
        _WorkerState.is_running = False


def _stop_worker(signal_number: int, frame: Any) -> None:
    """Interrupts the running unit once, so that it can save its state; later signals do not interrupt saving.

    The process does not end, because loky would then kill the other workers while they save.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _WorkerState.is_stopping = True
    if _WorkerState.is_running:
        raise KeyboardInterrupt


def _prepare_worker(parent: int) -> None:
    """Prepares a worker: it ignores Ctrl-C, saves its state on SIGTERM, and ends soon after its parent process."""
    from joblib.externals.loky import process_executor

    process_executor._USE_PSUTIL = False  # loky would restart a worker for the memory of compiled code
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop_worker)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def exit_with_parent() -> None:
        """Waits until the parent process has ended, lets the running unit save its state, and ends this process."""
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while _WorkerState.is_running and time.monotonic() < deadline:
            time.sleep(PARENT_SECONDS)
        os._exit(1)

    threading.Thread(target=exit_with_parent, daemon=True).start()


@contextlib.contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Makes processes started in this context ignore Ctrl-C; this process receives it when the context ends."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
