"""What a subject's acts carry from trials more than w back, by two disturbances of one response at a time.

Deletion: what the next act loses if the older past is deleted. It shows that the past is needed. A clock in the carry is
lost too. Transplant: what the next act is worth on the task of another lifetime whose older past it received, beyond
what it is worth on other tasks. It shows that the past informs the act. A policy that depends on the last w trials, the
clock and chance alone is independent of the donor, so the expected transplant is 0 for every such policy. The strict
transplant counts only trials on which the donor and the subject acted differently at the seam, so that a subject that
checks whether the past fits gains less from it.

Sums run over the trials that count. If tasks have parts, only old trials count (see `parts`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply
from mesascope.questions.spectrum.information import jackknife
from mesascope.questions.spectrum.parts import older_trials
from mesascope.stats import ratio
from mesascope.trials import BLOCK, counted_trials, gain

LARGEST = 1 << 24  # counts of donors' best acts and acts taken, above which trials share a table


class Carried(NamedTuple):
    """Numbers whose means are the estimates.

    Attributes:
        deletion: [N] per lifetime, the share of what could be gained that the next act loses; of several versions that
            keep at most w trials, the one of least size.
        transplant: [U] per donor, the share of what the donor's best act is worth there.
        strict: the strict transplants [U] that may count; a second one can only speak for the subject.
        life: [N] the share that a whole life loses if it knows only w trials; None if it was not run.
    """

    deletion: np.ndarray
    transplant: np.ndarray
    strict: tuple[np.ndarray, ...]
    life: np.ndarray | None


def counted(trials: xr.Dataset, window: int, early: bool = False) -> np.ndarray:
    """[N, T] The trials that count: the last half or after a change, or with `early` the first half; old ones only."""
    length = trials.sizes["trial"]
    mask = np.zeros((trials.sizes["lifetime"], length), bool)
    mask[:, slice(window + 1, length // 2) if early else counted_trials(trials)] = True
    mask[:, : window + 1] = False
    older = older_trials(trials, window)
    return mask if older is None else mask & older


def measure_carried(trials: xr.Dataset, window: int, early: bool = False) -> Carried:
    """Measures what is carried from trials more than `window` back on one split.

    Raises:
        DoesNotApply: a condition was not run, or nothing can be gained on the trials that count.
    """
    mask = counted(trials, window, early)
    own, room = gain(trials, "intact", mask)
    if not room.sum() > 0:
        raise DoesNotApply("on the trials that count the best act pays no more than chance")
    labels = _labels(trials, "past_deleted_once", window)
    rows = [ratio(own - gain(trials, label, mask)[0], room) for label in labels]
    if not rows or not np.isfinite(rows[0]).all():
        raise DoesNotApply("the condition 'past_deleted_once' was not run, or the family cannot judge single acts")
    deletion = min(rows, key=lambda row: abs(row.mean()))
    transplant = transplanted(trials, mask)
    names = ("strict", "strict_all") if transplant.mean() > 0 else ("strict",)
    strict = tuple(transplanted(trials, mask, name, "strict_room") for name in names)
    lives = _labels(trials, "past_deleted", window, least=window)
    life = [ratio(own - gain(trials, label, mask)[0], room) for label in lives]
    return Carried(deletion, transplant, strict, min(life, key=lambda row: abs(row.mean())) if life else None)


def transplanted(
    trials: xr.Dataset, mask: np.ndarray, name: str = "gain", room: str = "room", replicates: int | None = None
) -> np.ndarray:
    """[U] Per donor, what acts with its past are worth on its task beyond other tasks, as a share of its best act's.

    Args:
        trials: the trials of one split.
        mask: [N, T] the trials that count.
        name: the variable to sum, without its prefix.
        room: the variable that it is a share of.
        replicates: how many draws of donors to read; None for all.

    Raises:
        DoesNotApply: no past was transplanted.
    """
    if "transplant" not in trials.coords:
        raise DoesNotApply("the condition 'past_transplanted_once' was not run, or the family cannot judge single acts")
    sums = np.zeros((2, len(_donors(trials, trials.transplant.values[0])[1])))
    for i, label in enumerate(trials.transplant.values[:replicates]):
        donor, units = _donors(trials, label)
        for total, variable in zip(sums, (name, room), strict=True):
            values = trials[f"donor_{variable}"].values[i].astype(float)
            total += np.bincount(donor[mask], values[mask], len(units))
    return ratio(*sums[:, sums[1] != 0]) if (sums[1] != 0).sum() > 2 else np.zeros(3)


def bits_of_donor(trials: xr.Dataset, mask: np.ndarray, by_trial: bool = False) -> np.ndarray:
    """[U] Pseudo-values of the information, in bits per act, between a donor's best act and the act with its past.

    Only trials count on which the donor acted otherwise than the subject at the seam, and the subject's own act there
    is given. So the information is 0 for a policy that depends on its last trials, and for one that checks its past.

    Args:
        trials: the trials of one split.
        mask: [N, T] the trials that count.
        by_trial: whether every trial has its own table, which finds acts enciphered by the clock.

    Raises:
        DoesNotApply: no past was transplanted, actions are real numbers, or too few trials count.
    """
    if "transplant" not in trials.coords or trials.attrs.get("actions") == "real":
        raise DoesNotApply("no past was transplanted, or its actions are real numbers")
    best, own = trials.donor_best.values.astype(int), trials.action.sel(condition="intact").values.astype(int)
    choices, units = int(max(best.max(), own.max())) + 1, len(_donors(trials, trials.transplant.values[0])[1])
    trial = np.flatnonzero(mask.any(0))
    phase = np.searchsorted(trial, np.arange(mask.shape[1])) if by_trial else np.zeros(mask.shape[1], int)
    cells = choices * (len(trial) if by_trial else 1)
    if units * cells * choices**2 > LARGEST:
        raise DoesNotApply("there are too many choices and trials")
    table = np.zeros((units, cells, choices, choices))
    for i, label in enumerate(trials.transplant.values):
        strict = mask & (trials.donor_strict_room.values[i] != 0)
        seam = np.roll(own, _read_window(str(label)), 1)
        act = trials.action.sel(condition=label).values.astype(int)
        cell = phase * choices + seam
        np.add.at(table, (_donors(trials, label)[0][strict], cell[strict], best[i][strict], act[strict]), 1.0)
    table = table[table.any((1, 2, 3))]
    if len(table) < 3:
        raise DoesNotApply("too few donors acted otherwise")
    return jackknife(table)


def life_curve(trials: xr.Dataset, window: slice | None = None) -> dict[int, np.ndarray]:
    """Per lifetime [N], the share gained by a life that knows w trials, by w; the intact gain is at 0.

    Of the two ways to begin such a life the better one counts.
    """
    mask = np.zeros((trials.sizes["lifetime"], trials.sizes["trial"]), bool)
    mask[:, counted_trials(trials) if window is None else window] = True
    intact = ratio(*gain(trials, "intact", mask))
    sign, curve = np.sign(intact.mean()) or 1.0, {0: intact}
    for label in _labels(trials, "past_deleted"):
        row, w = ratio(*gain(trials, label, mask)), _read_window(label)
        if w not in curve or sign * row.mean() > sign * curve[w].mean():
            curve[w] = row
    return curve


def span(shares: Sequence[float], spans: Sequence[int], part: float) -> float:
    """The number of trials w at which `part` of the intact gain is reached, linear in log(1 + w) between; inf if none.

    Args:
        shares: the share of the intact gain that a life gains which knows w trials.
        spans: the values of w, ascending.
        part: the share that must be reached.
    """
    last_share, last = 0.0, 0
    for share, w in zip(shares, spans, strict=True):
        if share >= part:
            way = (part - last_share) / (share - last_share)
            return float(np.expm1(np.log1p(last) + way * (np.log1p(w) - np.log1p(last))))
        last_share, last = share, w
    return float("inf")


def _labels(trials: xr.Dataset, name: str, most: int = 1 << 30, least: int = 0) -> list[str]:
    """The labels of a condition that keep at least `least` and at most `most` trials."""
    found = [str(c) for c in trials.condition.values if str(c).startswith(f"{name}:")]
    return [c for c in found if least <= _read_window(c) <= most]


def _read_window(label: str) -> int:
    """The setting `of` in the label of a condition."""
    return int(label.partition(":of=")[2].partition(",")[0])


def _donors(trials: xr.Dataset, label: str) -> tuple[np.ndarray, np.ndarray]:
    """The index of each trial's donor [N, T], and the units: all lifetimes of all blocks."""
    lifetimes = trials.sizes["lifetime"]
    block = np.arange(lifetimes)[:, None] // BLOCK * BLOCK
    donor = block + trials.partner.sel(condition=label).values.astype(int)
    return donor, np.arange(-(-lifetimes // BLOCK) * BLOCK)
