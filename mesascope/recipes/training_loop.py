"""The training loop. It writes checkpoints and the network's file, and, if there is an evaluation, a curve and scores.

The state after an update is a function of the settings and of the state before it. So a training run that is
interrupted and continues from its last checkpoint writes the same network, if the checkpoint contains the whole state.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mesascope.contracts import FolderPath, OnProgress, Progress, TrainingSummary
from mesascope.errors import require
from mesascope.recipes import files
from mesascope.recipes.files import Checkpoint, TrainingRun

CHECKPOINT_SECONDS = 10.0  # seconds from one checkpoint to the next
MAX_POINTS = 120  # the largest number of points on the curve
CURVE_HEADER = "updates,steps,score,cpu_seconds\n"  # the first line of the curve's file


TrainFrom = Callable[[Checkpoint], Iterator[Checkpoint]]  # continues from a checkpoint, and yields one per update
Evaluate = Callable[[Any], list[float]]  # returns a state's scores, one per game or problem of the evaluation


def run_training(
    run: TrainingRun,
    make_initial_state: Callable[[], Any],
    train_from: TrainFrom,
    out: FolderPath,
    *,
    progress: OnProgress,
    evaluate: Evaluate | None = None,
) -> TrainingSummary:
    """Trains from the last checkpoint, evaluates the network if `evaluate` is given, and writes the network.

    Args:
        run: the training run.
        make_initial_state: a function that returns the state before the first update.
        train_from: a function that continues from a checkpoint, and yields a checkpoint after every update.
        out: the folder for network.safetensors, and for checkpoint.safetensors until the network is written.
        progress: a function that is called with a `Progress` after every update.
        evaluate: a function that returns the scores of the trained network, from its state. If `evaluate` is given, the
            folder also gets curve.csv.

    Raises:
        MesascopeError: the folder contains another training run, or it cannot be written.
    """
    start, folder, steps = time.monotonic(), files.make_folder(out), 0
    path, checkpoint_path = folder / "network.safetensors", folder / "checkpoint.safetensors"
    if path.exists():
        files.check_identity(run, path)
    else:
        first_checkpoint = files.load_checkpoint(run, checkpoint_path, make_initial_state())
        curve = Curve(folder / "curve.csv", first_checkpoint.updates_done, run.updates) if evaluate else None
        latest = _run_updates(run, first_checkpoint, train_from, checkpoint_path, curve, progress)
        steps = latest.steps - first_checkpoint.steps
        if evaluate:
            files.save_checkpoint(run, checkpoint_path, latest)
        _write_network(run, path, latest, evaluate)
    checkpoint_path.unlink(missing_ok=True)
    trained_on = run.family.bank_label or "unlimited"
    return TrainingSummary(path, run.family.name, trained_on, run.updates, steps, time.monotonic() - start)


def _run_updates(
    run: TrainingRun,
    first_checkpoint: Checkpoint,
    train_from: TrainFrom,
    checkpoint_path: Path,
    curve: Curve | None,
    progress: OnProgress,
) -> Checkpoint:
    """Trains and returns the last checkpoint; saves checkpoints every few seconds, and when the user stops the run."""
    latest, last_save, timing = first_checkpoint, time.monotonic(), None
    try:
        for latest in train_from(first_checkpoint):
            now, seconds_left = time.monotonic(), None
            if timing is None:  # the first update compiles
                timing = (now, latest.updates_done) if latest.updates_done > first_checkpoint.updates_done else None
            elif latest.updates_done > timing[1]:
                seconds_left = (
                    (now - timing[0]) / (latest.updates_done - timing[1]) * (run.updates - latest.updates_done)
                )
            if curve:
                curve.add_point(latest)
            if now - last_save > CHECKPOINT_SECONDS and latest.updates_done < run.updates:
                files.save_checkpoint(run, checkpoint_path, latest)
                last_save = time.monotonic()
            progress(Progress(latest.updates_done, run.updates, seconds_left, _average_scores(latest.scores)))
    except KeyboardInterrupt:
        files.save_checkpoint(run, checkpoint_path, latest)
        raise
    return latest


def _average_scores(scores: Any) -> float:
    return float(np.mean(scores)) if len(scores) else float("nan")


class Curve:
    """The file with the curve of a training run, truncated at the checkpoint.

    Args:
        path: the path of the file.
        updates_done: the number of updates before the checkpoint.
        updates: the number of updates in the whole run.

    Raises:
        MesascopeError: the file is not the curve of a training run.
    """

    def __init__(self, path: Path, updates_done: int, updates: int):
        self.path, self.updates_per_point = path, max(1, updates // MAX_POINTS)
        self.last_point = updates_done // self.updates_per_point
        _truncate_curve(path, updates_done)

    def add_point(self, checkpoint: Checkpoint) -> None:
        """Adds a point if one is due and the checkpoint has scores."""
        point = checkpoint.updates_done // self.updates_per_point
        if point <= self.last_point or not len(checkpoint.scores):
            return
        self.last_point = point
        numbers = (
            checkpoint.updates_done,
            checkpoint.steps,
            f"{_average_scores(checkpoint.scores):.2f}",
            f"{time.process_time():.0f}",
        )
        with self.path.open("a") as file:
            if not file.tell():
                file.write(CURVE_HEADER)
            file.write(",".join(map(str, numbers)) + "\n")


def _truncate_curve(path: Path, updates_done: int) -> None:
    """Removes the points of a curve that come after the checkpoint.

    Raises:
        MesascopeError: the file is not the curve of a training run.
    """
    header, *lines = (path.read_text(errors="replace") if path.exists() else "").splitlines(keepends=True) or [""]
    problem = f"{str(path)!r} is not the curve of a training run, and would be overwritten."
    require(CURVE_HEADER.startswith(header), problem, "Name another --out.")
    if header == CURVE_HEADER:
        points = (x for x in lines if x.endswith("\n") and x.partition(",")[0].isdecimal())
        path.write_text("".join([header, *(x for x in points if int(x.partition(",")[0]) <= updates_done)]))
    else:
        path.unlink(missing_ok=True)  # the run was stopped while it wrote the first line


def _write_network(run: TrainingRun, path: Path, checkpoint: Checkpoint, evaluate: Evaluate | None) -> None:
    """Writes the network, its scores and how to reproduce it, but no times, so that equal runs write equal bytes."""
    metadata, tensors = run.describe_network(checkpoint.state)
    trained_on = {"trained_on": run.family.bank_label or "unlimited"}
    metadata = {**files.describe_identity(run), **metadata, **trained_on, **files.describe_origin(run)}
    tensors = {name: np.asarray(weights) for name, weights in tensors.items()}
    is_finite = all(np.isfinite(weights).all() for weights in tensors.values())
    require(is_finite, "The training diverged: weights are not finite.", "Lower the rate, or change the seed.")
    if evaluate:
        scores = evaluate(checkpoint.state)
        evaluation = {"games": len(scores), "mean": float(np.mean(scores)), "scores": scores}
        metadata |= {"steps": checkpoint.steps, "evaluation": evaluation}
    files.write_tensors(path, tensors, metadata)
