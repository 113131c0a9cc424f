"""Calls one unit's function in a worker, so that its answer, warnings and errors can travel to another process."""

import pickle
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from mesascope.guards.blame import prevent_exits

WorkFunction = Callable[..., Any]  # a module-level function that computes one answer; both must be picklable
WarningFields = tuple[str, type[Warning], str, int]  # message, category, file and line, for `warnings.warn_explicit`


class Outcome(NamedTuple):
    """The answer of one unit, and the warnings that it issued in another process."""

    answer: Any
    warnings: tuple[WarningFields, ...] = ()


@prevent_exits()
def call_unit(work: WorkFunction, *unit: Any) -> Outcome:
    """Computes the answer of one unit, and collects warnings. Errors that can be pickled pass through.

    Raises:
        MesascopeError: the function tried to end the process.
        RuntimeError: the function raised an error that cannot be pickled; the text describes it.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            answer = work(*unit)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an error that cannot be pickled would break the engine
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        raise
    return Outcome(answer, tuple((str(w.message), w.category, w.filename, w.lineno) for w in caught))
