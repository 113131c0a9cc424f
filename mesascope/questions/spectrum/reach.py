"""Decides two flags: whether older trials also inform actions on other distributions of tasks, and after changes.

The retention on a split is the transplant as a share of the best reference's transplant there, divided by the same
share on fresh tasks. 'far' needs a retention of at least `Rule.min_retention` on every split with another distribution
or structure of tasks, 'flexible' on every split whose task changes within the lifetime. Neither implies the other.
"""

import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, TrialsBySplit
from mesascope.questions.spectrum.carried import find_counted_trials, measure_transplant
from mesascope.questions.spectrum.ladder import Rule
from mesascope.stats import compute_standard_error, draw_bootstrap_counts, is_share_at_least
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
            split or without clear transplants of subject and learner on fresh tasks, and otherwise 'open'.
        retention: by split, the transplant as a share of the best reference's, divided by the same share on fresh
            tasks.
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
        references: by role and split, the references' trials; the roles of references that go against the pay-off end
            in 'against'.
        is_against: whether the subject goes against the pay-off.
        rule: the constants of the rule.
    """
    sign, suffix = (-1.0, " against") if is_against else (1.0, "")
    roles = {role: references.get(role + suffix, {}) for role in ("learner", "discounting")}
    own, learner = (_measure_signed_transplant(t.get("fresh"), rule, sign) for t in (trials, roles["learner"]))
    retention, error, enough_by_flag = {}, {}, {"far": [], "flexible": []}
    if own is None or learner is None or not _is_clearly_positive(own) or not _is_clearly_positive(learner):
        return FlagDecisions(dict.fromkeys(enough_by_flag, "not run"), {}, {})
    base = _resample_mean(own, rule, "fresh") / _resample_mean(learner, rule, "fresh")
    for split, split_trials in trials.items():
        if split.partition(":")[0] not in SPLIT_KINDS or not split_trials.attrs.get("counted", True):
            continue
        changed = _measure_signed_transplant(split_trials, rule, sign)
        candidates = [(_measure_signed_transplant(t.get(split), rule, sign), split) for t in roles.values()]
        if split_trials.attrs.get("changes") is not None:
            restarted = _measure_signed_transplant(roles["learner"].get("fresh"), rule, sign, is_restarted=True)
            candidates.append((restarted, "fresh"))
        clear = [
            (values, of_split) for values, of_split in candidates if values is not None and _is_clearly_positive(values)
        ]
        if changed is None or not clear:
            continue  # no reference clearly shows the donor's task there
        best, split_of_best = max(clear, key=lambda candidate: candidate[0].mean())
        kept = _resample_mean(changed, rule, split) / _resample_mean(best, rule, split_of_best) / base
        retention[split] = float(changed.mean() / best.mean() / (own.mean() / learner.mean()))
        error[split] = float(np.std(kept) * np.sqrt(len(changed) / (len(changed) - 1)))
        enough_by_flag["flexible" if split_trials.attrs.get("changing") else "far"].append(kept >= rule.min_retention)
    return FlagDecisions(
        {flag: _decide_flag(is_enough, rule) for flag, is_enough in enough_by_flag.items()}, retention, error
    )


def _decide_flag(is_enough: list[np.ndarray], rule: Rule) -> str:
    """Decides the answer for a flag, from whether the retention is large enough, by split and resample [resamples]."""
    if not is_enough:
        return "not run"
    if all(is_share_at_least(split_is_enough, rule.resample_share) for split_is_enough in is_enough):
        return "yes"
    is_lacking = any(is_share_at_least(~split_is_enough, rule.resample_share) for split_is_enough in is_enough)
    return "no" if is_lacking else "open"


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
    """Whether a transplant can be a divisor: its mean must be more than two standard errors above 0."""
    return bool(values.mean() > 2 * compute_standard_error(values))


def _resample_mean(values: np.ndarray, rule: Rule, split: str) -> np.ndarray:
    """Resamples donors, and returns the mean of their values in each resample [resamples].

    The donors of a subject and of the references have the same tasks on the same split, so they are resampled together.
    """
    counts = draw_bootstrap_counts(len(values), rule.resamples, rule.seed + 100 + zlib.crc32(split.encode()))
    return counts @ values / len(values)


def describe_flags(numbers: Mapping[str, Any], flags: Mapping[str, str]) -> str:
    """Describes the flags in words, with the splits that decide them; '' if no flag was tested."""
    answers = [f"{flag}: {answer}" for flag, answer in flags.items() if answer != "not run"]
    errors = numbers["retention_error"]
    kept = [f"{split} {value:.2f} ± {errors[split]:.2f}" for split, value in numbers["retention"].items()]
    return f"{', '.join(answers)} (kept on {', '.join(kept)})" if answers else ""
