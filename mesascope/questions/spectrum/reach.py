"""Decides two flags: whether older trials also inform actions on other distributions of tasks, and after changes.

The retention on a split is the transplant as a share of the best reference's transplant there, divided by the same
share on fresh tasks. 'far' needs a retention of at least `Rule.min_retention` on every split with another distribution
or structure of tasks, 'flexible' on every split whose task changes within the lifetime. Neither implies the other.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, TrialsBySplit
from mesascope.questions.spectrum.carried import find_counted_trials, measure_transplant
from mesascope.questions.spectrum.ladder import Rule
from mesascope.stats import compute_standard_error, draw_bootstrap_counts
from mesascope.trials import find_reflex_window

SPLIT_KINDS = ("shifted", "exchanged", "restructured")
FIRST_RESTART_TRIAL = (
    5  # from this trial to half-way, a fresh lifetime represents a learner that restarts at the change
)


class FlagDecisions(NamedTuple):
    """The flags, and the retention on each split that decides them.

    Attributes:
        flags: the answer for 'far' and for 'flexible'. It is 'yes' if nearly all resamples have enough retention on
            every split that the flag needs, 'no' if nearly none have on one of these splits, 'not run' without such a
            split, and otherwise 'open'.
        retention: by split, the retention.
        standard_error: by split, the standard error of the retention.
    """

    flags: dict[str, str]
    retention: dict[str, float]
    standard_error: dict[str, float]


def decide_flags(
    trials: TrialsBySplit, references: Mapping[str, TrialsBySplit], is_against: bool, rule: Rule
) -> FlagDecisions:
    """Decides the flags of a subject.

    Args:
        trials: by split, the subject's trials.
        references: by role and split, the references' trials; references that go against the pay-off have 'against'
            in their role.
        is_against: whether the subject goes against the pay-off.
        rule: the constants of the rule.
    """
    sign, suffix = (-1.0, " against") if is_against else (1.0, "")
    roles = {role: references.get(role + suffix, {}) for role in ("learner", "discounting")}
    own, learner = (_measure_signed_transplant(t.get("fresh"), rule, sign) for t in (trials, roles["learner"]))
    retention, error, shares_by_flag = {}, {}, {"far": [], "flexible": []}
    if own is None or learner is None or not _is_clearly_positive(own) or not _is_clearly_positive(learner):
        return FlagDecisions(dict.fromkeys(shares_by_flag, "not run"), {}, {})
    base = _resample_mean(own, rule, 0) / _resample_mean(learner, rule, 1)
    for split, split_trials in trials.items():
        if split.partition(":")[0] not in SPLIT_KINDS or not split_trials.attrs.get("counted", True):
            continue
        changed = _measure_signed_transplant(split_trials, rule, sign)
        candidates = [_measure_signed_transplant(t.get(split), rule, sign) for t in roles.values()]
        if split_trials.attrs.get("changes") is not None:
            candidates.append(_measure_signed_transplant(roles["learner"].get("fresh"), rule, sign, is_restarted=True))
        best = max((c for c in candidates if c is not None and _is_clearly_positive(c)), key=np.mean, default=None)
        if changed is None or best is None:
            continue  # no reference clearly shows the donor's task there
        seed = 2 + 2 * sorted(trials).index(split)
        kept = _resample_mean(changed, rule, seed) / _resample_mean(best, rule, seed + 1) / base
        retention[split] = float(changed.mean() / best.mean() / (own.mean() / learner.mean()))
        error[split] = float(np.std(kept))
        shares_by_flag["flexible" if split_trials.attrs.get("changing") else "far"].append(
            (kept >= rule.min_retention).mean()
        )
    return FlagDecisions(
        {flag: _decide_flag(shares, rule) for flag, shares in shares_by_flag.items()}, retention, error
    )


def _decide_flag(shares: list[float], rule: Rule) -> str:
    """Decides the answer for a flag, from each split's share of resamples in which the retention is large enough."""
    if not shares:
        return "not run"
    least = min(shares)
    return "yes" if least >= rule.resample_share else "no" if least <= 1 - rule.resample_share else "open"


def _measure_signed_transplant(
    trials: xr.Dataset | None, rule: Rule, sign: float, is_restarted: bool = False
) -> np.ndarray | None:
    """Measures the transplant for each donor [U], times `sign`; None if it was not run.

    With `is_restarted`, only early trials count, as for a learner that restarts at a change (see
    `FIRST_RESTART_TRIAL`).
    """
    if trials is None:
        return None
    window = find_reflex_window(trials.sizes["trial"], rule.older_than)
    mask = find_counted_trials(trials, window)
    if is_restarted:
        mask = np.zeros_like(mask)
        mask[:, FIRST_RESTART_TRIAL : trials.sizes["trial"] // 2] = True
    try:
        return sign * measure_transplant(trials, mask, window, replicates=1)
    except DoesNotApply:
        return None


def _is_clearly_positive(values: np.ndarray) -> bool:
    """Whether a reference's transplant can be a divisor: it must be more than two standard errors above 0."""
    return bool(values.mean() > 2 * compute_standard_error(values))


def _resample_mean(values: np.ndarray, rule: Rule, seed: int) -> np.ndarray:
    """Resamples donors, and returns the mean of their values in each resample [resamples]."""
    return draw_bootstrap_counts(len(values), rule.resamples, rule.seed + 100 + seed) @ values / len(values)


def describe_flags(numbers: Mapping[str, Any], flags: Mapping[str, str]) -> str:
    """Describes the flags in words, with the splits that decide them; '' if no flag was tested."""
    answers = [f"{flag}: {answer}" for flag, answer in flags.items() if answer != "not run"]
    errors = numbers["retention_error"]
    kept = [f"{split} {value:.2f} ± {errors[split]:.2f}" for split, value in numbers["retention"].items()]
    return f"{', '.join(answers)} (kept on {', '.join(kept)})" if answers else ""
