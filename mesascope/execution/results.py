"""Keeps the answers of units as files of plain JSON, each named by a hash of the unit's function and arguments."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mesascope.execution.calls import WorkFunction
from mesascope.execution.folders import announce_unit
from mesascope.files import write_text


def load_answers(folder: Path, work: WorkFunction, units: Sequence[tuple]) -> Iterator[tuple[int, Any]]:
    """Yields the index and the answer of every finished unit; a unit without a readable file counts as unfinished."""
    for index, unit in enumerate(units):
        try:
            yield (
                index,
                json.loads(_find_path(folder, _describe_unit(work, *unit)).read_text(encoding="utf-8"))["answer"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue


def compute_and_save(folder: Path, work: WorkFunction, label: str, *unit: Any) -> Any:
    """Computes the answer of one unit, announces the unit by its label, and saves the answer in the folder of a run."""
    with announce_unit(folder, label):
        answer = work(*unit)
        description = _describe_unit(work, *unit)
        path = _find_path(folder, description)
        path.parent.mkdir(exist_ok=True)
        write_text(path, json.dumps({"asked": description, "answer": answer}))
    return answer


def _describe_unit(work: WorkFunction, *unit: Any) -> str:
    """Describes a unit by its function and arguments; functions are described by their names."""
    return " ".join(f"{u.__module__}.{u.__qualname__}" if callable(u) else repr(u) for u in (work, *unit))


def _find_path(folder: Path, description: str) -> Path:
    """Returns the path of the file with the answer of the unit that has this description."""
    return folder / "answers" / f"{hashlib.sha256(description.encode()).hexdigest()[:24]}.json"
