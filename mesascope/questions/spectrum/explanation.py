"""Explains a placement in words, with the bars that each level had to pass."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mesascope.questions.spectrum.ladder import LADDER, Rule
from mesascope.questions.spectrum.locating import BankTest
from mesascope.questions.spectrum.reach import describe_flags

WORDS = {
    "inert": "neither its percept nor its carry was seen to change {change:.0%} of its choices",
    "reactive": "it answers its present percept; its carry was not seen to change {change:.0%} of its choices",
    "tracking": "its carry changes what it does; that trials more than {window} back make its acts worth {bar:.0%} "
    "more was not shown",
    "locating": "trials more than {window} back tell its acts about the task, as picking one of its training tasks "
    "would",
    "acquiring": "trials more than {window} back tell its acts about tasks that it never saw",
}
OPEN_WORDS = {
    "inert": "whether its percept or its carry changes {change:.0%} of its choices is open",
    "reactive": "it answers its percept; whether its carry adds to that is open",
    "tracking": "its carry changes what it does; whether trials more than {window} back make its acts worth {bar:.0%} "
    "more is open",
    "locating": "trials more than {window} back tell its acts about the task; whether more than picking one of its "
    "training tasks explains that is open",
}
WITHOUT_BANK = "it had no bank of tasks to locate them in; inference with the family as a prior explains this"


def explain(
    lowest: int,
    highest: int,
    numbers: Mapping[str, Any],
    bars: Any,
    bank_test: BankTest,
    *,
    flags: Mapping[str, str],
    trained_on: str,
    direction: str,
    rule: Rule,
) -> str:
    """The reason for a placement, and what would settle it if it is open.

    Args:
        lowest: the index of the lowest rung.
        highest: the index of the highest rung.
        numbers: the numbers that the rule used.
        bars: which bars were passed.
        bank_test: whether picking among training tasks explains it.
        flags: 'far' and 'flexible'.
        trained_on: what the subject was trained on.
        direction: 'for', 'against', 'other' or 'none'.
        rule: the constants of the rule.
    """
    settled, level = lowest == highest, LADDER[lowest]
    parts = [describe_level(level, rule, numbers["window"], not settled and lowest < 4)]
    if lowest >= 2:
        parts.append(describe_carried(numbers))
    if direction == "other":
        shown = (
            f"{numbers['bits_shown']:.2f} ± {numbers['bits_shown_error']:.2f} bits, more than {numbers['bits_bar']:.2f}"
        )
        parts = ["its acts show the task without going for its pay-off: another goal", shown]
    elif not bars.is_passed:
        parts.append(_describe_failed_bar(bars))
    if numbers["gave_up"]:
        parts.append("all this in the first half of a lifetime: in the last half it gives up")
    if lowest == 4 and direction != "other":
        parts.append(WITHOUT_BANK if trained_on == "unlimited" else _describe_bank(numbers, bank_test, trained_on))
        parts.append(describe_flags(numbers, flags) if "retention" in numbers else "")
    if lowest >= 3 and direction != "other":
        parts.append(describe_last_trials(numbers))
    if "strict_bits" in numbers and lowest >= 2:
        low = numbers["strict_bits"] - 1.96 * numbers["strict_bits_error"]
        if low > 0:
            parts.append(
                f"its acts hold {numbers['strict_bits']:.1f} bits of the task (strict): whoever merely locates "
                f"would have to hold 2^{low:.1f} tasks"
            )
    text = "; ".join(p for p in parts if p)
    return f"{text}." if settled else f"{text}. Open: {_describe_open_end(lowest, highest, numbers, bank_test, rule)}."


def describe_level(level: str, rule: Rule | None = None, window: int | None = None, still_open: bool = False) -> str:
    """A level in words, with the bars that it had to pass."""
    rule = rule or Rule()
    bars = {"change": rule.smallest_change, "bar": rule.smallest_benefit, "window": window or rule.older_than}
    return (OPEN_WORDS if still_open else WORDS)[level].format(**bars)


def describe_carried(numbers: Mapping[str, Any]) -> str:
    """Deletion and transplant, with standard errors."""
    lost, shown = (f"{numbers[k]:.2f} ± {numbers[f'{k}_error']:.2f}" for k in ("deletion", "transplant"))
    return f"its next act loses {lost} without them (deletion) and shows {shown} of another life's task (transplant)"


def describe_last_trials(numbers: Mapping[str, Any]) -> str:
    """The gain with the last trials alone, beside the whole gain; '' if that was not measured."""
    alone = numbers.get("gain_by_last_trials", {}).get(str(numbers["window"]))
    if alone is None:
        return ""
    return f"with its last {numbers['window']} trials alone it gains {alone:.2f} instead of {numbers['gain_fresh']:.2f}"


def _describe_failed_bar(bars: Any) -> str:
    """What one of the two disturbances shows if the other does not; '' if both pass their bars or neither does."""
    if bars.is_informed and not bars.is_needed:
        return "it holds older trials and goes by them, but its next act would be worth as much without them"
    if bars.is_needed and not bars.is_informed:
        return "what its acts follow was not seen to be the task: it may be a clock, a phase or a check of its own past"
    return ""


def _describe_bank(numbers: Mapping[str, Any], bank_test: BankTest, trained_on: str) -> str:
    """The evidence that picking among training tasks is not enough."""
    if "position" in numbers and bank_test.position is not None:
        place = f"{numbers['position']:.2f}"
        return f"between the ideal locator of its bank (0) and a learner (1) it stands at {place}, by its label"
    if trained_on == "unknown":
        return "it gains on tasks that no bank of training tasks could hold"
    return "its acts show more than one of its training tasks could tell"


def _describe_open_end(lowest: int, highest: int, numbers: Mapping[str, Any], bank_test: BankTest, rule: Rule) -> str:
    """What would settle an open placement."""
    n = numbers["lifetimes"]
    if lowest < 3:
        size, error = abs(numbers["benefit"]), numbers["benefit_error"]
        smaller = f"the smaller of the two is {size:.3f} ± {error:.3f} against {rule.smallest_benefit}"
        if highest > 3 and size + 2 * error < rule.smallest_benefit and "life" in numbers:
            lost = f"{numbers['life']:.2f} ± {numbers['life_error']:.2f}"
            forgetful = f"a life that forgets older trials loses {lost}"
            return f"{smaller}, but {forgetful}: they may act through its own last acts"
        return f"{smaller}: {describe_needed(size - rule.smallest_benefit, error, n, rule.errors)}"
    if bank_test.obstacle:
        return f"at least locating, because {bank_test.obstacle}"
    if "position" in numbers:
        place, error = numbers["position"], numbers["position_error"]
        needed = describe_needed(place - rule.cut, error, n)
        return f"the position between locator and learner is {place:.2f} ± {error:.2f}: {needed}"
    return "a share of resamples lies near its bar: more lifetimes"


def describe_needed(distance: float, error: float, n: int, errors: float = 1.645) -> str:
    """How many lifetimes would separate a number from its bar, in words; no number if it lies near the bar."""
    if not np.isfinite(error) or abs(distance) < 2 * error:
        return "it lies near its bar, so more lifetimes may not settle it"
    return f"about {int(np.ceil(n * (errors * error / distance) ** 2 / 64) * 64):,} lifetimes"
