"""The folder of a run on one machine or many: which run it belongs to, and which of its units of work are running.

All state is in files, each written atomically, so that a stopped run can continue, and any machine can show how much of
it is done.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mesascope.errors import MesascopeError, require
from mesascope.files import PROCESS_NAME, write_text
from mesascope.guards import limits

RUN_FILE = "run.json"
RUNNING_FOLDER = "running"
REPORT_SECONDS = 2.0  # how often a running unit writes its share and activity
SILENT_SECONDS = 60.0  # a unit that has not written for this long was interrupted


class Plan(NamedTuple):
    """The run to which a folder belongs: its kind, 'study' or 'validation', and a name that only this run has."""

    kind: str
    name: str


class RunningUnit(NamedTuple):
    """A unit that a process began and has not finished.

    Attributes:
        unit: the unit's name, as in the list of missing units of `mesascope status`.
        host, pid: the name of the machine, and the number of the process.
        share, activity: the share that is done, and what the unit is doing.
        is_alive: whether the process reported in the last SILENT_SECONDS seconds; if not, it was killed, or the
            connection to its machine was lost.
    """

    unit: str
    host: str
    pid: int
    share: float
    activity: str
    is_alive: bool


def claim_folder(folder: Path, plan: Plan, settings: Mapping[str, Any]) -> None:
    """Creates the folder of a run, and writes into it which run it belongs to.

    Args:
        folder: the folder, which may exist.
        plan: the run to which the folder belongs.
        settings: the run's arguments as plain data, from which `mesascope status` finds the units again.

    Raises:
        MesascopeError: the folder belongs to another run, or its RUN_FILE cannot be read.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / RUN_FILE).exists():
        there = read_claim(folder)[0]
        problem = (
            f"{str(folder)!r} is the folder of the {there.kind} {there.name!r}, not of the {plan.kind} {plan.name!r}."
        )
        require(there == plan, problem, "Name another folder with --out.")
    write_text(folder / RUN_FILE, json.dumps({"plan": plan, "settings": settings}, indent=1))


def read_claim(folder: Path) -> tuple[Plan, dict[str, Any]]:
    """Reads which run a folder belongs to, and the settings of the run.

    Raises:
        MesascopeError: the folder does not belong to a run.
    """
    try:
        claim = limits.parse_json((folder / RUN_FILE).read_text(encoding="utf-8"))
        kind, name = claim["plan"]
        return Plan(str(kind), str(name)), dict(claim["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        problem = f"{str(folder)!r} is not the folder of a run."
        raise MesascopeError(problem, "Name the --out folder of `mesascope reproduce` or `validate`.") from None


def release_folder(folder: Path) -> None:
    """Removes the reports on running units that killed processes left; call it when all units are finished."""
    shutil.rmtree(folder / RUNNING_FOLDER, ignore_errors=True)


@contextlib.contextmanager
def announce_unit(folder: Path, unit: str) -> Iterator[Callable[[float, str], None]]:
    """Announces in a file that this process runs a unit, while the context lasts.

    Yields a function report(share, activity), which updates the share that is done and what the unit is doing.

    Raises:
        MesascopeError: the folder of the run is not there, because this machine does not share it.
    """
    problem = f"{socket.gethostname()} does not see the run's folder {str(folder)!r}."
    require((folder / RUN_FILE).is_file(), problem, "Name a folder with --out that all machines share.")
    state = {"unit": unit, "host": socket.gethostname(), "pid": os.getpid(), "share": 0.0, "activity": unit}
    prefix = hashlib.sha256(unit.encode()).hexdigest()[:16]
    path = folder / RUNNING_FOLDER / f"{prefix}-{PROCESS_NAME}.json"
    ended = threading.Event()

    def write_state() -> None:
        """Writes the state until the unit ends; a state that cannot be written is only missing from the progress."""
        is_last = False
        while not is_last:
            with contextlib.suppress(OSError):
                write_text(path, json.dumps(state))
            is_last = ended.wait(REPORT_SECONDS)

    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        for old in path.parent.glob(f"{prefix}-*"):  # of a process that was killed
            old.unlink(missing_ok=True)
    thread = threading.Thread(target=write_state, daemon=True)
    thread.start()
    try:
        yield lambda share, activity: state.update(share=share, activity=activity)
    finally:
        ended.set()
        thread.join()
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def list_running(folder: Path) -> list[RunningUnit]:
    """Lists the units that processes on any machine have begun and not finished; the last to report comes last."""
    found = []
    for path in folder.glob(f"{RUNNING_FOLDER}/*.json"):
        try:
            changed, state = path.stat().st_mtime, json.loads(path.read_text(encoding="utf-8"))
            found.append((changed, RunningUnit(**state, is_alive=time.time() - changed < SILENT_SECONDS)))
        except (OSError, ValueError, TypeError):  # the unit has just ended
            continue
    return [unit for _, unit in sorted(found)]
