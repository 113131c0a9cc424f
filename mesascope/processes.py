"""Work of one kind on several processes."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

MOST = 4  # each compiles and holds what it lives


def cores() -> int:
    """As many processes as there are cores to run on, at most four."""
    return min(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST
    )


def spread(
    work: Callable[..., Any], units: Sequence[tuple], workers: int = 1, kept: Path | None = None
) -> Iterator[Any]:
    """What `work(*unit)` gives for every unit, in their order.

    Args:
        work: a function of a module; with several workers it and all that goes in and out is pickled.
        units: its arguments, those that take longest first.
        workers: processes, 0 for one per core; with one everything runs in this one.
        kept: a folder in which every answer, plain data then, is kept as soon as it is there, and from which it is
            read when it is asked for again.
    """
    workers = workers or cores()
    if kept is not None:
        work = functools.partial(_kept, kept, work)
    if workers < 2 or len(units) < 2:
        yield from (work(*unit) for unit in units)
        return
    # forking a process in which JAX has started threads can hang it
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _leave_with_parent)
    futures: list[Future] = []
    try:
        with _deaf():
            futures.append(pool.submit(work, *units[0]))  # begins all processes
        futures += [pool.submit(work, *unit) for unit in units[1:]]
        for future in futures:
            yield future.result()
    except BaseException:
        # the pool's own thread cancels; if this one does, that one can die of it
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():  # what they are at would keep us waiting
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes that begin in here do not hear Ctrl-C: it is for the one that began them, which ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _kept(folder: Path, work: Callable[..., Any], *unit: Any) -> Any:
    """The answer to one unit, from its file if that is there and whole."""
    asked = " ".join(f"{u.__module__}.{u.__qualname__}" if callable(u) else repr(u) for u in (work, *unit))
    path = folder / f"{hashlib.sha256(asked.encode()).hexdigest()[:24]}.json"
    try:
        return json.loads(path.read_text())["answer"]
    except (OSError, ValueError, KeyError, TypeError):
        answer = work(*unit)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):  # what cannot be kept is computed again
        folder.mkdir(parents=True, exist_ok=True)  # another run that was done may have emptied it
        part.write_text(json.dumps({"asked": asked, "answer": answer}))
        part.replace(path)
    return answer


def fingerprint(folder: Path, kinds: tuple[str, ...] = (".py", ".toml")) -> str:
    """Of all code and settings in a folder: what was computed by other code is not taken for this one's."""
    told = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in kinds):
        told.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return told.hexdigest()[:16]


def _leave_with_parent() -> None:
    """Ends this process when the one that began it has ended, however that came."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
