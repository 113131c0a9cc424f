"""Recipes: how our own networks are trained. A recipe is a pure function of its settings and its seed.

A recipe is a file with a factory `recipe(family, out, ..., seed=0, progress=silent)`. Its signature declares its
settings; its docstring is one sentence. It writes `network.safetensors` into `out` and returns a summary. Called
again after an interruption, it continues and ends with the same bytes. The two recipes of Atari games are an
exception: the state of their emulators cannot be saved, so they restart their games.
"""

from pathlib import Path
from typing import NamedTuple


class Progress(NamedTuple):
    """The progress of a training.

    Attributes:
        done: the number of finished updates.
        total: the number of all updates.
        seconds_left: the estimated time left, None before the second update.
        score: mean expected pay-off of a trial in the last batch; noisy, so not a result to report.
    """

    done: int
    total: int
    seconds_left: float | None
    score: float


class Trained(NamedTuple):
    """The summary that a recipe returns.

    Attributes:
        path: the network's file.
        family: the family with its settings.
        trained_on: 'unlimited' or the bank.
        updates: the number of all updates.
        steps: the environment steps of this call.
        seconds: the duration of this call, including compilation.
    """

    path: Path
    family: str
    trained_on: str
    updates: int
    steps: int
    seconds: float


def ignore_progress(progress: Progress) -> None:
    """Shows nothing."""
