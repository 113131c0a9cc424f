"""Draws all lifetimes of a subject as one image, with one row per lifetime."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from mesascope.reporting.figures import make_panels
from mesascope.reporting.hints import Axes, Examination, Figure
from mesascope.reporting.intervals import can_normalise
from mesascope.reporting.words import shorten
from mesascope.stats import average_valid
from mesascope.trials import read_payoffs

MAX_IMAGE_SHAPE = (256, 120)  # rows and columns of the image; neighbours are averaged if there are more
N_COLOURS = 9  # the number of colours, which keeps the page small
MAX_NAMED_ACTIONS = 10  # at most this many actions are named at the side


class LifetimePayoffs(NamedTuple):
    """The normalised pay-off of every lifetime on every trial.

    Attributes:
        name: the subject's name.
        shares: [N, T] the pay-off from 0 to 1; NaN if it is missing.
        is_normalised: whether 1 is the best action of the trial and 0 the worst; otherwise the realised pay-off is
            scaled to its range.
        best_action_counts: for each action, the number of lifetimes in which this action is best; empty if this is not
            known.
    """

    name: str
    shares: np.ndarray
    is_normalised: bool
    best_action_counts: tuple[int, ...]


def compute_payoffs(examination: Examination) -> LifetimePayoffs:
    """Normalises the pay-offs of the subject's lifetimes on fresh tasks, or in the log.

    Rows are sorted by the task's best action, if the actions' means are known, and then by the possible gain. If the
    pay-offs cannot be normalised, rows are sorted by mean pay-off.
    """
    splits = examination.trials
    trials = splits[next((r for r in ("fresh", "logged") if r in splits), next(iter(splits)))]
    payoffs, best_action_counts = read_payoffs(trials), ()
    is_normalised = can_normalise(trials) and "worst" in trials
    if is_normalised:
        best, worst, chance = (trials[v].values.astype(float) for v in ("best", "worst", "chance"))
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.where(best > worst, (payoffs - worst) / (best - worst), np.nan)
        keys = [-(best - chance).mean(-1)]
        if "means" in trials and trials.sizes["choice"] <= MAX_NAMED_ACTIONS:
            best_action = trials.means.values[:, 0].argmax(-1)
            keys.append(best_action)
            best_action_counts = tuple(np.bincount(best_action, minlength=trials.sizes["choice"]).tolist())
        order = np.lexsort(keys)
    else:
        low, high = (np.nanmin(payoffs), np.nanmax(payoffs)) if np.isfinite(payoffs).any() else (0.0, 1.0)
        shares = (payoffs - low) / max(high - low, 1e-12)
        order = np.argsort(-average_valid(shares, 1), kind="stable")
    return LifetimePayoffs(examination.subject, shares[order], is_normalised, best_action_counts)


def shrink_image(values: np.ndarray) -> np.ndarray:
    """Averages neighbouring values, so that the image has at most `MAX_IMAGE_SHAPE` rows and columns; ignores NaN."""
    for axis, limit in enumerate(MAX_IMAGE_SHAPE):
        width = -(-values.shape[axis] // limit)
        values = xr.DataArray(values).coarsen({f"dim_{axis}": width}, boundary="pad").mean().values
    return values


def draw_panel(axes: Axes, payoffs: LifetimePayoffs):
    """Draws one subject's image and returns it for the colour bar."""
    import matplotlib

    colours = matplotlib.colormaps["cividis"].resampled(N_COLOURS).with_extremes(bad=(0, 0, 0, 0))
    extent = (0.5, payoffs.shares.shape[1] + 0.5, len(payoffs.shares), 0)
    look = {"aspect": "auto", "interpolation": "none", "extent": extent}
    image = axes.imshow(shrink_image(payoffs.shares), cmap=colours, vmin=0, vmax=1, **look)
    for edge in np.cumsum(payoffs.best_action_counts)[:-1]:
        axes.axhline(edge, color="white", lw=1.2)
    axes.set_title(shorten(payoffs.name, 26))
    return image


def draw_figure(payoffs_by_subject: Sequence[LifetimePayoffs]) -> Figure:
    """Draws a figure with one image per subject."""
    blocks, is_normalised = payoffs_by_subject[0].best_action_counts, payoffs_by_subject[0].is_normalised
    same_blocks = blocks and all(lives.best_action_counts == blocks for lives in payoffs_by_subject)
    order = "by the task's best action" if same_blocks else "most to gain on top"
    y = f"lifetimes, {order if is_normalised else 'highest pay-off on top'}"
    drawing, panels = make_panels(
        len(payoffs_by_subject), 4, 2.1 if len(payoffs_by_subject) > 1 else 3.2, "trial of the lifetime", y
    )
    if not same_blocks:
        payoffs_by_subject = [
            LifetimePayoffs(lives.name, lives.shares, lives.is_normalised, ()) for lives in payoffs_by_subject
        ]
    images = [draw_panel(axes, payoffs) for axes, payoffs in zip(panels, payoffs_by_subject, strict=True)]
    if same_blocks:
        starts = np.cumsum(blocks) - blocks
        ticks = [(s + n / 2, f"action {i + 1}") for i, (s, n) in enumerate(zip(starts, blocks, strict=True)) if n]
        panels[0].set_yticks([y for y, _ in ticks], [text for _, text in ticks])
        panels[0].tick_params(axis="y", length=0)
    else:
        panels[0].yaxis.get_major_locator().set_params(integer=True)
    bar = drawing.colorbar(images[0], ax=panels, fraction=0.02, pad=0.01, aspect=20, shrink=0.5, anchor=(0, 1.0))
    bar.set_ticks([0, 1], labels=["worst action", "best action"] if is_normalised else ["lowest", "highest"])
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return drawing
