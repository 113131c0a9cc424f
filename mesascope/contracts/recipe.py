"""How our own subjects are trained: a recipe is a pure function of its settings and its seed.

A recipe is a file with a factory `recipe(family, out, ..., seed=0, progress=silent)`: its signature is its
settings, its docstring one sentence. It writes `network.safetensors` into `out` and returns what it trained;
called again after an interruption at any moment, it goes on and ends with the same bytes (but for the two recipes of
Atari games, whose emulators cannot be kept: they begin their games anew).
"""

from pathlib import Path
from typing import NamedTuple


class Progress(NamedTuple):
    """Where a training is.

    Attributes:
        done: finished updates.
        total: updates in all.
        seconds_left: the estimate, None before the second update.
        score: mean expected pay-off of a trial in the last batch; it scatters: watch it, never quote it.
    """

    done: int
    total: int
    seconds_left: float | None
    score: float


class Trained(NamedTuple):
    """What a recipe returns.

    Attributes:
        path: the network's file.
        family: the family with its settings.
        trained_on: 'unlimited' or the bank.
        updates: in all.
        steps: environment steps that this call took.
        seconds: that this call took, compilation included.
    """

    path: Path
    family: str
    trained_on: str
    updates: int
    steps: int
    seconds: float


def ignore_progress(progress: Progress) -> None:
    """Shows nothing."""
