"""Recipes: training procedures for networks. The settings and the seed of a recipe determine the trained network.

A recipe is a file with a factory `recipe(family, out, updates=…, …, seed=0, progress=ignore_progress)`. The signature
declares the settings, and the docstring begins with one sentence. The factory writes `network.safetensors` into the
folder `out` and returns a `TrainingSummary`. If the factory is called again after an interruption, it continues, and
writes the same bytes as an uninterrupted run. The two recipes for Atari games are an exception: the state of their
emulators cannot be saved, so they restart their games.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

FolderPath = str | os.PathLike


class Progress(NamedTuple):
    """The progress of a training run.

    Attributes:
        finished_updates: the number of finished updates.
        total_updates: the total number of updates.
        seconds_left: the estimated time left in seconds; None before the second update of the call.
        score: the mean expected pay-off of a trial in the last batch, or the mean result of the last finished Atari
            games. It is too noisy to report as a result.
    """

    finished_updates: int
    total_updates: int
    seconds_left: float | None
    score: float


OnProgress = Callable[[Progress], None]


class TrainingSummary(NamedTuple):
    """The summary that a recipe returns.

    Attributes:
        path: the path of the network's file.
        family: the name of the family with its settings.
        trained_on: 'unlimited', or the name of the bank.
        updates: the total number of updates.
        environment_steps: the number of environment steps in this call.
        seconds: the duration of this call in seconds, including compilation.
    """

    path: Path
    family: str
    trained_on: str
    updates: int
    environment_steps: int
    seconds: float


def ignore_progress(progress: Progress) -> None:
    """Ignores the progress; this is the default of `progress`."""
