"""After which outcomes of a two-step trial does the subject repeat its first choice?

The analysis follows Daw et al. 2011; the indices are those of Wang et al. 2018. With 'rewarded' r and 'common' c coded
as ±1, the saturated linear model is stay = b0 + b1·r + b2·c + b3·r·c. The coefficients b1, b2 and b3 are sums and
differences of the four stay probabilities, divided by four. No pattern of these numbers shows planning, because an
exact filter that does not plan also has the interaction (Akam et al. 2015).
"""

import numpy as np

from mesascope.contracts import DoesNotApply, Metric, Reading, make_metric, select_fresh_trials
from mesascope.errors import make_unknown_name_error
from mesascope.stats import linearise
from mesascope.worlds.two_step.trial_arrays import read_two_step_trials

OUTCOME_CELLS = ("rewarded, common", "rewarded, rare", "unrewarded, common", "unrewarded, rare")
COEFFICIENT_SIGNS = {  # the weights of the cells, times four
    "reward main effect (OLS coefficient)": (1, 1, -1, -1),
    "transition main effect (OLS coefficient)": (1, -1, 1, -1),
    "reward × transition interaction (OLS coefficient)": (1, -1, -1, 1),
}
INDEX_SIGNS = {"MF index": (1, 1, -1, -1), "MB index": (1, -1, -1, 1)}
LAST_TRIAL_RULES = ("out", "switch")


def metric(end: str = "out") -> Metric:
    """After which outcomes of a two-step trial does the subject repeat its first choice?

    Args:
        end: how to count the last trial of a lifetime, which has no next one: 'out' leaves it out; 'switch' counts it
            as a switch, like analyses that compare a column of choices with the same column shifted by one row.
    """
    if end not in LAST_TRIAL_RULES:
        raise make_unknown_name_error("end", end, LAST_TRIAL_RULES)

    def measure(trials, references, replay):
        fresh_trials = select_fresh_trials(trials)
        stays, count, unit, note = _count_stays(fresh_trials, end)
        split = str(fresh_trials.attrs["split"])
        if not count.sum(0).all():
            empty_cells = [cell for cell, n in zip(OUTCOME_CELLS, count.sum(0), strict=True) if not n]
            raise DoesNotApply(f"no trial was {' or '.join(empty_cells)}")
        if (stays.sum(0) == count.sum(0)).all():
            raise DoesNotApply("the subject always repeats its first choice")
        other_stays, other_count, *_ = _count_stays(fresh_trials, LAST_TRIAL_RULES[1 - LAST_TRIAL_RULES.index(end)])
        other_shares = other_stays.sum(0) / np.maximum(other_count.sum(0), 1)
        treatment = "counts as a switch" if end == "out" else "is left out"
        parts = np.concatenate([stays, count], -1).T  # [8, units]

        def make_reading(label, weights, null=0.0, reason="") -> Reading:
            values = linearise(lambda m: float(weights @ (m[:4] / m[4:])), parts)
            return Reading(values[unit], split=split, label=label, null=null, reason=reason + note)

        readings = []
        for cell, weights, share in zip(OUTCOME_CELLS, np.eye(4), other_shares, strict=True):
            reason = f"{share:.3f} where a last trial, which has no next, {treatment}"
            readings.append(make_reading(f"stay after {cell}", weights, 0.5, reason))
        readings += [make_reading(label, np.asarray(signs) / 4) for label, signs in COEFFICIENT_SIGNS.items()]
        readings += [make_reading(label, np.asarray(signs, float)) for label, signs in INDEX_SIGNS.items()]
        return readings

    question = "After which outcomes of a two-step trial does the subject repeat its first choice?"
    return make_metric(question, measure, end=end)


def _count_stays(trials, last_trial: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Counts stays, and trials, by unit and cell of `OUTCOME_CELLS`, [units, 4] each.

    It also returns each lifetime's unit [N], and a note that says what a reward is if there are more than two pay-offs.
    """
    recorded = read_two_step_trials(trials)
    levels = np.unique(recorded.payoff[recorded.is_complete])
    median = float(np.median(levels)) if len(levels) else 0.0
    next_choice = _find_next_choice(recorded.first_choice)
    is_counted = recorded.is_complete & ((next_choice >= 0) if last_trial == "out" else True)
    is_rewarded = recorded.payoff > median
    cells = [is_reward & (recorded.transition == c) for is_reward in (is_rewarded, ~is_rewarded) for c in (1, 0)]

    def count(mask: np.ndarray) -> np.ndarray:
        """Counts the trials in a mask [N, T] by unit and cell."""
        return np.stack([np.bincount(recorded.unit, (mask & cell).sum(-1)) for cell in cells], -1)

    note = f"; rewarded is a pay-off above {median:g}" if len(levels) > 2 else ""
    stays = count(is_counted & (next_choice == recorded.first_choice))
    return stays, count(is_counted), recorded.unit, note


def _find_next_choice(first: np.ndarray) -> np.ndarray:
    """Finds the first choice [N, T] of the next trial that has one; -1 if no later trial has a first choice."""
    padded = np.pad(first, ((0, 0), (0, 1)), constant_values=-1)
    last = padded.shape[1] - 1
    index = np.where(padded >= 0, np.arange(last + 1), last)
    next_index = np.minimum.accumulate(index[:, ::-1], -1)[:, ::-1][:, 1:]
    return np.take_along_axis(padded, next_index, -1)
