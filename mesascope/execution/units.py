"""Calls one function with many sets of arguments, in the processes of an engine."""

import contextlib
import functools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mesascope.execution import results
from mesascope.execution.calls import WorkFunction
from mesascope.execution.engines import find_engine


def run_units(
    work: WorkFunction,
    units: Sequence[tuple],
    workers: int = 1,
    folder: Path | None = None,
    *,
    engine: str = "local",
    labels: Sequence[str] = (),
) -> Iterator[Any]:
    """Yields `work(*unit)` for every unit, in the order of the units.

    Args:
        work: the function to call once for each unit.
        units: the function's arguments for each unit; put the units that take longest first.
        workers: the number of processes of the local engine, or 0 for one per core, at most four; with 1,
            everything runs in this process.
        folder: the folder of a run (see `folders.claim_folder`). Each answer is saved there as soon as it is finished,
            and a later call reads it. Answers must then be plain data.
        engine: 'local', dask://HOST:PORT or tls://HOST:PORT.
        labels: a readable name for each unit, which `mesascope status` shows; by default 'unit 1', 'unit 2' and so on.

    Raises:
        MesascopeError: there is no such engine, or it cannot run the units, for example because it lost a worker.
    """
    answers: dict[int, Any] = {}
    if folder is not None:
        answers = dict(results.load_answers(folder, work, units))
    missing = [index for index in range(len(units)) if index not in answers]
    calls = [units[index] for index in missing]
    if folder is not None:
        work = functools.partial(results.compute_and_save, folder.resolve(), work)
        calls = [(labels[index] if labels else f"unit {index + 1}", *units[index]) for index in missing]
    issued = set()
    with contextlib.closing(find_engine(engine).run(work, calls, engine, workers)) as outcomes:
        for position in range(len(units)):
            while position not in answers:
                index, outcome = next(outcomes)
                answers[missing[index]] = outcome.answer
                for warning in outcome.warnings:
                    if warning not in issued:
                        issued.add(warning)
                        warnings.warn_explicit(*warning)
            yield answers.pop(position)
