"""Is the subject's output a function of the counts: do histories with equal counts give equal outputs?

In stationary tasks, the wins and losses of each choice are a sufficient statistic. The metric replays each history and
reorders the trials before a given trial, except the last of these. It compares the subject's output with and without
reordering, in total variation. For comparison, it also reorders the choices alone, which changes the counts.
"""

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, Metric, Reading, make_metric, pad_readings, select_fresh_trials
from mesascope.questions.procedures.histories import check_lifetimes, select_first_lifetimes
from mesascope.stats import compute_ratio

HORIZON_SHARES = (0.25, 0.5, 0.95)  # outputs are compared on the trials at these shares of the horizon


def metric(lifetimes: int = 64) -> Metric:
    """Does the subject's output stay the same when its history is reordered and the counts stay the same?

    Args:
        lifetimes: the largest number of lifetimes to use.
    """
    check_lifetimes(lifetimes, minimum=3)

    def measure(trials, references, replay):
        rollout, history = select_first_lifetimes(select_fresh_trials(trials), lifetimes)
        if getattr(replay, "subject", None) is None:
            raise DoesNotApply("only its trials are known; replaying other histories needs the subject itself")
        if "log_probs" not in rollout:
            raise DoesNotApply("it gives no probabilities, and choices drawn from equal probabilities differ")
        if rollout.sizes.get("shown", 0) or not history.is_present.all():
            raise DoesNotApply("histories with observations or gaps cannot be reordered")
        if history.trial_count < 5:
            raise DoesNotApply(f"a lifetime has {history.trial_count} trials, but reordering needs 5")
        compared_trials = sorted(
            {t for t in (int(share * (history.trial_count - 1)) for share in HORIZON_SHARES) if t >= 3}
        )
        rng = np.random.default_rng(int(rollout.attrs.get("seed") or 0))
        equal_counts, changed_counts = [], []
        for t in compared_trials:
            order = np.argsort(rng.random((len(history.action), t - 1)), -1)
            original = np.tile(np.arange(history.trial_count), (len(order), 1))
            reordered = np.concatenate([order, original[:, t - 1 :]], -1)
            equal_counts.append(_measure_change(replay, rollout, reordered, reordered, t))
            changed_counts.append(_measure_change(replay, rollout, reordered, original, t))
        parts, split = np.stack([np.mean(equal_counts, 0), np.mean(changed_counts, 0)]), str(rollout.attrs["split"])
        reason = f"before trials {', '.join(str(t + 1) for t in compared_trials)}"
        labels = ("counts equal", "counts changed")
        readings = [Reading(change, split, label, reason=reason) for change, label in zip(parts, labels, strict=True)]
        if parts[1].mean() > 0:
            readings.append(Reading(compute_ratio(*parts), split, "the first as a part of the second"))
        return pad_readings(readings, select_fresh_trials(trials))

    question = "How much (total variation) does the output change when the history is reordered and the counts stay?"
    return make_metric(question, measure, {"learner": "any", "lookalike": "any", "still": "0"}, lifetimes=lifetimes)


def _measure_change(replay, trials: xr.Dataset, action_order, feedback_order, t: int) -> np.ndarray:
    """Measures the total variation [N] on trial t between the recorded output and that after a reordered history."""
    replayed = trials.copy()
    for name, order in (("action", action_order), ("feedback", feedback_order)):
        values = trials[name].values
        replayed[name] = (trials[name].dims, np.take_along_axis(values, order[None], -1))
    changed_probs = np.exp(np.asarray(replay("itself", replayed).log_probs, float))[:, t]
    recorded_probs = np.exp(trials.log_probs.sel(condition="intact").values.astype(float))[:, t]
    return 0.5 * np.abs(changed_probs - recorded_probs).sum(-1)
