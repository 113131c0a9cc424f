"""The older placement rule (shuffled feedback), for studies that were committed with it.

It is also the rule for families that cannot value single actions. The benefit is the loss of gain when feedback older
than a few trials comes from other lifetimes. This loss can be harm instead: false feedback may make a subject choose
worse, because no real lifetime could contain it. `mesascope.questions.spectrum.placement` has the present rule.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, TrialsBySplit, sum_gains
from mesascope.contracts import axis as axes
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum import explanation
from mesascope.questions.spectrum.changes import measure_dependence
from mesascope.questions.spectrum.inexpressible import decide_acquiring_beyond_banks
from mesascope.questions.spectrum.ladder import OLDER_LADDER, Placement, Rule
from mesascope.questions.spectrum.locating import Gains, test_bank
from mesascope.stats import compute_ratio, compute_standard_error, draw_bootstrap_counts
from mesascope.trials import find_reflex_window, measure_gain

UNCLEAR_LEVEL = len(
    OLDER_LADDER
)  # the level of a resample in which the bank cannot distinguish locating from acquiring
REPLICATES = 4  # runs with shuffled feedback; with one run, the standard error would be nearly twice as large
SPLIT_KINDS = ("shifted", "exchanged", "restructured")
LEVEL_DESCRIPTIONS = explanation.LEVEL_DESCRIPTIONS | {
    "tracking": "its carry changes its choices; it was not shown that feedback older than a few trials changes its "
    "score by {bar:.0%} of the possible gain",
    "locating": "older feedback changes its score, and picking among its training tasks explains this",
    "acquiring": "relative to the reference, it acquires fresh tasks of the family as well as tasks of its bank",
    "general": "it also acquires tasks of changed splits: on at least one split of every kind, it keeps half of its "
    "efficiency on fresh tasks",
}
NO_BANK_DESCRIPTION = "it acquires fresh tasks of the family, and it had no bank of tasks to locate them in"
BEYOND_BANKS_DESCRIPTION = "it acquires tasks that no bank of training tasks could contain"
OPEN_LEVEL_DESCRIPTIONS = explanation.OPEN_LEVEL_DESCRIPTIONS | {
    "tracking": "its carry changes its choices; it is open whether feedback older than a few trials changes its score",
    "locating": "older feedback changes its score; it is open whether picking among its training tasks explains this",
}


def list_conditions(horizon: int, rule: Rule | None = None) -> tuple[str, ...]:
    """Lists the conditions that the older rule needs on the fresh split, for lifetimes of `horizon` trials."""
    older = find_reflex_window(horizon, (rule or Rule()).older_than)
    return (
        "intact",
        *(f"feedback_shuffled:older_than={older},replicate={r}" for r in range(REPLICATES)),
        *(f"percept_exchanged_once:action={i}" for i in (0, 1)),
        *(f"carry_exchanged_once:fresh={i}" for i in (0, 1)),
    )


def place_by_benefit(
    trials: TrialsBySplit,
    references: Mapping[str, TrialsBySplit],
    trained_on: str = "unknown",
    rule: Rule | None = None,
) -> Placement:
    """Places a subject on the spectrum by the older rule.

    Args:
        trials: the subject's data set for each split; 'fresh' needs the conditions that `list_conditions` names.
        references: the references' data sets on the same tasks, by role ('learner', 'discounting', 'locator'). For a
            subject that goes against the pay-off, also 'learner against' and 'locator against', if they were run.
        trained_on: the tasks that the subject was trained on: 'unlimited' (ever new tasks of the family), 'bank:M@seed'
            (M tasks drawn by seed) or 'unknown'.
        rule: the constants of the rule; None for `Rule()`.

    Raises:
        MesascopeError: the fresh split or one of its conditions is missing, it has fewer than three lifetimes, or
            nothing can be gained on it.
    """
    rule = rule or Rule()
    fresh = require_fresh_trials(trials)
    n = fresh.sizes["lifetime"]
    weights = {
        split: draw_bootstrap_counts(n, rule.resamples, rule.seed + i) / n for i, split in enumerate(sorted(trials))
    }
    try:
        older = find_reflex_window(fresh.sizes["trial"], rule.older_than)
        values = compute_ratio(*measure_gain(fresh)) - compute_ratio(
            *sum_gains(fresh, f"feedback_shuffled:older_than={older}")
        )
        percept, carry = measure_dependence(fresh)
    except DoesNotApply as lacking:
        remedy = "Run examine with its default conditions."
        raise MesascopeError(f"Placement cannot be made: {lacking}.", remedy) from None
    benefit, error = float(values.mean()), compute_standard_error(values)
    resampled = weights["fresh"] @ values
    against = benefit < 0
    by_percept = np.max([weights["fresh"] @ p for p in percept], 0)
    by_carry = np.max([weights["fresh"] @ c for c in carry], 0)
    below = np.where(by_carry >= rule.min_change, 2, np.where(by_percept >= rule.min_change, 1, 0))
    passed = abs(benefit) - rule.min_benefit > rule.error_multiple * error
    numbers: dict[str, Any] = {
        "benefit": benefit,
        "benefit_error": error,
        "dependence_on_percept": float(max(p.mean() for p in percept)),
        "dependence_on_carry": float(max(c.mean() for c in carry)),
        "gain_fresh": float(compute_ratio(*measure_gain(fresh)).mean()),
        "lifetimes": n,
    }
    split_gains = Gains(trials, references, against and passed, weights)
    locating = obstacle = None
    if trained_on == "unknown":
        locating, obstacle, by_split = decide_acquiring_beyond_banks(trials, weights, split_gains.is_against, rule)
        numbers |= {"inexpressible": by_split} if by_split else {}
    elif trained_on != "unlimited":
        locating, obstacle, *_ = test_bank(split_gains, trained_on, rule, numbers)
    retained, missing = _test_retention(split_gains, rule, numbers)
    reach = np.where(retained, 5, 4)
    if locating is None:
        above = reach if obstacle is None else np.full(len(reach), UNCLEAR_LEVEL)
    else:
        above = np.where(locating == 1, 3, np.where(locating == 0, reach, UNCLEAR_LEVEL))
    level = np.where(np.abs(resampled) >= rule.min_benefit, above, below)
    probability = {rung: float((level == i).mean()) for i, rung in enumerate((*OLDER_LADDER, "undetermined"))}
    if passed:
        lowest = 3
        if obstacle is None and (locating is None or (locating == 0).mean() >= rule.resample_share):
            lowest = 5 if not missing and (level == 5).mean() >= rule.resample_share else 4
    else:
        lowest = max(i for i in range(3) if (np.minimum(below, 2) >= i).mean() >= rule.resample_share)
    highest = min((i for i in range(5) if (level > i).mean() <= 1 - rule.resample_share + 1e-9), default=5)
    if passed and obstacle is not None:  # the bank is unknown or not informative, so higher rungs remain possible
        highest = 4 if retained.mean() <= 1 - rule.resample_share else 5
    if passed and missing and highest >= 4:
        highest = 5
    highest = max(highest, lowest)
    unlimited = locating is None and obstacle is None
    reason = _explain(lowest, highest, numbers, obstacle, missing, rule=rule, is_unlimited=unlimited)
    return Placement(
        level=OLDER_LADDER[lowest] if lowest == highest else "undetermined",
        lowest=OLDER_LADDER[lowest],
        highest=OLDER_LADDER[highest],
        direction=("against" if against else "for") if passed else "none",
        probability=probability,
        numbers=numbers,
        reason=reason,
        axes=axes.compute_axis_verdicts(trials),
        rule=rule,
    )


def require_fresh_trials(trials: TrialsBySplit) -> xr.Dataset:
    """Returns the trials on fresh tasks, after checking that they suffice for a placement.

    Raises:
        MesascopeError: there are no or too few lifetimes on fresh tasks, or nothing can be gained on these tasks.
    """
    fresh = trials.get("fresh")
    if fresh is None:
        splits = ", ".join(trials)
        raise MesascopeError(f"Placement needs the fresh split; there are {splits}.", "Add 'fresh' to --splits.")
    n = fresh.sizes["lifetime"]
    if n < 3:
        raise MesascopeError(f"{n} lifetimes are too few to resample.", "Give --lifetimes 64 or more.")
    if measure_gain(fresh)[1].sum() <= 0:
        problem = "On the fresh split, the best action pays no more than chance."
        raise MesascopeError(problem, "Take a family in which some actions pay more than others.")
    return fresh


def _test_retention(split_gains: Gains, rule: Rule, numbers: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """Tests in each resample whether the subject retains its gain on a split of every changed kind [resamples].

    The second result lists the kinds without a split on which both the subject and a reference with a gain were run.
    """
    learner = split_gains.find_gain("learner", "fresh")
    numbers["retention"], numbers["held"] = {}, []
    retained = np.ones(rule.resamples, bool)
    if learner is None:
        return retained, list(SPLIT_KINDS)
    own = split_gains.find_gain(None, "fresh")
    assert own is not None
    numbers["efficiency"] = float(own.mean() / learner.mean())
    efficiency = (split_gains.weights["fresh"] @ own) / (split_gains.weights["fresh"] @ learner)
    if own.mean() <= 2 * compute_standard_error(own) or not (efficiency > 0).any():
        return ~retained, []  # nothing is gained on fresh tasks, so there is nothing to keep
    efficiency = np.where(efficiency > 0, efficiency, np.nan)
    missing = []
    for kind in SPLIT_KINDS:
        splits = split_gains.list_splits(kind)
        if not splits:
            missing.append(kind)
            continue
        shares_by_split = []
        for split in splits:
            changed, best = split_gains.find_gain(None, split), split_gains.find_best_gain(split)
            assert changed is not None and best is not None
            numbers["retention"][split] = float(changed.mean() / best.mean() / numbers["efficiency"])
            weights = split_gains.weights[split]
            shares_by_split.append((weights @ changed) / (weights @ best) / efficiency)
        strongest = shares_by_split[int(np.argmax([np.nanmean(shares) for shares in shares_by_split]))]
        holds = strongest >= rule.min_retention
        numbers.setdefault("retention_error", {})[kind] = float(np.nanstd(strongest))
        if holds.mean() >= rule.resample_share:
            numbers["held"].append(kind)
        retained &= holds
    return retained, missing


def _describe_needed_lifetimes(
    distance: float, error: float, n: int, fallback: str, error_multiple: float = 1.645
) -> str:
    """Describes how many lifetimes would separate a number from its threshold.

    The result is `fallback` if the number is less than .001 from the threshold, or if `error` is 0 or infinite.
    """
    if abs(distance) < 1e-3 or not 0 < error < np.inf:
        return fallback
    return f"about {int(np.ceil(n * (error_multiple * error / distance) ** 2 / 64) * 64)} lifetimes"


def _explain(lowest, highest, numbers, obstacle, missing_kinds, *, rule, is_unlimited) -> str:
    """Explains the placement in words, and what would settle it if it is undetermined."""
    n, settled = numbers["lifetimes"], lowest == highest
    fresh = (
        NO_BANK_DESCRIPTION
        if is_unlimited
        else LEVEL_DESCRIPTIONS["acquiring"]
        if "position" in numbers
        else BEYOND_BANKS_DESCRIPTION
    )
    fresh = [fresh, LEVEL_DESCRIPTIONS["general"]][: lowest - 3]
    bars = {"change": rule.min_change, "bar": rule.min_benefit}
    parts = (
        fresh
        if lowest >= 4
        else [(LEVEL_DESCRIPTIONS if settled else OPEN_LEVEL_DESCRIPTIONS)[OLDER_LADDER[lowest]].format(**bars)]
    )
    if lowest >= 3 and is_unlimited:
        parts.append("inference with the family as a prior explains this")
    if highest >= 4 and len(missing_kinds) < len(SPLIT_KINDS):
        parts.append(f"kinds of changed split on which it keeps its gain: {', '.join(numbers['held']) or 'none'}")
    if settled:
        return "; ".join(parts) + "."
    open_ends = []
    if lowest < 3:
        size, error = abs(numbers["benefit"]), numbers["benefit_error"]
        distance, never = size - rule.min_benefit, "no number of lifetimes suffices at its threshold"
        needed = _describe_needed_lifetimes(distance, error, n, never, rule.error_multiple if distance > 0 else 1.645)
        open_ends.append(
            f"the benefit of older feedback is {size:.3f} ± {error:.3f} against {rule.min_benefit}: {needed}"
        )
    if lowest == 3 and obstacle:
        open_ends.append(f"at least locating, because {obstacle}")
    elif lowest == 3 and "position" in numbers:
        place, error = numbers["position"], numbers["position_error"]
        needed = _describe_needed_lifetimes(place - rule.min_position, error, n, "a smaller bank")
        open_ends.append(f"the position between locator and learner is {place:.2f} ± {error:.2f}: {needed}")
    if highest == 5 and missing_kinds and "efficiency" in numbers:
        open_ends.append(f"no split of kind {', '.join(missing_kinds)} was run: add it to the splits")
    elif highest == 5 and missing_kinds:
        lack = "the family has no reference learner to compare with on changed splits"
        open_ends.append(f"{lack}: add a learner to its references")
    for kind in SPLIT_KINDS if highest == 5 else ():
        shares = {split: share for split, share in numbers["retention"].items() if split.partition(":")[0] == kind}
        if shares and kind not in numbers["held"]:
            split = max(shares, key=lambda split: shares[split])
            needed = _describe_needed_lifetimes(
                shares[split] - rule.min_retention, numbers["retention_error"][kind], n, ""
            )
            needed = f"{needed} on this split would settle it" if needed else "this lies at the threshold"
            open_ends.append(f"the {split} split keeps {shares[split]:.2f}: {needed}")
    open_ends = open_ends or ["a share of resamples lies near its threshold: run more lifetimes"]
    return f"{'; '.join(parts)}. Open: {'; '.join(open_ends)}."
