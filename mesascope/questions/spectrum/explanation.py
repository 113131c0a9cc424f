"""Explains a placement in words, with the thresholds that each level had to pass."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mesascope.questions.spectrum.ladder import LADDER, Rule
from mesascope.questions.spectrum.locating import BankTest
from mesascope.questions.spectrum.reach import describe_flags

LEVEL_DESCRIPTIONS = {
    "inert": "neither its percept nor its carry was seen to change {change:.0%} of its choices",
    "reactive": "its last percept changes its choices; its carry was not seen to change {change:.0%} of them",
    "tracking": "its carry changes its choices; it was not shown that trials more than {window} back make its actions "
    "worth {bar:.0%} more",
    "locating": "its actions use information about the task from trials more than {window} back, as picking one of its "
    "training tasks would",
    "acquiring": "its actions use information from trials more than {window} back about tasks that it never saw",
}
OPEN_LEVEL_DESCRIPTIONS = {
    "inert": "it is open whether its percept or its carry changes {change:.0%} of its choices",
    "reactive": "its last percept changes its choices; it is open whether its carry does too",
    "tracking": "its carry changes its choices; it is open whether trials more than {window} back make its actions "
    "worth {bar:.0%} more",
    "locating": "its actions use information about the task from trials more than {window} back; it is open whether "
    "picking one of its training tasks explains this",
}
NO_BANK_DESCRIPTION = (
    "it had no bank of tasks to locate them in, and inference with the family as a prior explains this"
)


def explain(
    lowest: int,
    highest: int,
    numbers: Mapping[str, Any],
    passed_thresholds: Any,
    bank_test: BankTest,
    *,
    flags: Mapping[str, str],
    trained_on: str,
    direction: str,
    rule: Rule,
) -> str:
    """Explains a placement in words; if it is undetermined, says what would settle it.

    Args:
        lowest: the index of the lowest possible rung in LADDER.
        highest: the index of the highest possible rung in LADDER.
        numbers: the statistics that the rule used, by name.
        passed_thresholds: which thresholds deletion and transplant passed.
        bank_test: the test of whether picking among training tasks explains the gain.
        flags: for 'far' and 'flexible', 'yes', 'no', 'open' or 'not run'; empty below acquiring.
        trained_on: the bank label, as in `place`.
        direction: 'for' or 'against' the pay-off, 'other' for another goal, 'none' if no direction was shown.
        rule: the constants of the rule.
    """
    settled, level = lowest == highest, LADDER[lowest]
    parts = [describe_level(level, rule, numbers["window"], not settled and lowest < 4)]
    if lowest >= 2:
        parts.append(describe_carry_effects(numbers))
    if direction == "other":
        shown = (
            f"{numbers['bits_shown']:.2f} ± {numbers['bits_shown_error']:.2f} bits, more than {numbers['bits_bar']:.2f}"
        )
        parts = ["its actions show the task without going for its pay-off, so it pursues another goal", shown]
    elif not passed_thresholds.is_passed:
        parts.append(_describe_failed_threshold(passed_thresholds))
    if numbers["gave_up"]:
        parts.append("all this holds for the first half of a lifetime; in the last half it gives up")
    if lowest == 4 and direction != "other":
        parts.append(
            NO_BANK_DESCRIPTION if trained_on == "unlimited" else _describe_bank(numbers, bank_test, trained_on)
        )
        parts.append(describe_flags(numbers, flags) if "retention" in numbers else "")
    if lowest >= 3 and direction != "other":
        parts.append(describe_last_trials(numbers))
    if "strict_bits" in numbers and lowest >= 2:
        low = numbers["strict_bits"] - 1.96 * numbers["strict_bits_error"]
        if low > 0:
            parts.append(
                f"its actions contain {numbers['strict_bits']:.1f} bits about the task (strict): a subject that only "
                f"locates tasks would need a bank of 2^{low:.1f}"
            )
    text = "; ".join(p for p in parts if p)
    return f"{text}." if settled else f"{text}. Open: {_describe_remedy(lowest, highest, numbers, bank_test, rule)}."


def describe_level(level: str, rule: Rule | None = None, window: int | None = None, is_open: bool = False) -> str:
    """Describes a level in words, with the thresholds that it had to pass; with `is_open`, says what is still open."""
    rule = rule or Rule()
    bars = {"change": rule.min_change, "bar": rule.min_benefit, "window": window or rule.older_than}
    return (OPEN_LEVEL_DESCRIPTIONS if is_open else LEVEL_DESCRIPTIONS)[level].format(**bars)


def describe_carry_effects(numbers: Mapping[str, Any]) -> str:
    """Describes deletion and transplant, with standard errors."""
    lost, shown = (f"{numbers[k]:.2f} ± {numbers[f'{k}_error']:.2f}" for k in ("deletion", "transplant"))
    return (
        f"its next action loses {lost} without these trials (deletion) and shows {shown} of another lifetime's task "
        "(transplant)"
    )


def describe_last_trials(numbers: Mapping[str, Any]) -> str:
    """Describes the gain with the last trials alone, beside the intact gain; '' if this was not measured."""
    alone = numbers.get("gain_by_last_trials", {}).get(str(numbers["window"]))
    if alone is None:
        return ""
    last = describe_last(numbers["window"])
    return f"with its {last} alone it gains {alone:.2f} instead of {numbers['gain_fresh']:.2f}"


def describe_last(count: int) -> str:
    """Describes the last trials in words: 'last trial', 'last 4 trials'."""
    return "last trial" if count == 1 else f"last {count} trials"


def _describe_failed_threshold(passed_thresholds: Any) -> str:
    """Describes what it means that only one disturbance passes its threshold; '' if both do, or neither does."""
    if passed_thresholds.is_informed and not passed_thresholds.is_needed:
        return "its actions depend on older trials, but its next action would be worth as much without them"
    if passed_thresholds.is_needed and not passed_thresholds.is_informed:
        return "its actions were not seen to follow the task: they may follow a clock, a phase or a check of its memory"
    return ""


def _describe_bank(numbers: Mapping[str, Any], bank_test: BankTest, trained_on: str) -> str:
    """Describes the evidence that picking among training tasks does not explain the gain."""
    if "position" in numbers and bank_test.position is not None:
        place = f"{numbers['position']:.2f}"
        return f"if its bank label is right, it stands at {place} between the ideal locator (0) and a learner (1)"
    if trained_on == "unknown":
        return "it gains on tasks that no bank of training tasks could contain"
    return "its actions contain more bits than the choice of one of its training tasks"


def _describe_remedy(lowest: int, highest: int, numbers: Mapping[str, Any], bank_test: BankTest, rule: Rule) -> str:
    """Describes what would settle an undetermined placement."""
    n = numbers["lifetimes"]
    if lowest < 3:
        size, error = abs(numbers["benefit"]), numbers["benefit_error"]
        smaller = f"the carried benefit is {size:.3f} ± {error:.3f} against {rule.min_benefit}"
        if highest > 3 and size + 2 * error < rule.min_benefit and "life" in numbers:
            lost = f"{numbers['life']:.2f} ± {numbers['life_error']:.2f}"
            forgetful = f"a whole lifetime without older trials loses {lost}"
            return f"{smaller}, but {forgetful}: its last actions may carry information from older trials"
        return f"{smaller}: {describe_needed_lifetimes(size - rule.min_benefit, error, n, rule.error_multiple)}"
    if bank_test.obstacle:
        return f"at least locating, because {bank_test.obstacle}"
    if "position" in numbers:
        place, error = numbers["position"], numbers["position_error"]
        needed = describe_needed_lifetimes(place - rule.min_position, error, n)
        return f"the position between locator and learner is {place:.2f} ± {error:.2f}: {needed}"
    return "a share of resamples lies near its threshold: run more lifetimes"


def describe_needed_lifetimes(distance: float, error: float, n: int, error_multiple: float = 1.645) -> str:
    """Describes how many lifetimes would separate a number from its threshold, or says that the two are too close."""
    if not np.isfinite(error) or abs(distance) < 2 * error:
        return "this lies near its threshold, so more lifetimes may not settle it"
    return f"about {int(np.ceil(n * (error_multiple * error / distance) ** 2 / 64) * 64):,} lifetimes"
