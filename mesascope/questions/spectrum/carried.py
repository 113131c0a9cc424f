"""What a subject's acts carry from trials more than w back, by two disturbances of one response at a time.

Deletion: what the next act loses if the older past is deleted. It shows that the past is needed. A clock in the carry
is lost too.

Transplant: what the next act is worth on the task of another lifetime whose older past it received, beyond what it is
worth on other tasks. It shows that the past informs the act. A policy that depends on the last w trials, the clock and
chance alone is independent of the donor, so the expected transplant is 0 for every such policy. The strict transplant
counts only trials on which the donor and the subject acted differently at the seam, so that a subject that checks
whether the past fits gains less from it.

Sums run over the trials that count. If tasks have parts, only old trials count (see `parts`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply
from mesascope.questions.spectrum.information import jackknife
from mesascope.questions.spectrum.parts import older_trials
from mesascope.stats import interval, ratio, standard_error
from mesascope.trials import BLOCK, counted_trials, gain

DELETIONS = tuple(f"past_deleted_once:of={w},birth={b}" for w in ("1", "2", "{few}") for b in (0, 1))
TRANSPLANTS = tuple(f"past_transplanted_once:of={{few}},replicate={r}" for r in (0, 1))
LIVES = (  # lives that know few trials, from which the span is read
    *(f"past_deleted:of={w},birth={b}" for w in (1, 2, 4) for b in (0, 1)),
    *(f"past_deleted:of={w},birth=0" for w in (5, 6, 8, 16)),  # by then it matters little how it was born
)
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


class Benefit(NamedTuple):
    """The carried benefit: the smaller of deletion and transplant, 0 if their signs differ; with a 95 % interval."""

    estimate: float
    low: float
    high: float


def carried_benefit(carried: Carried) -> Benefit:
    """The carried benefit of a subject.

    Its interval reaches from the smaller of the two low ends to the smaller of the two high ends, in the direction of
    the benefit. Where the signs differ, it covers what both intervals say of the smaller one, and 0.
    """
    both = interval(np.stack([_pad(carried.deletion, carried.transplant), _pad(carried.transplant, carried.deletion)]))
    estimate, low, high = (np.asarray(x, float) for x in both[:3])
    sign = np.sign(estimate[0])
    if sign != np.sign(estimate[1]):
        return Benefit(0.0, float(min(0.0, *low)), float(max(0.0, *high)))
    near, far = (low, high) if sign >= 0 else (-high, -low)
    ends = sign * min(near), sign * min(far)
    return Benefit(float(sign * np.abs(estimate).min()), float(min(ends)), float(max(ends)))


def _pad(values: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Values with NaN added up to the length of the other row."""
    return np.concatenate([values, np.full(max(0, len(other) - len(values)), np.nan)])


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
    transplant = transplanted(trials, mask, window)
    names = ("strict", "strict_all") if transplant.mean() > 0 else ("strict",)
    strict = tuple(transplanted(trials, mask, window, name, "strict_room") for name in names)
    lives = _labels(trials, "past_deleted", window, least=window)
    life = [ratio(own - gain(trials, label, mask)[0], room) for label in lives]
    return Carried(deletion, transplant, strict, min(life, key=lambda row: abs(row.mean())) if life else None)


def transplanted(
    trials: xr.Dataset,
    mask: np.ndarray,
    window: int,
    name: str = "gain",
    room: str = "room",
    *,
    replicates: int | None = None,
) -> np.ndarray:
    """[U] Per donor, what acts with its past are worth on its task beyond other tasks, as a share of its best act's.

    Args:
        trials: the trials of one split.
        mask: [N, T] the trials that count.
        window: how many of its own last trials the recipient keeps.
        name: the variable to sum, without its prefix.
        room: the variable that it is a share of.
        replicates: how many draws of donors to read; None for all.

    Raises:
        DoesNotApply: no past was transplanted.
    """
    labels = _transplants(trials, window)[:replicates]
    units = _count_units(trials)
    sums = np.zeros((2, units))
    for label in labels:
        donor = _donors(trials, label)
        for total, variable in zip(sums, (name, room), strict=True):
            values = trials[f"donor_{variable}"].sel(transplant=label).values.astype(float)
            total += np.bincount(donor[mask], values[mask], units)
    return ratio(*sums[:, sums[1] != 0]) if (sums[1] != 0).sum() > 2 else np.zeros(3)


def bits_of_donor(trials: xr.Dataset, mask: np.ndarray, window: int, by_trial: bool = False) -> np.ndarray:
    """[R, U] Pseudo-values of the information, in bits per act, between a donor's task and the act with its past.

    There is a row for each rank: what the act tells of the donor's best act, of its second best act, and so on. It is 0
    for a policy that depends on its last trials. For one that checks its past to be 0 too, only trials count on which
    the donor acted otherwise than the subject at the seam, and the subject's own act there is given.

    Args:
        trials: the trials of one split.
        mask: [N, T] the trials that count.
        window: how many of its own last trials the recipient keeps.
        by_trial: whether every trial has its own table, which finds acts enciphered by the clock. There are then too
            few counts to take the acts at the seam as given, and all trials count.

    Raises:
        DoesNotApply: no past was transplanted, actions are real numbers, or too few trials count.
    """
    labels = _transplants(trials, window)
    if trials.attrs.get("actions") == "real":
        raise DoesNotApply("its actions are real numbers")
    ranks = trials.donor_ranks.sel(transplant=labels).values.astype(int)
    own = trials.action.sel(condition="intact").values.astype(int)
    choices, units = int(max(ranks.max(), own.max())) + 1, _count_units(trials)
    trial = np.flatnonzero(mask.any(0))
    phase = np.searchsorted(trial, np.arange(mask.shape[1])) if by_trial else np.zeros(mask.shape[1], int)
    cells = len(trial) if by_trial else choices
    if units * cells * choices**2 > LARGEST:
        raise DoesNotApply("there are too many choices and trials")
    table = np.zeros((ranks.shape[-1], units, cells, choices, choices))
    seam = np.roll(own, window, 1)
    for i, label in enumerate(labels):
        strict = mask if by_trial else mask & (trials.donor_strict_room.sel(transplant=label).values != 0)
        cell = (np.broadcast_to(phase, seam.shape) if by_trial else seam)[strict]
        act = trials.action.sel(condition=label).values.astype(int)[strict]
        donor = _donors(trials, label)[strict]
        for rank in range(len(table)):
            np.add.at(table[rank], (donor, cell, ranks[i, ..., rank][strict], act), 1.0)
    table = table[:, table[0].any((1, 2, 3))]
    if table.shape[1] < 3:
        raise DoesNotApply("too few donors acted otherwise")
    return np.stack([jackknife(t) for t in table])


def life_curve(trials: xr.Dataset) -> dict[int, np.ndarray]:
    """Per lifetime [N], the share gained by a life that knows w trials, by w; the intact gain is at 0.

    Of the two ways to begin such a life the better one counts.
    """
    intact = ratio(*gain(trials))
    sign, curve = np.sign(intact.mean()) or 1.0, {0: intact}
    for label in _labels(trials, "past_deleted"):
        row, w = ratio(*gain(trials, label)), read_window(label)
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


def read_span(trials: xr.Dataset, weights: np.ndarray, sign: float) -> dict[str, Any]:
    """The gain of lives that know w trials, and how many trials they need for half and for 95 % of the intact gain.

    Args:
        trials: the trials of one split.
        weights: [resamples, N] the weights of the lifetimes.
        sign: 1 for a subject that goes for the pay-off, -1 against it.

    Returns:
        Numbers by name; none if there is no intact gain to share.
    """
    curve = life_curve(trials)
    intact, spans = curve.pop(0), sorted(curve)
    if not spans or sign * intact.mean() <= 2 * standard_error(intact):
        return {}
    shares = [float(curve[w].mean() / intact.mean()) for w in spans]
    drawn = np.stack([weights @ curve[w] for w in spans], 1) / (weights @ intact)[:, None]
    numbers: dict[str, Any] = {"gain_by_last_trials": {str(w): float(curve[w].mean()) for w in spans}}
    numbers["longest_span"] = spans[-1]
    for name, part in (("half", 0.5), ("most", 0.95)):
        low, high = np.quantile([span(row, spans, part) for row in drawn[:400]], [0.025, 0.975], method="nearest")
        numbers |= {f"span_{name}": span(shares, spans, part)}
        numbers |= {f"span_{name}_low": float(low), f"span_{name}_high": float(high)}
    return numbers


def _labels(trials: xr.Dataset, name: str, most: int = 1 << 30, least: int = 0) -> list[str]:
    """The labels of a condition that keep at least `least` and at most `most` trials."""
    found = [str(c) for c in trials.condition.values if str(c).startswith(f"{name}:")]
    return [c for c in found if least <= read_window(c) <= most]


def read_window(label: str) -> int:
    """The setting `of` in the label of a condition."""
    return int(label.partition(":of=")[2].partition(",")[0])


def _transplants(trials: xr.Dataset, window: int) -> list[str]:
    """The labels of the transplants after which the recipient keeps `window` of its own last trials.

    Raises:
        DoesNotApply: none was run.
    """
    found = [str(c) for c in trials.transplant.values] if "transplant" in trials.coords else []
    labels = [c for c in found if read_window(c) == window]
    if not labels:
        raise DoesNotApply(
            f"the condition 'past_transplanted_once:of={window}' was not run, or the family cannot judge single acts"
        )
    return labels


def _donors(trials: xr.Dataset, label: str) -> np.ndarray:
    """[N, T] The index of each trial's donor among all lifetimes of all blocks."""
    block = np.arange(trials.sizes["lifetime"])[:, None] // BLOCK * BLOCK
    return block + trials.partner.sel(condition=label).values.astype(int)


def _count_units(trials: xr.Dataset) -> int:
    """How many lifetimes the blocks have, those included that were not kept."""
    return -(-trials.sizes["lifetime"] // BLOCK) * BLOCK
