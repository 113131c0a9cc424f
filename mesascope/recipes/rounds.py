"""The training loop. It writes checkpoints and the network's file, and with a judge also a curve and scores.

The state after a round is a function of the settings and of the state before it. So a training run that is interrupted
and continues from its last checkpoint ends with the same bytes, if the checkpoint contains the whole state.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mesascope.contracts.recipe import Progress, Trained
from mesascope.errors import MesascopeError
from mesascope.recipes import files
from mesascope.recipes.files import Checkpoint, Run

CHECKPOINT_SECONDS = 10.0  # seconds from one checkpoint to the next
MAX_POINTS = 120  # the largest number of points on the curve
HEAD = "updates,steps,score,cpu_seconds\n"  # the first line of the curve's file


class Play(Protocol):
    """Trains a network round by round."""

    def __call__(self, start: Checkpoint, /) -> Iterator[Checkpoint]:
        """Continues from the starting checkpoint, and yields a checkpoint after every round."""
        ...


class Judge(Protocol):
    """Evaluates a trained network."""

    def __call__(self, state: Any, /) -> list[float]:
        """The scores of the network in this state, one for each game or problem of the evaluation."""
        ...


def run_rounds(
    run: Run,
    begin: Callable[[], Any],
    play: Play,
    out: str | os.PathLike,
    *,
    progress: Callable[[Progress], None],
    judge: Judge | None = None,
) -> Trained:
    """Trains from the last checkpoint, evaluates the network if there is a judge, and writes it.

    Args:
        run: the training run.
        begin: returns the state before the first update.
        play: yields a checkpoint after every round.
        out: the folder for network.safetensors, and for checkpoint.safetensors until the network is written.
        progress: called after every round.
        judge: returns the scores of the trained network. With a judge, the folder also gets curve.csv.

    Raises:
        MesascopeError: the folder contains another training run, or it cannot be written.
    """
    start, folder, steps = time.monotonic(), files.prepare(out), 0
    path, checkpoint = folder / "network.safetensors", folder / "checkpoint.safetensors"
    if path.exists():
        files.check_identity(run, path)
    else:
        first = files.load_checkpoint(run, checkpoint, begin())
        curve = Curve(folder / "curve.csv", first.done, run.updates) if judge else None
        latest = _play_rounds(run, first, play, checkpoint, curve, progress=progress)
        steps = latest.steps - first.steps
        if judge:
            files.save_checkpoint(run, checkpoint, latest)
        _finish(run, path, latest, judge)
    checkpoint.unlink(missing_ok=True)
    trained_on = run.family.bank or "unlimited"
    return Trained(path, run.family.name, trained_on, run.updates, steps, time.monotonic() - start)


def _play_rounds(
    run: Run,
    first: Checkpoint,
    play: Play,
    checkpoint: Path,
    curve: Curve | None,
    *,
    progress: Callable[[Progress], None],
) -> Checkpoint:
    """Trains and returns the last state. It saves checkpoints every few seconds, and when the user stops it."""
    latest, saved, began = first, time.monotonic(), None
    try:
        for latest in play(first):
            now, seconds_left = time.monotonic(), None
            if began is None:  # the first update compiles
                began = (now, latest.done) if latest.done > first.done else None
            elif latest.done > began[1]:
                seconds_left = (now - began[0]) / (latest.done - began[1]) * (run.updates - latest.done)
            if curve:
                curve.note(latest)
            if now - saved > CHECKPOINT_SECONDS and latest.done < run.updates:
                files.save_checkpoint(run, checkpoint, latest)
                saved = time.monotonic()
            progress(Progress(latest.done, run.updates, seconds_left, _mean(latest.scores)))
    except KeyboardInterrupt:
        files.save_checkpoint(run, checkpoint, latest)
        raise
    return latest


def _mean(scores: Any) -> float:
    return float(np.mean(scores)) if len(scores) else float("nan")


class Curve:
    """The file with the curve of a training run, truncated at the checkpoint.

    Args:
        path: the path of the file.
        done: the number of updates before the checkpoint.
        updates: the number of updates in the whole run.

    Raises:
        MesascopeError: the file is not the curve of a training run.
    """

    def __init__(self, path: Path, done: int, updates: int):
        self.path, self.every = path, max(1, updates // MAX_POINTS)
        self.point = done // self.every
        _truncate(path, done)

    def note(self, checkpoint: Checkpoint) -> None:
        """Adds a point if one is due and the checkpoint has scores."""
        if checkpoint.done // self.every <= self.point or not len(checkpoint.scores):
            return
        self.point = checkpoint.done // self.every
        with self.path.open("a") as file:
            if not file.tell():
                file.write(HEAD)
            file.write(
                f"{checkpoint.done},{checkpoint.steps},{_mean(checkpoint.scores):.2f},{time.process_time():.0f}\n"
            )


def _truncate(curve: Path, done: int) -> None:
    """Removes the points of a curve that come after the checkpoint.

    Raises:
        MesascopeError: the file is not the curve of a training run.
    """
    head, *lines = (curve.read_text(errors="replace") if curve.exists() else "").splitlines(keepends=True) or [""]
    if not HEAD.startswith(head):
        raise MesascopeError(
            f"{str(curve)!r} is not the curve of a training run, and would be overwritten.", "Name another --out."
        )
    if head == HEAD:
        points = (x for x in lines if x.endswith("\n") and x.partition(",")[0].isdecimal())
        curve.write_text("".join([head, *(x for x in points if int(x.partition(",")[0]) <= done)]))
    else:
        curve.unlink(missing_ok=True)  # the run was stopped while it wrote the first line


def _finish(run: Run, path: Path, checkpoint: Checkpoint, judge: Judge | None) -> None:
    """Writes the network, its scores and how to reproduce it, but no times, so that equal runs write equal bytes."""
    metadata, tensors = run.contents(checkpoint.state)
    metadata = {**files.identity(run), **metadata, "trained_on": run.family.bank or "unlimited", **files.origin(run)}
    tensors = files.check_finite(tensors)
    if judge:
        scores = judge(checkpoint.state)
        evaluation = {"games": len(scores), "mean": float(np.mean(scores)), "scores": scores}
        metadata |= {"steps": checkpoint.steps, "evaluation": evaluation}
    files.replace(path, tensors, metadata)
