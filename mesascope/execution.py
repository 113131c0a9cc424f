"""Work of one kind on several processes."""

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
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from mesascope.errors import MesascopeError
from mesascope.files import replacing
from mesascope.guards.blame import contain_exits

MOST = 4  # each compiles and holds what it lives
PATIENCE = 5.0  # seconds that a process has to keep what it has


def cores() -> int:
    """As many processes as there are cores to run on, at most four."""
    return min(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST
    )


class Work(Protocol):
    """A function of a module that does one unit; with several workers it and all that goes in and out is pickled."""

    __qualname__: str

    def __call__(self, *unit: Any, **settings: Any) -> Any:
        """The answer to a unit, whose parts are the arguments."""
        ...


def spread(work: Work, units: Sequence[tuple], workers: int = 1, kept: Path | None = None) -> Iterator[Any]:
    """What `work(*unit)` gives for every unit, in their order.

    Args:
        work: what does a unit.
        units: its arguments, those that take longest first.
        workers: processes, 0 for one per core; with one everything runs in this one.
        kept: a folder in which every answer, plain data then, is kept as soon as it is there, and from which it is
            read when it is asked for again.
    """
    workers = workers or cores()
    if kept is not None:
        work = functools.partial(_run_saved, kept, work)
    if workers < 2 or len(units) < 2:
        yield from (work(*unit) for unit in units)
        return
    before = multiprocessing.active_children()
    # forking a process in which JAX has started threads can hang it
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _prepare_worker)
    try:
        with _ignore_interrupts():  # processes begin as units come in
            futures = [pool.submit(_run_unit, work, *unit) for unit in units]
        yield from _collect(futures)
    except BaseException as error:
        # the pool's own thread cancels; if this one does, that one can die of it
        pool.shutdown(wait=False, cancel_futures=True)
        _end_processes([p for p in multiprocessing.active_children() if p not in before])
        if isinstance(error, BrokenProcessPool):
            raise MesascopeError(
                "A process was ended from outside, perhaps for lack of memory.",
                "Give the command again, with fewer --workers.",
            ) from None
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _collect(futures: Sequence[Future]) -> Iterator[Any]:
    """Answers in the order of their units; what fails is raised at once, a warning passed on once."""
    waiting, issued = set(futures), set()
    for future in futures:
        while future in waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for each in done:
                for warning in each.result()[1]:
                    if warning not in issued:
                        issued.add(warning)
                        warnings.warn_explicit(*warning)
        yield future.result()[0]


class Warned(NamedTuple):
    """What was warned of, as `warnings.warn_explicit` takes it."""

    message: str
    category: type[Warning]
    filename: str
    lineno: int


@contain_exits()
def _run_unit(work: Work, *unit: Any) -> tuple[Any, list[Warned]]:
    """The answer to one unit, and what was warned of; one that is ended may keep what it has, as after Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with warnings.catch_warnings(record=True) as caught:
            answer = work(*unit)
        return answer, [Warned(str(w.message), w.category, w.filename, w.lineno) for w in caught]
    except KeyboardInterrupt:
        os._exit(1)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # it would take the pool with it
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_processes(processes: Sequence[Any]) -> None:
    """Ends processes, which otherwise would keep us waiting; they have a moment to keep what they have."""
    for process in processes:
        process.terminate()
    last = time.monotonic() + PATIENCE
    for process in processes:
        process.join(max(0.0, last - time.monotonic()))
        if process.is_alive():
            process.kill()


@contextlib.contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Processes that begin in here do not hear Ctrl-C: it is for the one that began them, which hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_saved(folder: Path, work: Work, *unit: Any) -> Any:
    """The answer to one unit, from its file if that is there and whole."""
    description = " ".join(
        f"{u.__module__}.{u.__qualname__}" if callable(u) else repr(u) for u in (work, *unit)
    )
    path = folder / f"{hashlib.sha256(description.encode()).hexdigest()[:24]}.json"
    try:
        return json.loads(path.read_text())["answer"]
    except (OSError, ValueError, KeyError, TypeError):
        answer = work(*unit)
    with contextlib.suppress(OSError):  # what cannot be kept is computed again
        folder.mkdir(parents=True, exist_ok=True)  # another run that was done may have emptied it
        with replacing(path, os.getpid()) as part:
            part.write_text(json.dumps({"asked": description, "answer": answer}))
    return answer


def fingerprint(folder: Path, kinds: tuple[str, ...] = (".py", ".toml"), without: Path | None = None) -> str:
    """Of all code and settings in a folder: what was computed by other code is not taken for this one's.

    Args:
        folder: with all below it.
        kinds: of files.
        without: a folder in it that is left out.
    """
    hasher = hashlib.sha256()
    excluded = without.resolve() if without else None
    for path in sorted(p for p in folder.rglob("*") if p.suffix in kinds):
        if excluded is None or not path.resolve().is_relative_to(excluded):
            hasher.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()[:16]


def _prepare_worker() -> None:
    """A process does not hear Ctrl-C, and ends when the one that began it has, however that came."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
