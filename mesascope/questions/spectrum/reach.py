"""How far it reaches: whether acts are told as much about other tasks, and about tasks that change within a lifetime.

Retention on a split compares what acts show of a donor's task (the transplant) with the best reference there, relative
to the same comparison on fresh tasks. 'far' needs at least the share `Rule.hold` on every split of another distribution
or structure, 'flexible' on every split whose task changes within the lifetime. Neither implies the other.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Splits
from mesascope.questions.spectrum.carried import counted, transplanted
from mesascope.questions.spectrum.ladder import Rule
from mesascope.stats import resampling, standard_error
from mesascope.trials import reflex_window

KINDS = ("shifted", "exchanged", "restructured")
FIRST = 5  # the trials of a fresh lifetime that stand for a learner restarted at a change: from this one to half-way


class Reach(NamedTuple):
    """The flags, and the numbers by split behind them.

    Attributes:
        flags: 'far' and 'flexible': 'yes', 'no', 'open' or 'not run'.
        retention: by split, the retention.
        error: by split, its standard error.
    """

    flags: dict[str, str]
    retention: dict[str, float]
    error: dict[str, float]


def read_reach(trials: Splits, references: Mapping[str, Splits], against: bool, rule: Rule) -> Reach:
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
    own, learner = (_read(t.get("fresh"), rule, sign) for t in (trials, roles["learner"]))
    retention, error, shares_by_flag = {}, {}, {"far": [], "flexible": []}
    if own is None or learner is None or not _is_clear(own) or not _is_clear(learner):
        return Reach(dict.fromkeys(shares_by_flag, "not run"), {}, {})
    base = _draw(own, rule, 0) / _draw(learner, rule, 1)
    for split, here in trials.items():
        if split.partition(":")[0] not in KINDS or not here.attrs.get("counted", True):
            continue
        mine = _read(here, rule, sign)
        candidates = [_read(t.get(split), rule, sign) for t in roles.values()]
        if here.attrs.get("changes") is not None:
            candidates.append(_read(roles["learner"].get("fresh"), rule, sign, restarted=True))
        found = [c for c in candidates if c is not None and _is_clear(c)]
        if mine is None or not found:
            continue  # no reference shows anything of its task there
        best = max(found, key=np.mean)
        seed = 2 + 2 * sorted(trials).index(split)
        kept = _draw(mine, rule, seed) / _draw(best, rule, seed + 1) / base
        retention[split] = float(mine.mean() / best.mean() / (own.mean() / learner.mean()))
        error[split] = float(np.std(kept))
        shares_by_flag["flexible" if here.attrs.get("changing") else "far"].append((kept >= rule.hold).mean())
    flags = {}
    for flag, shares in shares_by_flag.items():
        least = min(shares, default=None)
        flags[flag] = "not run" if least is None else "open"
        if least is not None and not 1 - rule.share < least < rule.share:
            flags[flag] = "yes" if least >= rule.share else "no"
    return Reach(flags, retention, error)


def _read(trials: xr.Dataset | None, rule: Rule, sign: float, restarted: bool = False) -> np.ndarray | None:
    """[U] The transplant in the subject's direction, per donor; None if it was not run."""
    if trials is None:
        return None
    window = reflex_window(trials.sizes["trial"], rule.older_than)
    mask = counted(trials, window)
    if restarted:
        mask = np.zeros_like(mask)
        mask[:, FIRST : trials.sizes["trial"] // 2] = True
    try:
        return sign * transplanted(trials, mask, window, replicates=1)
    except DoesNotApply:
        return None


def _is_clear(values: np.ndarray) -> bool:
    """Whether a transplant is more than two standard errors above 0."""
    return bool(values.mean() > 2 * standard_error(values))


def _draw(values: np.ndarray, rule: Rule, seed: int) -> np.ndarray:
    """[resamples] The mean over resampled donors."""
    return resampling(len(values), rule.resamples, rule.seed + 100 + seed) @ values / len(values)


def describe(numbers: Mapping[str, Any], flags: Mapping[str, str]) -> str:
    """The flags in words, with the splits that decide them; '' if nothing was run."""
    parts = []
    for flag, answer in flags.items():
        if answer != "not run":
            parts.append(f"{flag}: {answer}")
    kept = ", ".join(
        f"{split} {value:.2f} ± {numbers['retention_error'][split]:.2f}"
        for split, value in numbers["retention"].items()
    )
    return f"{', '.join(parts)} (kept on {kept})" if parts else ""
