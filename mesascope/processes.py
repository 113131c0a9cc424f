"""Work of one kind on several processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

MOST = 4  # each compiles and holds what it lives


def cores() -> int:
    """As many processes as there are cores to run on, at most four."""
    return min(
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, MOST
    )


def spread(work: Callable[..., Any], units: Sequence[tuple], workers: int = 1) -> Iterator[Any]:
    """What `work(*unit)` gives for every unit, in their order.

    Args:
        work: a function of a module; with several workers it and all that goes in and out is pickled.
        units: its arguments, those that take longest first.
        workers: processes; with one everything runs in this one.
    """
    if workers < 2 or len(units) < 2:
        yield from (work(*unit) for unit in units)
        return
    # forking a process in which JAX has started threads can hang it
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _leave_with_parent)
    try:
        futures = [pool.submit(work, *unit) for unit in units]
        for future in futures:
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _leave_with_parent() -> None:
    """Ends this process when the one that began it has ended, however that came."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
