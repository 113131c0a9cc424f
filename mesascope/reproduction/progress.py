"""Reports the progress of a study, which may run in several processes."""

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mesascope.examination.bench import ProgressFunction
from mesascope.files import write_text
from mesascope.reproduction.work import Unit, UnitProgress

DEFAULT_SECONDS = {"train": 60.0, "live": 10.0, "place": 20.0}  # per unit, until one has been measured
REPORT_SECONDS = 0.5  # the shortest time between two reports of one unit


class ProgressEstimate:
    """Estimates progress from the time that units of each kind have taken so far.

    Args:
        units: the units of the study.
        seconds: the measured seconds of units, by 'kind name'; the caller may add entries later.
        progress: called with the share of the study that is done, which never falls, and with a text that says what is
            running.
        is_sequential: whether a unit starts only when all earlier units are done.
    """

    def __init__(
        self, units: list[Unit], seconds: dict[str, float], progress: ProgressFunction, is_sequential: bool = True
    ):
        self.units, self.seconds, self.progress, self.is_sequential = units, seconds, progress, is_sequential
        self.shares, self.largest_share = [0.0] * len(units), 0.0

    def __call__(self, index: int, share: float, activity: str) -> None:
        """Records that a share of the unit with this index is done."""
        if self.is_sequential:
            self.shares[:index] = [1.0] * index
        self.shares[index] = share
        seconds_per_unit = {}
        for kind, default in DEFAULT_SECONDS.items():
            measured_seconds = [s for k, s in dict(self.seconds).items() if k.startswith(f"{kind} ")] or [default]
            seconds_per_unit[kind] = sum(measured_seconds) / len(measured_seconds)
        costs = [seconds_per_unit[unit.kind] for unit in self.units]
        total_share = sum(c * s for c, s in zip(costs, self.shares, strict=True)) / sum(costs)
        self.largest_share = max(self.largest_share, min(total_share, 1.0))  # new estimates could make the share fall
        self.progress(self.largest_share, activity)


class ProgressFile:
    """Reports a unit's progress to the parent process through a file, at most twice a second."""

    def __init__(self, folder: Path):
        self.folder, self.last_report = folder, 0.0

    def __call__(self, index: int, share: float, activity: str) -> None:
        """Reports that a share of the unit with this index is done."""
        if time.monotonic() - self.last_report >= REPORT_SECONDS or share in (0.0, 1.0):
            self.last_report = time.monotonic()
            with contextlib.suppress(OSError):  # the parent process has ended
                write_text(self.folder / str(index), f"{share} {activity}")


@contextlib.contextmanager
def relay_progress(report: UnitProgress, folder: Path) -> Iterator[None]:
    """Passes on the reports of every `ProgressFile`, in a thread; the folder exists only inside the context."""
    finished = threading.Event()
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed
    folder.mkdir()

    def read_reports() -> None:
        """Reads new reports until the context ends."""
        texts: dict[Path, str] = {}
        is_last = False
        while not is_last:
            is_last = finished.wait(REPORT_SECONDS)  # when finished, reads the reports once more
            for path in folder.glob("[0-9]*"):
                text = path.read_text()
                if texts.get(path) != text:
                    texts[path] = text
                    share, _, activity = text.partition(" ")
                    report(int(path.name), float(share), activity)

    thread = threading.Thread(target=read_reports, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)
