"""Estimates what share of a study is done from the files in its folder alone, so that any machine can do so."""

import contextlib
import threading
from collections.abc import Iterator

from mesascope.examination.bench import ProgressFunction
from mesascope.execution.folders import list_running
from mesascope.reproduction.work import StudyRun

DEFAULT_SECONDS = {"train": 60.0, "live": 10.0, "place": 20.0}  # per unit, until one has been measured
WATCH_SECONDS = 1.0  # the time between two looks at the folder


class ProgressEstimate:
    """Estimates the share of a study that is done, from the seconds that finished units of each kind took."""

    def __init__(self, study_run: StudyRun):
        self.study_run, self.largest_share = study_run, 0.0
        self.seconds: dict[int, float | None] = {}  # of every finished unit by its index

    def estimate(self) -> tuple[float, str]:
        """Returns the share of the work that is done, which never falls, and a text that says what is running."""
        for index, unit in enumerate(self.study_run.units):
            if index not in self.seconds and not self.study_run.is_unfinished(unit):
                self.seconds[index] = self.study_run.read_seconds(unit)[1]
        running = [unit for unit in list_running(self.study_run.out) if unit.is_alive]
        shares, activity = {unit.unit: unit.share for unit in running}, running[-1].activity if running else ""
        seconds_by_kind = {kind: self._estimate_seconds(kind) for kind in DEFAULT_SECONDS}
        total, done = 0.0, 0.0
        for index, unit in enumerate(self.study_run.units):
            total += seconds_by_kind[unit.kind]
            done += seconds_by_kind[unit.kind] * (1.0 if index in self.seconds else shares.get(unit.name, 0.0))
        self.largest_share = max(self.largest_share, done / total)  # new estimates could make the share fall
        return self.largest_share, activity

    def _estimate_seconds(self, kind: str) -> float:
        """Estimates how many seconds a unit of a kind takes."""
        measured = [s for i, s in self.seconds.items() if s is not None and self.study_run.units[i].kind == kind]
        return sum(measured) / len(measured) if measured else DEFAULT_SECONDS[kind]


@contextlib.contextmanager
def watch_progress(study_run: StudyRun, progress: ProgressFunction) -> Iterator[None]:
    """Calls `progress` from another thread while the context lasts, and once more at its end."""
    finished, estimate = threading.Event(), ProgressEstimate(study_run)

    def report() -> None:
        """Reports the progress until the context ends."""
        is_last = False
        while not is_last:
            is_last = finished.wait(WATCH_SECONDS)
            progress(*estimate.estimate())

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
