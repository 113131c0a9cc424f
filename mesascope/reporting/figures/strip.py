"""Draws frames of the task: one row without changes, and one row for every condition that paints on them."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mesascope import catalogue
from mesascope.contracts.capabilities import ShowsFrames
from mesascope.errors import MesascopeError
from mesascope.reporting.hints import Examination, Figure


class Strip(NamedTuple):
    """Frames of one task: by condition, [F, H, W] bytes."""

    rows: dict[str, np.ndarray]


def draw_strip(examination: Examination) -> Strip | None:
    """Frames of the family's task, unchanged and as conditions paint on them; None if no condition paints.

    The task runs now to make the frames; none ship with the package.
    """
    if "jax" not in sys.modules:  # nothing ran in this process, because the page shows saved results
        return None
    labels = {str(c) for trials in examination.trials.values() for c in trials.condition.values.tolist()}
    try:
        conditions = [catalogue.make("conditions", label) for label in sorted(labels)]
        painting = [c for c in conditions if hasattr(c, "paint_frames") and not getattr(c, "before", 0)]
        family = catalogue.make("families", examination.family) if painting else None
        if not isinstance(family, ShowsFrames):
            return None
        frames = family.strip()
    except MesascopeError:  # the environment is not installed here
        return None
    undisturbed = frames[:, : int(np.prod(family.frame))].reshape(-1, *family.frame)
    return Strip({"as it is": undisturbed} | {c.label: c.paint_frames(frames) for c in painting})


def figure(strips: Sequence[Strip]) -> Figure:
    """A figure of every different strip, with one row of frames per condition."""
    from matplotlib.figure import Figure

    rows = {name: frames for one in strips for name, frames in one.rows.items()}
    count = max(len(frames) for frames in rows.values())
    drawing = Figure(figsize=(9.0, 0.95 * len(rows) + 0.2), layout="constrained")
    grid = drawing.subplots(len(rows), count, squeeze=False)
    for line, (name, frames) in zip(grid, rows.items(), strict=True):
        for axes, frame in zip(line, frames, strict=False):
            axes.imshow(frame, cmap="gray", vmin=0, vmax=255, interpolation="none")
        for axes in line:
            axes.set(xticks=[], yticks=[])
        line[0].set_title(name.partition(":")[0].replace("_", " "))
    return drawing
