"""Trainings that go on in rounds and are judged at the end: checkpoints, the curve, the network with its evaluation."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained
from mesascope.errors import MesascopeError
from mesascope.recipes.files import agree, finite, identity, keep, origin, prepare, replace, restore

CHECKPOINT = "mesascope-q-training/1"
EVERY = 120.0  # seconds from one checkpoint to the next
TOLD = 1.0  # seconds from one report of progress to the next
POINTS = 120  # of the curve
HEAD = "updates,steps,score,cpu_seconds\n"  # of its file


class Run(NamedTuple):
    """What is trained.

    Attributes:
        recipe: its name.
        family: what it is trained on.
        settings: all.
        told: what the network's file says besides.
        tensors: tensors(state) → the network's weights by name.
    """

    recipe: str
    family: Family
    settings: dict[str, Any]
    told: dict[str, Any]
    tensors: Callable[[Any], dict[str, Any]]

    def seeded(self, *parts: str | int) -> int:
        """A seed by the run's own and an address."""
        return zlib.crc32(repr((self.settings["seed"], *parts)).encode()) >> 1


class Kept(NamedTuple):
    """Where a training is.

    Attributes:
        state: the network, its targets', Adam's memory.
        done: updates.
        steps: of all environments.
        round: steps of one environment.
        scores: of the last games.
    """

    state: Any
    done: int
    steps: int
    round: int
    scores: Any


def go(
    run: Run,
    begun: Any,
    played: Callable[[Kept], Iterator[Kept]],
    evaluated: Callable[[Any], list[float]],
    out: str | os.PathLike,
    *,
    progress: Callable[[Progress], None],
) -> Trained:
    """Trains from the last checkpoint on, evaluates, writes the network.

    Args:
        run: what is trained.
        begun: the state before the first update.
        played: gives, from where the training is, where it is after every round.
        evaluated: the scores of whole games played by a state's network.
        out: the folder of network.safetensors, of curve.csv, and of checkpoint.safetensors until the network is there.
        progress: called now and then.

    Raises:
        MesascopeError: the folder holds another training, or it cannot be written.
    """
    start, folder = time.monotonic(), prepare(out)
    path, checkpoint, curve = (
        folder / n for n in ("network.safetensors", "checkpoint.safetensors", "curve.csv")
    )
    total, steps = run.settings["updates"], 0
    every = max(1, total // POINTS)
    if path.exists():
        agree(run, path)
    else:
        kept = first = _resume(run, checkpoint, begun)
        saved, told, point, began = start, start, kept.done // every, None
        _cut(curve, kept.done)
        try:
            for kept in played(first):
                now = time.monotonic()
                began = began or ((now, kept.done) if kept.done > first.done else None)
                if now - told > TOLD:
                    told, left = now, None
                    if began and kept.done > began[1]:
                        left = (now - began[0]) / (kept.done - began[1]) * (total - kept.done)
                    progress(Progress(kept.done, total, left, _mean(kept.scores)))
                if kept.done // every > point and len(kept.scores):
                    point = kept.done // every
                    _note(curve, kept)
                if now - saved > EVERY:
                    _keep(run, checkpoint, kept)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            _keep(run, checkpoint, kept)
            raise
        steps = kept.steps - first.steps
        _keep(run, checkpoint, kept)
        _finish(run, path, kept, evaluated(kept.state))
        progress(Progress(total, total, 0.0, _mean(kept.scores)))
    checkpoint.unlink(missing_ok=True)
    return Trained(path, run.family.name, "unlimited", total, steps, time.monotonic() - start)


def _mean(scores: Any) -> float:
    return float(np.mean(scores)) if len(scores) else float("nan")


def _note(curve: Path, kept: Kept) -> None:
    """Adds a point to the curve."""
    with curve.open("a") as file:
        if not file.tell():
            file.write(HEAD)
        file.write(f"{kept.done},{kept.steps},{_mean(kept.scores):.2f},{time.process_time():.0f}\n")


def _cut(curve: Path, done: int) -> None:
    """Takes off what the curve holds beyond the checkpoint.

    Raises:
        MesascopeError: the file is of something else.
    """
    head, *lines = (curve.read_text(errors="replace") if curve.exists() else "").splitlines(
        keepends=True
    ) or [""]
    if not HEAD.startswith(head):
        raise MesascopeError(
            f"{str(curve)!r} is no curve of a training and would be written over.", "Name another --out."
        )
    if head == HEAD:
        whole = (x for x in lines if x.endswith("\n") and x.partition(",")[0].isdecimal())
        curve.write_text("".join([head, *(x for x in whole if int(x.partition(",")[0]) <= done)]))
    else:
        curve.unlink(missing_ok=True)  # stopped while its first line was written


def _keep(run: Run, path: Path, kept: Kept) -> None:
    """Writes a checkpoint; the replay is no part of it."""
    at = {"done": kept.done, "steps": kept.steps, "round": kept.round, "score": _mean(kept.scores)}
    keep(run, path, kept.state, {"format": CHECKPOINT, **at})


def _resume(run: Run, path: Path, begun: Any) -> Kept:
    """What a checkpoint holds, or what training begins with."""
    if not path.exists():
        return Kept(begun, 0, 0, 0, ())
    state, (done, steps, turns) = restore(run, path, begun, CHECKPOINT, "done", "steps", "round")
    return Kept(state, done, steps, turns, ())


def _finish(run: Run, path: Path, kept: Kept, scores: list[float]) -> None:
    """Writes the network with what it scored and everything that is needed to repeat it."""
    told = {
        **identity(run),
        **run.told,
        "trained_on": "unlimited",
        "steps": kept.steps,
        "evaluation": {"games": len(scores), "mean": float(np.mean(scores)), "scores": scores},
        **origin(run),
    }
    replace(path, finite(run.tensors(kept.state)), told)
