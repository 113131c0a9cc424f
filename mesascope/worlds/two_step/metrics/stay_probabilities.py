"""After which outcomes of a two-step trial does the subject repeat its first choice?

The analysis follows Daw et al. 2011; the indices are those of Wang et al. 2018. With 'rewarded' r and 'common' c coded
as ±1, the saturated linear model is stay = b0 + b1·r + b2·c + b3·r·c. The coefficients b1, b2 and b3 are sums and
differences of the four cells, divided by four. No pattern of these numbers shows planning, because an exact filter
that does not plan also has the interaction (Akam et al. 2015).
"""

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Metric, Reading, fresh, make_metric
from mesascope.errors import unknown
from mesascope.stats import linearise
from mesascope.worlds.two_step.two_steps import index_units, read_steps

CELLS = ("rewarded, common", "rewarded, rare", "unrewarded, common", "unrewarded, rare")
COEFFICIENTS = {  # the weights of the cells, times four
    "reward main effect (OLS coefficient)": (1, 1, -1, -1),
    "transition main effect (OLS coefficient)": (1, -1, 1, -1),
    "reward × transition interaction (OLS coefficient)": (1, -1, -1, 1),
}
INDICES = {"MF index": (1, 1, -1, -1), "MB index": (1, -1, -1, 1)}
ENDS = ("out", "switch")


def metric(end: str = "out") -> Metric:
    """After which outcomes of a two-step trial does it repeat its first choice?

    Args:
        end: how to count the last trial of a lifetime, which has no next one: 'out' leaves it out; 'switch' counts it
            as a switch, as in tables that compare a column with itself shifted by one row.
    """
    if end not in ENDS:
        raise unknown("end", end, ENDS)

    def measure(trials, references, replay):
        fresh_trials = fresh(trials)
        stays, count, index, high = _count_stays(fresh_trials, end)
        split = str(fresh_trials.attrs["split"])
        if not count.sum(0).all():
            empty_cells = [cell for cell, n in zip(CELLS, count.sum(0), strict=True) if not n]
            raise DoesNotApply(f"no trial was {' or '.join(empty_cells)}")
        if (stays.sum(0) == count.sum(0)).all():
            raise DoesNotApply("it always repeats its first choice")
        other_counts = _count_stays(fresh_trials, ENDS[1 - ENDS.index(end)])
        other_shares = other_counts[0].sum(0) / np.maximum(other_counts[1].sum(0), 1)
        treatment = "counts as a switch" if end == "out" else "is left out"
        parts = np.concatenate([stays, count], -1).T  # [8, units]

        def make_reading(label, weights, null=0.0, reason="") -> Reading:
            values = linearise(lambda m: float(weights @ (m[:4] / m[4:])), parts)
            return Reading(values[index], split=split, label=label, null=null, reason=reason + high)

        readings = [
            make_reading(
                f"stay after {cell}",
                np.eye(4)[i],
                0.5,
                f"{other_shares[i]:.3f} where a last trial, which has no next, {treatment}",
            )
            for i, cell in enumerate(CELLS)
        ]
        readings += [make_reading(label, np.asarray(signs) / 4) for label, signs in COEFFICIENTS.items()]
        readings += [make_reading(label, np.asarray(signs, float)) for label, signs in INDICES.items()]
        return readings

    question = "After which outcomes of a two-step trial does it repeat its first choice?"
    return make_metric(question, measure, end=end)


def _count_stays(trials, end: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Counts stays and trials by cell [units, 4]; also returns each lifetime's unit [N] and a note on rewards."""
    _, first, paid, common, complete = read_steps(trials)
    index = index_units(trials)
    levels = np.unique(paid[complete])
    middle = float(np.median(levels)) if len(levels) else 0.0
    following = _find_next_choice(first)
    is_counted = complete & ((following >= 0) if end == "out" else True)
    stay, rewarded = is_counted & (following == first), paid > middle
    cells = [rewarded & (common == 1), rewarded & (common == 0), ~rewarded & (common == 1), ~rewarded & (common == 0)]

    def total(mask: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(index, (mask & c).sum(-1)) for c in cells], -1)

    high = f"; rewarded is a pay-off above {middle:g}" if len(levels) > 2 else ""
    return total(stay), total(is_counted), index, high


def _find_next_choice(first: np.ndarray) -> np.ndarray:
    """The next first choice [N, T], skipping missed trials; -1 if there is none."""
    length = first.shape[1]
    place = np.where(first >= 0, np.arange(length), length)
    next_place = np.minimum.accumulate(place[:, ::-1], -1)[:, ::-1]
    next_place = np.concatenate([next_place[:, 1:], np.full((len(first), 1), length)], -1)
    padded = np.concatenate([first, np.full((len(first), 1), -1, first.dtype)], -1)
    return np.take_along_axis(padded, next_place, -1)
