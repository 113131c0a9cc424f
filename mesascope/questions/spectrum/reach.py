"""How far a subject reaches: whether older trials inform its acts as much on other tasks, and on tasks that change.

Retention on a split compares what acts show of a donor's task (the transplant) with the best reference there, relative
to the same comparison on fresh tasks. 'far' needs at least the share `Rule.hold` on every split of another distribution
or structure, 'flexible' on every split whose task changes within the lifetime. Neither implies the other.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, Splits
from mesascope.questions.spectrum.carried import find_counted_trials, measure_transplant
from mesascope.questions.spectrum.ladder import Rule
from mesascope.stats import compute_standard_error, draw_bootstrap_counts
from mesascope.trials import find_reflex_window

SPLIT_KINDS = ("shifted", "exchanged", "restructured")
FIRST_TRIAL = 5  # from this trial to half-way, a fresh lifetime stands for a learner that restarts at a change


class Reach(NamedTuple):
    """The flags, and the numbers of each split from which they follow.

    Attributes:
        flags: 'far' and 'flexible': 'yes', 'no', 'open' or 'not run'.
        retention: by split, the retention.
        error: by split, its standard error.
    """

    flags: dict[str, str]
    retention: dict[str, float]
    error: dict[str, float]


def decide_flags(trials: Splits, references: Mapping[str, Splits], against: bool, rule: Rule) -> Reach:
    """Reads the flags of a subject.

    Args:
        trials: by split, the subject's trials.
        references: by role and split, the references' trials; with 'against' in the role for those that go against
            the pay-off.
        against: whether the subject goes against the pay-off.
        rule: the constants of the rule.
    """
    sign, suffix = (-1.0, " against") if against else (1.0, "")
    roles = {role: references.get(role + suffix, {}) for role in ("learner", "discounting")}
    own, learner = (_read_transplant(t.get("fresh"), rule, sign) for t in (trials, roles["learner"]))
    retention, error, shares_by_flag = {}, {}, {"far": [], "flexible": []}
    if own is None or learner is None or not _is_clear(own) or not _is_clear(learner):
        return Reach(dict.fromkeys(shares_by_flag, "not run"), {}, {})
    base = _resample_mean(own, rule, 0) / _resample_mean(learner, rule, 1)
    for split, split_trials in trials.items():
        if split.partition(":")[0] not in SPLIT_KINDS or not split_trials.attrs.get("counted", True):
            continue
        changed = _read_transplant(split_trials, rule, sign)
        candidates = [_read_transplant(t.get(split), rule, sign) for t in roles.values()]
        if split_trials.attrs.get("changes") is not None:
            candidates.append(_read_transplant(roles["learner"].get("fresh"), rule, sign, restarted=True))
        best = max((c for c in candidates if c is not None and _is_clear(c)), key=np.mean, default=None)
        if changed is None or best is None:
            continue  # no reference shows anything of its task there
        seed = 2 + 2 * sorted(trials).index(split)
        kept = _resample_mean(changed, rule, seed) / _resample_mean(best, rule, seed + 1) / base
        retention[split] = float(changed.mean() / best.mean() / (own.mean() / learner.mean()))
        error[split] = float(np.std(kept))
        shares_by_flag["flexible" if split_trials.attrs.get("changing") else "far"].append((kept >= rule.hold).mean())
    return Reach({flag: _decide_flag(shares, rule) for flag, shares in shares_by_flag.items()}, retention, error)


def _decide_flag(shares: list[float], rule: Rule) -> str:
    """A flag, from the share of resamples in which the retention holds, on every split."""
    if not shares:
        return "not run"
    least = min(shares)
    return "yes" if least >= rule.share else "no" if least <= 1 - rule.share else "open"


def _read_transplant(trials: xr.Dataset | None, rule: Rule, sign: float, restarted: bool = False) -> np.ndarray | None:
    """[U] The transplant in the subject's direction, per donor; None if it was not run."""
    if trials is None:
        return None
    window = find_reflex_window(trials.sizes["trial"], rule.older_than)
    mask = find_counted_trials(trials, window)
    if restarted:
        mask = np.zeros_like(mask)
        mask[:, FIRST_TRIAL : trials.sizes["trial"] // 2] = True
    try:
        return sign * measure_transplant(trials, mask, window, replicates=1)
    except DoesNotApply:
        return None


def _is_clear(values: np.ndarray) -> bool:
    """Whether a reference's transplant can be a divisor: it must be more than two standard errors above 0."""
    return bool(values.mean() > 2 * compute_standard_error(values))


def _resample_mean(values: np.ndarray, rule: Rule, seed: int) -> np.ndarray:
    """[resamples] The mean over resampled donors."""
    return draw_bootstrap_counts(len(values), rule.resamples, rule.seed + 100 + seed) @ values / len(values)


def describe_flags(numbers: Mapping[str, Any], flags: Mapping[str, str]) -> str:
    """The flags in words, with the splits that decide them; '' if nothing was run."""
    answers = [f"{flag}: {answer}" for flag, answer in flags.items() if answer != "not run"]
    errors = numbers["retention_error"]
    kept = [f"{split} {value:.2f} ± {errors[split]:.2f}" for split, value in numbers["retention"].items()]
    return f"{', '.join(answers)} (kept on {', '.join(kept)})" if answers else ""
