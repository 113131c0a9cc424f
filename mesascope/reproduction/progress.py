"""How far a study is, also when processes side by side work on it."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mesascope.files import write_text
from mesascope.reproduction.work import Unit

GUESS = {"train": 60.0, "live": 10.0, "place": 20.0}  # seconds, before any was seen
OFTEN = 0.5  # seconds


class Message:
    """Progress by the time that each kind of unit took so far.

    Args:
        plan: the units.
        seconds: those that are known, by 'kind name'; may grow.
        progress: called with the share of the whole that is done, which never falls, and what is being done.
        in_order: whether units are done one after the other, so that all before one that is heard of are done.
    """

    def __init__(
        self,
        plan: list[Unit],
        seconds: dict[str, float],
        progress: Callable[[float, str], None],
        in_order: bool = True,
    ):
        self.plan, self.seconds, self.progress, self.in_order = plan, seconds, progress, in_order
        self.shares, self.most = [0.0] * len(plan), 0.0

    def __call__(self, place: int, share: float, doing: str) -> None:
        """Hears from the unit at a place that a share of it is done."""
        if self.in_order:
            self.shares[:place] = [1.0] * place
        self.shares[place] = share
        per = {}
        for kind, guess in GUESS.items():
            known = [s for k, s in dict(self.seconds).items() if k.startswith(f"{kind} ")] or [guess]
            per[kind] = sum(known) / len(known)
        cost = [per[u.kind] for u in self.plan]
        done = sum(c * s for c, s in zip(cost, self.shares, strict=True))
        self.most = max(self.most, min(done / sum(cost), 1.0))  # what is known of costs changes
        self.progress(self.most, doing)


class Relay:
    """Says to the process that began this one how far a unit is: through a file, now and then."""

    def __init__(self, folder: Path):
        self.folder, self.last = folder, 0.0

    def __call__(self, place: int, share: float, doing: str) -> None:
        """Says that a share of the unit at a place is done."""
        if time.monotonic() - self.last >= OFTEN or share in (0.0, 1.0):
            self.last = time.monotonic()
            with contextlib.suppress(OSError):  # who listened has gone
                write_text(self.folder / str(place), f"{share} {doing}")


@contextlib.contextmanager
def relay_progress(told: Callable[[int, float, str], None], folder: Path) -> Iterator[None]:
    """Passes on, from a thread of its own, what is whispered into a folder, which is there only meanwhile."""
    over = threading.Event()
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    folder.mkdir()

    def listen() -> None:
        seen: dict[Path, str] = {}
        last = False
        while not last:
            last = over.wait(OFTEN)  # then once more: what was said since the last look
            for path in folder.glob("[0-9]*"):
                text = path.read_text()
                if seen.get(path) != text:
                    seen[path] = text
                    share, _, doing = text.partition(" ")
                    told(int(path.name), float(share), doing)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        shutil.rmtree(folder, ignore_errors=True)
