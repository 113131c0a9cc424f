"""Draws frames of the task: one undisturbed row, and one row for every condition that paints on frames."""

import sys
from collections.abc import Sequence

import numpy as np

from mesascope import catalogue
from mesascope.contracts import ShowsFrames
from mesascope.errors import MesascopeError
from mesascope.reporting.hints import Examination, Figure


def collect_frames(examination: Examination) -> dict[str, np.ndarray]:
    """Collects frames [F, H, W] of the family's task by condition, the undisturbed frames first.

    The result is empty if no condition paints on frames.

    This function runs the task to make the frames, because the package contains no frames.
    """
    if "jax" not in sys.modules:  # nothing ran in this process, because the page shows saved results
        return {}
    labels = {str(c) for trials in examination.trials.values() for c in trials.condition.values.tolist()}
    try:
        conditions = [catalogue.make("conditions", label) for label in sorted(labels)]
        painting = [c for c in conditions if hasattr(c, "paint_frames") and not getattr(c, "earlier_percepts", 0)]
        family = catalogue.make("families", examination.family) if painting else None
        if not isinstance(family, ShowsFrames):
            return {}
        frames = family.record_frames()
    except MesascopeError:  # the environment is not installed here
        return {}
    undisturbed = frames[:, : int(np.prod(family.frame_shape))].reshape(-1, *family.frame_shape)
    return {"as it is": undisturbed} | {c.label: c.paint_frames(frames) for c in painting}


def draw_figure(strips: Sequence[dict[str, np.ndarray]]) -> Figure:
    """Draws the strips, with one row of frames per condition; rows that several strips share appear once."""
    from matplotlib.figure import Figure

    rows = {name: frames for strip in strips for name, frames in strip.items()}
    n_columns = max(len(frames) for frames in rows.values())
    drawing = Figure(figsize=(9.0, 0.95 * len(rows) + 0.2), layout="constrained")
    grid = drawing.subplots(len(rows), n_columns, squeeze=False)
    for panels, (name, frames) in zip(grid, rows.items(), strict=True):
        for axes, frame in zip(panels, frames, strict=False):
            axes.imshow(frame, cmap="gray", vmin=0, vmax=255, interpolation="none")
        for axes in panels:
            axes.set(xticks=[], yticks=[])
        panels[0].set_title(name.partition(":")[0].replace("_", " "))
    return drawing
