"""Reports the progress of a study, which may run in several processes."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mesascope.files import write_text
from mesascope.reproduction.work import Unit

GUESS = {"train": 60.0, "live": 10.0, "place": 20.0}  # in seconds, until one was measured
REPORT_SECONDS = 0.5  # in seconds


class Message:
    """Estimates progress from the time that units of each kind have taken so far.

    Args:
        plan: the units of the study.
        seconds: measured seconds by 'kind name'; the caller may add more.
        progress: called with the share of the study that is done, which never falls, and with a text that says what is
            running.
        in_order: whether units run one after the other, so that a report of one means that all earlier ones are done.
    """

    def __init__(
        self, plan: list[Unit], seconds: dict[str, float], progress: Callable[[float, str], None], in_order: bool = True
    ):
        self.plan, self.seconds, self.progress, self.in_order = plan, seconds, progress, in_order
        self.shares, self.most = [0.0] * len(plan), 0.0

    def __call__(self, place: int, share: float, doing: str) -> None:
        """Records that a share of the unit at a place is done."""
        if self.in_order:
            self.shares[:place] = [1.0] * place
        self.shares[place] = share
        seconds_per_unit = {}
        for kind, default in GUESS.items():
            measured = [s for k, s in dict(self.seconds).items() if k.startswith(f"{kind} ")] or [default]
            seconds_per_unit[kind] = sum(measured) / len(measured)
        cost = [seconds_per_unit[u.kind] for u in self.plan]
        done = sum(c * s for c, s in zip(cost, self.shares, strict=True))
        self.most = max(self.most, min(done / sum(cost), 1.0))  # the estimated costs change
        self.progress(self.most, doing)


class Relay:
    """Reports a unit's progress to the parent process through a file, at most twice a second."""

    def __init__(self, folder: Path):
        self.folder, self.last = folder, 0.0

    def __call__(self, place: int, share: float, doing: str) -> None:
        """Reports that a share of the unit at a place is done."""
        if time.monotonic() - self.last >= REPORT_SECONDS or share in (0.0, 1.0):
            self.last = time.monotonic()
            with contextlib.suppress(OSError):  # the parent process has ended
                write_text(self.folder / str(place), f"{share} {doing}")


@contextlib.contextmanager
def relay_progress(report: Callable[[int, float, str], None], folder: Path) -> Iterator[None]:
    """Passes on the reports of every `Relay`, in a thread; the folder exists only within this context."""
    finished = threading.Event()
    shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed
    folder.mkdir()

    def listen() -> None:
        texts: dict[Path, str] = {}
        last = False
        while not last:
            last = finished.wait(REPORT_SECONDS)  # then looks one last time
            for path in folder.glob("[0-9]*"):
                text = path.read_text()
                if texts.get(path) != text:
                    texts[path] = text
                    share, _, doing = text.partition(" ")
                    report(int(path.name), float(share), doing)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)
