"""Measures how much actions depend on trials more than w back, by two disturbances of one response at a time.

Deletion is the share of the possible gain that the next action loses if the subject does not know older trials. It
shows that these trials are needed. But deletion also removes a clock from the carry.

A transplant gives the subject the carry that another lifetime, the donor, had w trials ago, and then the subject's own
last w trials. Its number is the worth of the next action on the donor's task, beyond the worth on other tasks. It shows
that older trials inform the action. The actions of a policy that uses only the last w trials, the trial number and
chance are independent of the donor, so the expected transplant of such a policy is 0. The strict transplant counts only
trials for which the donor's action w trials back differed from the subject's. A subject that only checks whether its
carry agrees with its last trials gains less on these trials.

Sums run over the trials that count. If tasks have parts, only old trials count (see `parts`). If trials have several
steps, their first actions are valued.

In shapes, N is the number of lifetimes, T of trials, and U of donors.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply
from mesascope.questions.spectrum.information import jackknife_information
from mesascope.questions.spectrum.parts import find_old_trials
from mesascope.stats import compute_intervals, compute_ratio, compute_standard_error, find_percentile_ends
from mesascope.trials import BLOCK_SIZE, measure_gain, select_counted_trials, select_values

DELETIONS = tuple(f"past_deleted_once:window={w},birth={b}" for w in ("1", "2", "{few}") for b in (0, 1))
TRANSPLANTS = tuple(f"past_transplanted_once:window={{few}},replicate={r}" for r in (0, 1))
SHORT_MEMORIES = (  # conditions under which the subject knows few trials throughout; they determine the span
    *(f"past_deleted:window={w},birth={b}" for w in (1, 2, 4) for b in (0, 1)),
    *(f"past_deleted:window={w},birth=0" for w in (5, 6, 8, 16)),  # the first percept matters little for these
)
MAX_TABLE_SIZE = 1 << 24  # the largest number of counts in the tables of donors' best actions and actions taken


class CarryEffects(NamedTuple):
    """How older trials affect the next action: numbers whose means are the estimates.

    Attributes:
        deletion: [N] the share of the possible gain that the next action loses in each lifetime. The condition has
            several versions, which keep different numbers of last trials, w at most; the smallest loss counts.
        transplant: [U] for each donor, how much more the next action is worth on the donor's task than on other tasks,
            as a share of this difference for the best action.
        strict_transplants: the strict transplant [U], in one or two versions. The first compares the donor's task only
            with tasks of lifetimes whose action w trials back also differed from the subject's, the second with all
            other tasks. The version that exceeds the threshold by more standard errors counts.
        whole_lifetime_loss: [N] the share of the possible gain that a whole lifetime loses if the subject always knows
            only its last w trials; None if this was not run.
    """

    deletion: np.ndarray
    transplant: np.ndarray
    strict_transplants: tuple[np.ndarray, ...]
    whole_lifetime_loss: np.ndarray | None


class Estimate(NamedTuple):
    """A number with its 95 % interval."""

    estimate: float
    low: float
    high: float


def compute_carried_benefit(effects: CarryEffects) -> Estimate:
    """Computes the carried benefit of a subject: the smaller of deletion and transplant, 0 if their signs differ.

    For a positive benefit, its interval reaches from the smaller of the two lower ends to the smaller of the two upper
    ends; for a negative benefit, signs are reversed. If the signs differ, the interval covers both intervals and 0.
    """
    rows = np.full((2, max(len(effects.deletion), len(effects.transplant))), np.nan)
    for row, values in zip(rows, (effects.deletion, effects.transplant), strict=True):
        row[: len(values)] = values
    estimate, low, high = compute_intervals(rows)[:3]
    sign = np.sign(estimate[0])
    if sign != np.sign(estimate[1]):
        return Estimate(0.0, float(min(0.0, *low)), float(max(0.0, *high)))
    near, far = (low, high) if sign >= 0 else (-high, -low)
    ends = sign * min(near), sign * min(far)
    return Estimate(float(sign * np.abs(estimate).min()), float(min(ends)), float(max(ends)))


def find_counted_trials(trials: xr.Dataset, window: int, is_early: bool = False) -> np.ndarray:
    """Finds the trials that count [N, T], which are in the last half of a lifetime or after a change of the task.

    With `is_early`, they are in the first half instead. The first `window` + 1 trials never count. If tasks have parts,
    only old trials count.
    """
    length = trials.sizes["trial"]
    mask = np.zeros((trials.sizes["lifetime"], length), bool)
    counted = slice(length // 2) if is_early else select_counted_trials(trials)
    if isinstance(counted, slice):
        mask[:, counted] = True
    else:
        mask |= counted
    mask[:, : window + 1] = False
    old_trials = find_old_trials(trials, window)
    return mask if old_trials is None else mask & old_trials


def measure_carry_effects(trials: xr.Dataset, window: int, is_early: bool = False) -> CarryEffects:
    """Measures on one split how trials more than `window` back affect the next action.

    Raises:
        DoesNotApply: a deletion or a transplant was not run, or nothing can be gained on the trials that count.
    """
    mask = find_counted_trials(trials, window, is_early)
    whole = act = measure_gain(trials, "intact", mask)
    if "act_worth" in trials:
        act = tuple((mask * trials[name].values.astype(float)).sum(-1) for name in ("act_worth", "act_room"))
    if not (whole[1].sum() > 0 and act[1].sum() > 0):
        raise DoesNotApply("on the trials that count, the best action pays no more than chance")

    def find_smallest_loss(undisturbed: tuple[np.ndarray, ...], labels: Sequence[str]) -> np.ndarray | None:
        own, room = undisturbed
        losses = [compute_ratio(own - measure_gain(trials, label, mask)[0], room) for label in labels]
        return min(losses, key=lambda row: abs(row.mean()), default=None)

    deletion = find_smallest_loss(act, _find_conditions(trials, "past_deleted_once", window))
    if deletion is None or not np.isfinite(deletion).all():
        raise DoesNotApply("the condition 'past_deleted_once' was not run, or the family cannot value single actions")
    transplant = measure_transplant(trials, mask, window)
    names = ("strict", "strict_all") if transplant.mean() > 0 else ("strict",)
    strict = tuple(measure_transplant(trials, mask, window, name, "strict_room") for name in names)
    life = find_smallest_loss(whole, _find_conditions(trials, "past_deleted", window, min_window=window))
    return CarryEffects(deletion, transplant, strict, life)


def measure_transplant(
    trials: xr.Dataset,
    mask: np.ndarray,
    window: int,
    gain_variable: str = "gain",
    room_variable: str = "room",
    *,
    replicates: int | None = None,
) -> np.ndarray:
    """Measures the worth [U] of actions after a transplant on each donor's task, beyond their worth on other tasks.

    The worth is expressed as a share of that of the best action on the donor's task. Donors without trials that count
    are left out. If fewer than three donors remain, the result is three zeros. The numbers' deviations from their mean
    are enlarged by one factor if the recipients, which are lifetimes of the same block, add to the standard error.

    Args:
        trials: the trials of one split.
        mask: [N, T] the trials that count.
        window: how many of its own last trials the recipient keeps.
        gain_variable: the name of the variable to sum, without its prefix 'donor_'.
        room_variable: the name of the variable by whose sum to divide, without its prefix 'donor_'.
        replicates: how many draws of donors to use; None for all.

    Raises:
        DoesNotApply: no transplant was run.
    """
    sums = np.zeros(
        (2, _count_units(trials), BLOCK_SIZE)
    )  # of gain and of room, by recipient and by donor in the block
    recipient = np.broadcast_to(np.arange(trials.sizes["lifetime"])[:, None], mask.shape)
    for label in find_transplants(trials, window)[:replicates]:
        pair = np.ravel_multi_index((recipient[mask], find_donors(trials, label)[mask] % BLOCK_SIZE), sums.shape[1:])
        for total, variable in zip(sums, (gain_variable, room_variable), strict=True):
            values = select_values(trials, f"donor_{variable}", label).astype(float)
            total += np.bincount(pair, values[mask], total.size).reshape(total.shape)
    by_block = sums.reshape(2, -1, BLOCK_SIZE, BLOCK_SIZE)
    by_donor = by_block.sum(2).reshape(2, -1)
    is_counted = by_donor[1] != 0
    if is_counted.sum() < 3:
        return np.zeros(3)
    values = compute_ratio(*by_donor[:, is_counted])
    return values.mean() + _compute_widening(by_block[0] - values.mean() * by_block[1]) * (values - values.mean())


def _compute_widening(deviations: np.ndarray) -> float:
    """Computes by how much the standard error over donors must grow so that it covers recipients, too; 1 or more.

    A lifetime is a donor for some lifetimes and a recipient of others, so two pairs that share a lifetime in any role
    are dependent. The variance is that of dyadic data (Aronow, Samii and Assenova 2015, Political Analysis 23,
    564-577).

    Args:
        deviations: [blocks, recipients, donors] for each pair in a block, its sum minus the sum that the mean predicts.
    """
    by_donor = deviations.sum(1)
    both_ways = deviations + deviations.swapaxes(1, 2)
    variance = ((by_donor + deviations.sum(2)) ** 2).sum() - (both_ways**2).sum() / 2
    among_donors = (by_donor**2).sum()
    return float(np.sqrt(max(1.0, variance / among_donors))) if among_donors else 1.0


def measure_donor_bits(trials: xr.Dataset, mask: np.ndarray, window: int, is_by_trial: bool = False) -> np.ndarray:
    """Measures the bits per action that actions after a transplant contain about the donor's task.

    The information is 0 for a policy that depends on its last trials alone. It is conditional on the subject's own
    action w trials back, and covers only trials for which the donor's action w trials back differed. So it is also 0
    for a policy that only checks whether its last actions agree with its memory.

    Args:
        trials: the trials of one split.
        mask: [N, T] the trials that count.
        window: how many of its own last trials the recipient keeps.
        is_by_trial: whether every trial has its own table. This detects a coding of the task that changes with the
            trial number. There are then too few counts for tables by the action w trials back, so all trials count.

    Returns:
        Jackknife pseudo-values [R, U], with a row for each rank: the information about the best action on the donor's
        task, about the second best action, and so on.

    Raises:
        DoesNotApply: no transplant was run, actions are real numbers, the tables would be too large, or fewer than
            three donors have trials that count.
    """
    labels = find_transplants(trials, window)
    if trials.attrs.get("actions") == "real":
        raise DoesNotApply("its actions are real numbers")
    ranks = trials.donor_ranks.sel(transplant=labels).values.astype(int)
    own = find_first_actions(trials, "intact")
    choices, units = int(max(ranks.max(), own.max())) + 1, _count_units(trials)
    cell, cells = np.roll(own, window, 1), choices
    if is_by_trial:
        is_counted = mask.any(0)
        cell, cells = np.broadcast_to(np.cumsum(is_counted) - 1, own.shape), int(is_counted.sum())
    if units * cells * choices**2 > MAX_TABLE_SIZE:
        raise DoesNotApply("the tables for so many choices and trials would be too large")
    table = np.zeros((ranks.shape[-1], units, cells, choices, choices))
    for i, label in enumerate(labels):
        strict = mask if is_by_trial else mask & (select_values(trials, "donor_strict_room", label) != 0)
        action = find_first_actions(trials, label)
        strict = strict & (action >= 0) & (cell >= 0)  # a language model may give no answer
        action = action[strict]
        donor = find_donors(trials, label)[strict]
        for rank in range(len(table)):
            np.add.at(table[rank], (donor, cell[strict], ranks[i, ..., rank][strict], action), 1.0)
    table = table[:, table[0].any((1, 2, 3))]
    if table.shape[1] < 3:
        raise DoesNotApply("too few donors acted differently from the subject w trials back")
    return np.stack([jackknife_information(t) for t in table])


def find_first_actions(trials: xr.Dataset, condition: str) -> np.ndarray:
    """Finds the action of each trial [N, T], or its first action if trials have several steps."""
    action = select_values(trials, "action", condition).astype(int)
    return action[..., 0] if action.ndim == 3 else action


def measure_gain_by_memory(trials: xr.Dataset) -> dict[int, np.ndarray]:
    """Measures the gain [N] in lifetimes in which only the last w trials are known, by w; w = 0 is the intact run.

    The gain is a share of the possible gain. For some w, two versions differ in the first percept (`birth`), and the
    version with more gain counts.
    """
    intact = compute_ratio(*measure_gain(trials))
    sign, curve = np.sign(intact.mean()) or 1.0, {0: intact}
    for label in _find_conditions(trials, "past_deleted"):
        row, w = compute_ratio(*measure_gain(trials, label)), parse_window(label)
        if w not in curve or sign * row.mean() > sign * curve[w].mean():
            curve[w] = row
    return curve


def interpolate_span(shares: np.ndarray, spans: Sequence[int], target_share: float) -> np.ndarray:
    """Interpolates the number of known trials w at which the gain reaches `target_share` of the intact gain.

    Args:
        shares: [R, W] the share of the intact gain that remains if the subject knows only its last w trials, with one
            row for each resample and one column for each w.
        spans: the W values of w, ascending.
        target_share: the share that must be reached, above 0.

    Returns:
        The numbers w [R], interpolated linearly in log(1 + w); infinity if no value of w reaches the share.
    """
    shares = np.column_stack([np.zeros(len(shares)), shares])
    knots = np.log1p([0, *spans])
    is_reached = shares >= target_share
    end = is_reached.argmax(1)  # 0 only if the share is never reached
    start, rows = np.maximum(end - 1, 0), np.arange(len(shares))
    below, above = shares[rows, start], shares[rows, end]
    way = (target_share - below) / np.where(end > 0, above - below, 1.0)
    return np.where(is_reached.any(1), np.expm1(knots[start] + way * (knots[end] - knots[start])), np.inf)


def measure_span(trials: xr.Dataset, weights: np.ndarray, sign: float) -> dict[str, Any]:
    """Measures the gain with only the last w trials known, and how many trials give half and 95 % of the intact gain.

    Args:
        trials: the trials of one split.
        weights: [resamples, N] the weights of the lifetimes.
        sign: 1 for a subject that goes for the pay-off, -1 for a subject that goes against it.

    Returns:
        A dict with 'gain_by_last_trials' (the gain for each w), 'longest_span' (the largest w), and 'span_half' and
        'span_most' (the numbers of trials that give half and 95 % of the intact gain) with the ends of their 95 %
        intervals, such as 'span_half_low'. The dict is empty if the intact gain does not exceed two standard errors, or
        if 'past_deleted' was not run.
    """
    curve = measure_gain_by_memory(trials)
    intact, spans = curve.pop(0), sorted(curve)
    if not spans or sign * intact.mean() <= 2 * compute_standard_error(intact):
        return {}
    shares = np.array([[curve[w].mean() / intact.mean() for w in spans]])
    drawn = np.stack([weights @ curve[w] for w in spans], 1) / (weights @ intact)[:, None]
    numbers: dict[str, Any] = {"gain_by_last_trials": {str(w): float(curve[w].mean()) for w in spans}}
    numbers["longest_span"], ends = spans[-1], find_percentile_ends(len(intact))
    for name, part in (("half", 0.5), ("most", 0.95)):
        low, high = np.quantile(interpolate_span(drawn[:400], spans, part), ends, method="nearest")
        numbers |= {f"span_{name}": float(interpolate_span(shares, spans, part)[0])}
        numbers |= {f"span_{name}_low": float(low), f"span_{name}_high": float(high)}
    return numbers


def _find_conditions(trials: xr.Dataset, name: str, max_window: int = 1 << 30, min_window: int = 0) -> list[str]:
    """Finds the labels of the condition `name` with windows from `min_window` to `max_window` trials."""
    found = [str(c) for c in trials.condition.values if str(c).startswith(f"{name}:")]
    return [c for c in found if min_window <= parse_window(c) <= max_window]


def parse_window(condition: str) -> int:
    """Parses the number of trials that the setting `window` states in a condition's label."""
    return int(condition.partition(":window=")[2].partition(",")[0])


def find_transplants(trials: xr.Dataset, window: int) -> list[str]:
    """Finds the labels of the transplants after which the recipient keeps `window` of its own last trials.

    Raises:
        DoesNotApply: no such transplant was run.
    """
    found = [str(c) for c in trials.transplant.values] if "transplant" in trials.coords else []
    labels = [c for c in found if parse_window(c) == window]
    if not labels:
        condition = f"past_transplanted_once:window={window}"
        raise DoesNotApply(f"the condition {condition!r} was not run, or the family cannot value single actions")
    return labels


def find_donors(trials: xr.Dataset, condition: str) -> np.ndarray:
    """Finds the index of each trial's donor [N, T] among all lifetimes of all blocks."""
    block = np.arange(trials.sizes["lifetime"])[:, None] // BLOCK_SIZE * BLOCK_SIZE
    return block + select_values(trials, "partner", condition).astype(int)


def _count_units(trials: xr.Dataset) -> int:
    """Counts the lifetimes in complete blocks, including lifetimes of the last block that were not kept."""
    return -(-trials.sizes["lifetime"] // BLOCK_SIZE) * BLOCK_SIZE
