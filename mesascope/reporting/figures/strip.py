"""What conditions hide on a picture: a row of frames as they are, and a row for every condition that paints on them."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mesascope import catalogue
from mesascope.contracts.capabilities import ShowsFrames
from mesascope.errors import MesascopeError
from mesascope.reporting.hints import Examination, Figure


class Strip(NamedTuple):
    """rows: frames [F, H, W] of bytes by what was done to them."""

    rows: dict[str, np.ndarray]


def strip(examination: Examination) -> Strip | None:
    """Frames of the family's running world under the conditions that paint; None where nothing paints.

    The frames are made now, by the world itself: nothing of them ships.
    """
    if "jax" not in sys.modules:  # nothing was run here: the page is of what was read
        return None
    labels = {str(c) for lived in examination.trials.values() for c in lived.condition.values.tolist()}
    try:
        conditions = [catalogue.make("conditions", label) for label in sorted(labels)]
        painting = [c for c in conditions if hasattr(c, "paint_frames") and not getattr(c, "before", 0)]
        family = catalogue.make("families", examination.family) if painting else None
        if not isinstance(family, ShowsFrames):
            return None
        shown = family.strip()
    except MesascopeError:  # its world is not installed here
        return None
    plain = shown[:, : int(np.prod(family.frame))].reshape(-1, *family.frame)
    return Strip({"as it is": plain} | {c.label: c.paint_frames(shown) for c in painting})


def figure(strips: Sequence[Strip]) -> Figure:
    """Every different strip, a row of frames per condition."""
    from matplotlib.figure import Figure

    rows = {name: frames for one in strips for name, frames in one.rows.items()}
    count = max(len(frames) for frames in rows.values())
    made = Figure(figsize=(9.0, 0.95 * len(rows) + 0.2), layout="constrained")
    grid = made.subplots(len(rows), count, squeeze=False)
    for line, (name, frames) in zip(grid, rows.items(), strict=True):
        for axes, frame in zip(line, frames, strict=False):
            axes.imshow(frame, cmap="gray", vmin=0, vmax=255, interpolation="none")
        for axes in line:
            axes.set(xticks=[], yticks=[])
        line[0].set_title(name.partition(":")[0].replace("_", " "))
    return made
