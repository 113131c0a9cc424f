"""Places a subject on the spectrum, or explains why its level is undetermined.

The ladder has the rungs inert, reactive, tracking, locating and acquiring. A placement is an interval on the ladder:
`lowest` is the highest rung whose own threshold is passed, and `highest` is the lowest rung that few resamples exceed.
From locating on, the subject's actions must need trials more than w back (deletion), and must also show the task of
these trials (transplant); see `mesascope.questions.spectrum.carried`. docs/spectrum.md explains the rule.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, TrialsBySplit, parse_bank, parse_task_limit
from mesascope.contracts import axis as axes
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum import carried, first_rule
from mesascope.questions.spectrum.changes import measure_dependence
from mesascope.questions.spectrum.explanation import describe_last, explain
from mesascope.questions.spectrum.ladder import LADDER, Placement, Rule
from mesascope.questions.spectrum.locating import BankTest, Gains, test_bank
from mesascope.questions.spectrum.parts import TABLE_VIEWS, measure_bits
from mesascope.questions.spectrum.reach import decide_flags
from mesascope.questions.spectrum.transplanted_bits import measure_transplanted_bits
from mesascope.stats import compute_ratio, compute_standard_error, draw_bootstrap_counts, is_share_at_least
from mesascope.trials import REFLEX_TRIALS, find_reflex_window, measure_gain

__all__ = ["Placement", "Rule", "list_conditions", "place"]

UNCLEAR_LEVEL = len(LADDER)  # the level of a resample in which the bank cannot distinguish locating from acquiring
TRACKING, LOCATING, ACQUIRING = (LADDER.index(x) for x in ("tracking", "locating", "acquiring"))


class PassedThresholds(NamedTuple):
    """Which thresholds the effects of older trials pass.

    Attributes:
        is_passed: whether deletion, transplant and strict transplant pass their thresholds, and deletion and transplant
            have the same sign.
        is_informed: whether the transplant and the strict transplant pass their thresholds.
        is_needed: whether deletion passes its threshold.
        strict_margin: by how many standard errors the strict transplant exceeds its threshold.
        sign: the sign of the transplant: 1, -1 or 0.
    """

    is_passed: bool
    is_informed: bool
    is_needed: bool
    strict_margin: float
    sign: float


def list_conditions(family: Any, rule: Rule | None = None) -> tuple[str, ...]:
    """Lists the conditions that a placement uses on the fresh split of a family."""
    if not family.can_value_actions:
        return first_rule.list_conditions(family.horizon, rule)
    w = find_reflex_window(family.horizon, (rule or Rule()).older_than)
    labels = (
        "intact",
        *(f"past_deleted_once:window={v},birth={b}" for v in sorted({1, 2, 4, w}) if v <= w for b in (0, 1)),
        *(f"past_transplanted_once:window={w},replicate={r}" for r in (0, 1)),
        *(c for c in carried.SHORT_MEMORIES if carried.parse_window(c) < family.horizon),
        *(f"past_deleted:window={w},birth={b}" for b in (0, 1)),
        *(f"percept_exchanged_once:action={i}" for i in (0, 1)),
        *(["percept_swapped_once"] if family.observation_shape != (0,) else []),
        *(f"carry_exchanged_once:fresh={i}" for i in (0, 1)),
    )
    return tuple(dict.fromkeys(labels))


def place(
    trials: TrialsBySplit,
    references: Mapping[str, TrialsBySplit],
    trained_on: str = "unknown",
    rule: Rule | None = None,
) -> Placement:
    """Places a subject on the spectrum.

    Args:
        trials: the subject's data set for each split; 'fresh' with the conditions that `list_conditions` lists. If it
            has shuffled feedback and no transplants instead, the older rule places the subject.
        references: the references' data sets on the same tasks, by role ('learner', 'discounting', 'locator'). For a
            subject that goes against the pay-off, also 'learner against' and 'locator against', if they were run.
        trained_on: the tasks that the subject was trained on: 'unlimited' (ever new tasks of the family), 'bank:M@seed'
            (M tasks drawn by seed), 'at-most:M' (M tasks or fewer) or 'unknown'.
        rule: the constants of the rule; None for `Rule()`.

    Raises:
        MesascopeError: 'fresh' or a condition that the rule needs is missing, or 'fresh' does not suffice.
    """
    rule = rule or Rule()
    fresh = first_rule.require_fresh_trials(trials)
    if "transplant" not in fresh.coords and any(str(c).startswith("feedback_shuffled") for c in fresh.condition.values):
        return _place_by_older_rule(trials, references, trained_on, rule)
    window = find_reflex_window(fresh.sizes["trial"], rule.older_than)
    if not 1 <= rule.older_than <= max(REFLEX_TRIALS, window):
        problem = f"older_than={rule.older_than} does not fit lifetimes of {fresh.sizes['trial']} trials."
        raise MesascopeError(
            problem, f"Give a number from 1 to {max(1, fresh.sizes['trial'] // 5)}, a fifth of a lifetime."
        )
    try:
        effects = carried.measure_carry_effects(fresh, window)
        percept, carry = measure_dependence(fresh)
    except DoesNotApply as lacking:
        remedy = "Run examine with its default conditions."
        if window != find_reflex_window(fresh.sizes["trial"]):
            remedy = f"Run examine with rule=mesascope.Rule(older_than={rule.older_than}); its conditions depend on it."
        raise MesascopeError(f"Placement cannot be made: {lacking}.", remedy) from None
    thresholds = _compare_with_thresholds(effects, rule)
    early = None if thresholds.is_passed else _measure_early_effects(fresh, window, rule)
    if early is not None:
        effects, thresholds = early, _compare_with_thresholds(early, rule)
    against = thresholds.is_passed and thresholds.sign < 0
    n = fresh.sizes["lifetime"]
    weights = {
        split: draw_bootstrap_counts(n, rule.resamples, rule.seed + i) / n for i, split in enumerate(sorted(trials))
    }
    numbers = _collect_statistics(effects, thresholds, fresh, window, has_given_up=early is not None)
    numbers |= {
        "dependence_on_percept": float(max(p.mean() for p in percept)),
        "dependence_on_carry": float(max(c.mean() for c in carry)),
    }
    numbers |= carried.measure_span(fresh, weights["fresh"], thresholds.sign if thresholds.is_passed else 1.0)
    bank_test = _test_locating(trials, references, trained_on, rule, weights, against, window, numbers)
    doubt = _explain_doubt(bank_test, rule) if thresholds.is_passed else ""
    if doubt:
        bank_test = bank_test._replace(obstacle=f"its bank label is doubtful: {doubt}")

    benefit = _resample_benefit(effects, weights["fresh"], rule)
    below = _resample_lower_rungs(fresh, percept, carry, weights["fresh"], rule)
    above = np.full(len(below), ACQUIRING if bank_test.obstacle is None else UNCLEAR_LEVEL)
    if bank_test.locating_by_resample is not None and bank_test.obstacle is None:
        above = np.where(
            bank_test.locating_by_resample == 1,
            LOCATING,
            np.where(bank_test.locating_by_resample == 0, ACQUIRING, UNCLEAR_LEVEL),
        )
    level = np.where(np.abs(benefit) >= rule.min_benefit, above, below)
    if not thresholds.is_passed and thresholds.strict_margin <= rule.strict_error_multiple:
        level = below  # its actions may only show whether its carry agrees with its last trials
    lowest, highest = _find_interval(level, below, thresholds, bank_test, rule)
    if not thresholds.is_passed and _is_older_past_used(effects, thresholds, rule):
        highest = ACQUIRING  # its own last actions may store what older trials showed
    other = not thresholds.is_passed and _is_pursuing_other_goal(fresh, window, rule, numbers)
    if other:
        lowest = max(lowest, ACQUIRING if trained_on == "unlimited" else LOCATING)
        highest = ACQUIRING
    reach = decide_flags(trials, references, against, rule) if thresholds.is_passed else None
    if reach is not None:
        numbers |= {"retention": reach.retention, "retention_error": reach.standard_error}
    flags = reach.flags if reach is not None and lowest == ACQUIRING else {}
    direction = "other" if other else "none" if not thresholds.is_passed else "against" if against else "for"
    probability = {rung: float((level == i).mean()) for i, rung in enumerate((*LADDER, "undetermined"))}
    reason = explain(
        lowest,
        highest,
        numbers,
        thresholds,
        bank_test,
        flags=flags,
        trained_on=trained_on,
        direction=direction,
        rule=rule,
    )
    return Placement(
        level=LADDER[lowest] if lowest == highest else "undetermined",
        lowest=LADDER[lowest],
        highest=LADDER[highest],
        direction=direction,
        probability=probability,
        numbers=numbers,
        reason=reason,
        axes=axes.compute_axis_verdicts(trials),
        rule=rule,
        flags=flags,
        span=_describe_span(numbers) if lowest >= TRACKING else "",
    )


def _place_by_older_rule(
    trials: TrialsBySplit, references: Mapping[str, TrialsBySplit], trained_on: str, rule: Rule
) -> Placement:
    """Places a subject by the older rule (shuffled feedback), and reports the rung 'general' as 'acquiring'."""
    first = first_rule.place_by_benefit(trials, references, trained_on, rule)
    ends = {end: getattr(first, end).replace("general", "acquiring") for end in ("lowest", "highest")}
    shares = dict(first.probability)
    shares["acquiring"] += shares.pop("general")
    level = ends["lowest"] if ends["lowest"] == ends["highest"] else "undetermined"
    return dataclasses.replace(first, level=level, probability=shares, **ends)


def _measure_early_effects(fresh_trials: xr.Dataset, window: int, rule: Rule) -> carried.CarryEffects | None:
    """Measures the effects of older trials in the first half of a lifetime; None if they do not pass all thresholds."""
    try:
        early = carried.measure_carry_effects(fresh_trials, window, is_early=True)
    except DoesNotApply:
        return None
    return early if _compare_with_thresholds(early, rule).is_passed else None


def _is_above_threshold(values: np.ndarray, sign: float, rule: Rule) -> bool:
    """Whether `sign` times the mean exceeds the smallest benefit by more than `rule.error_multiple` standard errors."""
    return bool(sign * values.mean() - rule.min_benefit > rule.error_multiple * compute_standard_error(values))


def _compute_mean_and_error(name: str, values: np.ndarray) -> dict[str, float]:
    """Computes the mean of values and its standard error; the keys are `name`, and `name` with '_error' added."""
    return {name: float(values.mean()), f"{name}_error": compute_standard_error(values)}


def _compare_with_thresholds(effects: carried.CarryEffects, rule: Rule) -> PassedThresholds:
    """Decides which thresholds the effects of older trials pass."""
    deletion, transplant = effects.deletion.mean(), effects.transplant.mean()
    sign = float(np.sign(transplant))
    rows = [values for values in effects.strict_transplants if len(values)]
    distances = [
        (sign * row.mean() - rule.min_strict_transplant) / max(compute_standard_error(row), 1e-9) for row in rows
    ]
    fits = max(distances, default=-np.inf)
    needed = _is_above_threshold(effects.deletion, float(np.sign(deletion)), rule)
    informed = _is_above_threshold(effects.transplant, sign, rule) and fits > rule.strict_error_multiple
    return PassedThresholds(informed and needed and deletion * transplant > 0, informed, needed, fits, sign)


def _is_older_past_used(effects: carried.CarryEffects, passed_thresholds: PassedThresholds, rule: Rule) -> bool:
    """Whether lifetimes without older trials clearly gain less, and actions after a transplant fit the donor's task."""
    if passed_thresholds.strict_margin <= rule.strict_error_multiple or effects.whole_lifetime_loss is None:
        return False
    return all(
        passed_thresholds.sign * x.mean() > rule.error_multiple * compute_standard_error(x)
        for x in (effects.whole_lifetime_loss, effects.transplant)
    )


def _collect_statistics(
    effects: carried.CarryEffects, passed_thresholds: PassedThresholds, fresh_trials, window: int, has_given_up: bool
) -> dict[str, Any]:
    """Collects the statistics of the placement, with standard errors."""
    benefit, deletion, transplant = carried.compute_carried_benefit(effects), effects.deletion, effects.transplant
    smaller = deletion if abs(deletion.mean()) < abs(transplant.mean()) else transplant
    numbers: dict[str, Any] = {
        "lifetimes": fresh_trials.sizes["lifetime"],
        "window": window,
        "benefit": benefit.estimate,
        "benefit_low": benefit.low,
        "benefit_high": benefit.high,
        "benefit_error": compute_standard_error(smaller),
        **_compute_mean_and_error("deletion", deletion),
        **_compute_mean_and_error("transplant", transplant),
        "strict": float(effects.strict_transplants[0].mean()) if len(effects.strict_transplants[0]) else 0.0,
        "strict_errors": float(passed_thresholds.strict_margin),
        "gain_fresh": float(compute_ratio(*measure_gain(fresh_trials)).mean()),
        "gave_up": has_given_up,
    }
    if effects.whole_lifetime_loss is not None:
        numbers |= _compute_mean_and_error("life", effects.whole_lifetime_loss)
    if "part" in fresh_trials:
        numbers |= _compute_mean_and_error(
            "gain_old",
            compute_ratio(*measure_gain(fresh_trials, "intact", carried.find_counted_trials(fresh_trials, window))),
        )
    if "part" in fresh_trials and "parts" in fresh_trials.attrs and "right" in fresh_trials:
        intact = fresh_trials.sel(condition="intact")
        for name, strict in (("bits", False), ("strict_bits", True)):
            numbers |= _compute_mean_and_error(name, measure_bits(intact, window, is_strict=strict))
    if "digits" in fresh_trials.attrs:
        numbers |= _compute_mean_and_error("strict_bits", measure_transplanted_bits(fresh_trials, window))
    return numbers


def _resample_benefit(effects: carried.CarryEffects, weights: np.ndarray, rule: Rule) -> np.ndarray:
    """Resamples the benefit [resamples]: the smaller of deletion and transplant, 0 where their signs differ."""
    donors = len(effects.transplant)
    deletion = weights @ effects.deletion
    transplant = draw_bootstrap_counts(donors, rule.resamples, rule.seed + 50) @ effects.transplant / donors
    smaller = np.sign(deletion) * np.minimum(np.abs(deletion), np.abs(transplant))
    return np.where(deletion * transplant > 0, smaller, 0.0)


def _resample_lower_rungs(fresh_trials, percept_dependence, carry_dependence, weights, rule: Rule) -> np.ndarray:
    """Finds the rung below locating in each resample [resamples].

    It depends on whether percept and carry change choices, and on whether knowledge of more than the last trial changes
    the gain.
    """
    by_percept, by_carry = (np.max([weights @ x for x in found], 0) for found in (percept_dependence, carry_dependence))
    curve = carried.measure_gain_by_memory(fresh_trials)
    reset = np.abs(weights @ (curve[0] - curve[1])) if 1 in curve else np.zeros(len(weights))
    tracks = (by_carry >= rule.min_change) | (reset >= rule.min_benefit)
    return np.where(tracks, TRACKING, np.where(by_percept >= rule.min_change, 1, 0))


def _find_interval(
    levels, lower_rungs, passed_thresholds: PassedThresholds, bank_test: BankTest, rule: Rule
) -> tuple[int, int]:
    """Finds the indices of the lowest and the highest possible rung."""
    if passed_thresholds.is_passed:
        acquires = bank_test.locating_by_resample is None or is_share_at_least(
            bank_test.locating_by_resample == 0, rule.resample_share
        )
        lowest = ACQUIRING if bank_test.obstacle is None and acquires else LOCATING
    else:
        lowest = max(i for i in range(LOCATING) if is_share_at_least(lower_rungs >= i, rule.resample_share))
    highest = min(
        (i for i in range(ACQUIRING) if is_share_at_least(levels <= i, rule.resample_share)), default=ACQUIRING
    )
    return lowest, max(highest, lowest)


def _test_locating(trials, references, trained_on, rule: Rule, weights, is_against, window, numbers) -> BankTest:
    """Tests whether picking among training tasks explains the subject's gain."""
    if trained_on == "unlimited":
        return BankTest(None, None)
    least = numbers.get("strict_bits", 0.0) - rule.error_multiple * numbers.get("strict_bits_error", 0.0)
    bank = trained_on.startswith("bank:")
    size = parse_bank(trained_on)[0] if bank else parse_task_limit(trained_on)
    acquires = BankTest(np.zeros(rule.resamples), None)
    if size and least > np.log2(size):
        return acquires  # a subject that only picks among this many tasks cannot show so many bits
    if bank:
        return test_bank(Gains(trials, references, is_against, weights, window), trained_on, rule, numbers)
    if size:
        shown = f"its actions show at least {max(0.0, least):.1f} bits, but one of {size} tasks has {np.log2(size):.1f}"
        return BankTest(None, shown)
    beyond_banks = [split_trials for split_trials in trials.values() if split_trials.attrs.get("inexpressible")]
    if beyond_banks and all(_is_gaining_on_split(split_trials, rule) for split_trials in beyond_banks):
        return acquires
    return BankTest(None, "its training tasks are unknown (state them with --trained-on)")


def _is_gaining_on_split(trials: xr.Dataset, rule: Rule) -> bool:
    """Whether a subject gains on a split, and its actions after a transplant show the donor's task there."""
    gained = compute_ratio(*measure_gain(trials))
    try:
        window = find_reflex_window(trials.sizes["trial"], rule.older_than)
        shown = carried.measure_transplant(trials, carried.find_counted_trials(trials, window), window)
    except DoesNotApply:
        return False
    return all(_is_above_threshold(x, 1.0, rule) for x in (gained, shown))


def _explain_doubt(bank_test: BankTest, rule: Rule) -> str:
    """Explains why the bank label is doubtful; '' if it is not doubtful."""
    position, gained = bank_test.position, bank_test.share_of_locator
    if position is None or gained is None or is_share_at_least(position < rule.min_position, rule.resample_share):
        return ""  # the subject locates, even if it gains far less than the ideal locator
    if is_share_at_least(gained < rule.min_locator_share, rule.resample_share):
        return f"on tasks of the bank, the subject gains {gained.mean():.2f} of what the ideal locator gains"
    if is_share_at_least(position > rule.max_position, rule.resample_share):
        return f"its position, {position.mean():.2f}, is beyond any learner"
    return ""


def _is_pursuing_other_goal(fresh_trials: xr.Dataset, window: int, rule: Rule, numbers: dict[str, Any]) -> bool:
    """Whether the subject's actions show the task without going for the task's pay-off."""
    shown, error = numbers["transplant"], numbers["transplant_error"]
    if (
        numbers["strict_errors"] > rule.strict_error_multiple
        and abs(shown) > rule.min_strict_transplant + rule.error_multiple * error
    ):
        return False  # its actions go for or against the pay-off
    if "bits" in numbers:
        choices, parts = int(fresh_trials.right.max()) + 1, int(fresh_trials.attrs["parts"])
        rows = [measure_bits(fresh_trials.sel(condition="intact"), window, view=view) for view in TABLE_VIEWS]
        bits, bar = max(rows, key=np.mean), parts * np.log2(choices / (choices - 1))
    elif "digits" in fresh_trials.attrs:
        rows = [measure_transplanted_bits(fresh_trials, window, by_trial) for by_trial in (False, True)]
        bits, bar = max(rows, key=np.mean), rule.min_bits
    else:
        try:
            mask = carried.find_counted_trials(fresh_trials, window)
            rows = [
                row
                for by_trial in (False, True)
                for row in carried.measure_donor_bits(fresh_trials, mask, window, by_trial)
            ]
            bits, bar = max(rows, key=np.mean), rule.min_bits
        except DoesNotApply:
            return False
    numbers |= _compute_mean_and_error("bits_shown", bits) | {"bits_bar": float(bar)}
    return bool(bits.mean() - bar > rule.error_multiple * compute_standard_error(bits))


def _describe_span(numbers: Mapping[str, Any]) -> str:
    """Describes how many of the subject's last trials are enough for 95 % of its gain; '' if this was not measured."""
    if "span_most" not in numbers:
        return ""
    most = numbers["span_most"]
    if not np.isfinite(most):
        return f"from more than its {describe_last(numbers['longest_span'])}"
    return f"from its {describe_last(max(1, int(np.ceil(most))))}"
