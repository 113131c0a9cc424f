"""Calls one function with many sets of arguments, in several processes."""

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from mesascope.errors import MesascopeError
from mesascope.files import replace_when_written
from mesascope.guards.blame import contain_exits

MAX_WORKERS = 4  # each process compiles its own code and keeps its trials in memory
GRACE_SECONDS = 5.0  # how long a terminated process may take to save its state, before it is killed


def count_cores() -> int:
    """Counts the cores that are available to this process; returns at most four."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MAX_WORKERS)


WarningFields = tuple[str, type[Warning], str, int]  # message, category, file and line, for `warnings.warn_explicit`


# a module-level function that computes one result; with several workers, its arguments and results are pickled
WorkFunction = Callable[..., Any]


def run_units(
    work: WorkFunction, units: Sequence[tuple], workers: int = 1, results_folder: Path | None = None
) -> Iterator[Any]:
    """Yields `work(*unit)` for every unit, in the order of the units.

    Args:
        work: the function.
        units: the function's arguments for each unit; put the units that take longest first.
        workers: the number of processes, or 0 for one per core; with 1, everything runs in this process.
        results_folder: a folder in which each result is saved as soon as it is finished, and from which a later call
            reads it. With such a folder, results must be plain data.
    """
    workers = workers or count_cores()
    if results_folder is not None:
        work = functools.partial(_run_or_load, results_folder, work)
    if workers < 2 or len(units) < 2:
        yield from (work(*unit) for unit in units)
        return
    earlier_processes = multiprocessing.active_children()
    # a fork can deadlock once JAX has started threads
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare_worker)
    try:
        with _ignore_interrupts():  # the pool starts processes as units are submitted
            futures = [pool.submit(_run_unit, work, *unit) for unit in units]
        yield from _collect_results(futures)
    except BaseException as error:
        # the pool's own thread must cancel the futures; cancelling them from this thread can crash the pool's thread
        pool.shutdown(wait=False, cancel_futures=True)
        _end_processes([p for p in multiprocessing.active_children() if p not in earlier_processes])
        if isinstance(error, BrokenProcessPool):
            problem = "Another program killed a worker process, perhaps because memory ran out."
            raise MesascopeError(problem, "Run the command again with fewer --workers.") from None
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _collect_results(futures: Sequence[Future]) -> Iterator[Any]:
    """Yields results in the order of their units; raises errors at once and issues each warning once."""
    pending, issued = set(futures), set()
    for future in futures:
        while future in pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for finished in done:
                for warning in finished.result()[1]:
                    if warning not in issued:
                        issued.add(warning)
                        warnings.warn_explicit(*warning)
        yield future.result()[0]


@contain_exits()
def _run_unit(work: WorkFunction, *unit: Any) -> tuple[Any, list[WarningFields]]:
    """Computes the result of one unit, and collects warnings. SIGTERM acts like Ctrl-C, so that work can be saved."""
    before = signal.signal(signal.SIGTERM, _interrupt_once)
    try:
        with warnings.catch_warnings(record=True) as caught:
            answer = work(*unit)
        return answer, [(str(w.message), w.category, w.filename, w.lineno) for w in caught]
    except KeyboardInterrupt:
        os._exit(1)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an error that cannot be pickled would break the pool
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt_once(signal_number: int, frame: Any) -> None:
    """Raises KeyboardInterrupt at the first SIGTERM, and ignores later ones, so that they do not interrupt saving."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _end_processes(processes: Sequence[Any]) -> None:
    """Terminates processes, and kills every process that is still running after GRACE_SECONDS."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()


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


def _run_or_load(folder: Path, work: WorkFunction, *unit: Any) -> Any:
    """Reads the result of one unit from its file. If there is no valid file, computes and saves the result."""
    description = " ".join(f"{u.__module__}.{u.__qualname__}" if callable(u) else repr(u) for u in (work, *unit))
    path = folder / f"{hashlib.sha256(description.encode()).hexdigest()[:24]}.json"
    try:
        return json.loads(path.read_text())["answer"]
    except (OSError, ValueError, KeyError, TypeError):
        answer = work(*unit)
    with contextlib.suppress(OSError):  # a result that cannot be saved is computed again
        folder.mkdir(parents=True, exist_ok=True)  # another run may have removed the folder when that run finished
        with replace_when_written(path, os.getpid()) as part:
            part.write_text(json.dumps({"asked": description, "answer": answer}))
    return answer


def hash_folder(folder: Path, suffixes: tuple[str, ...] = (".py", ".toml"), excluded_folder: Path | None = None) -> str:
    """Hashes all code and settings in a folder, so that results of other code are not reused.

    Args:
        folder: the folder; its subfolders are included.
        suffixes: the suffixes of the files to hash.
        excluded_folder: a subfolder to leave out.
    """
    hasher = hashlib.sha256()
    left_out = excluded_folder.resolve() if excluded_folder else None
    for path in sorted(p for p in folder.rglob("*") if p.suffix in suffixes):
        if left_out is None or not path.resolve().is_relative_to(left_out):
            hasher.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()[:16]


def _prepare_worker() -> None:
    """Prepares a worker process: it ignores Ctrl-C, and exits as soon as its parent process has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def exit_with_parent() -> None:
        """Waits until the parent process has ended, and then ends this process."""
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=exit_with_parent, daemon=True).start()
