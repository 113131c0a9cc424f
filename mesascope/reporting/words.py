"""Puts values into words for the reports: names of conditions and splits, numbers, and short sentences."""

import math
import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from mesascope.findings import Finding
from mesascope.reporting.headlines import find_measured_finding, pick_headlines
from mesascope.reporting.hints import Examination

COUNTED_SPLIT_KINDS = ("seen", "fresh", "shifted", "exchanged", "restructured")  # the kinds that a placement uses
INVISIBLE_CATEGORIES = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")  # Unicode categories of invisible characters


def make_visible(text: object) -> str:
    """Turns any text into one line of visible characters; control and other invisible characters become �."""
    spaced = str(text).replace("\r\n", " ").replace("\n", " ").replace("\t", " ")
    return "".join("\ufffd" if unicodedata.category(c) in INVISIBLE_CATEGORIES else c for c in spaced)


def shorten(text: object, max_length: int) -> str:
    """Turns any text into one line of at most `max_length` visible characters; longer lines lose their middle."""
    line = make_visible(text)
    if len(line) <= max_length:
        return line
    tail = max_length // 3
    return f"{line[: max_length - tail - 1]}…{line[len(line) - tail :]}"


WORDS = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))


def describe_condition(condition: str) -> str:
    """Describes a condition in words; returns its label if there are no words for it."""
    name, _, rest = condition.partition(":")
    settings = {k: v for k, equals, v in (pair.partition("=") for pair in rest.split(",")) if equals}
    if condition in WORDS["one_step_conditions"]:
        return f"one response at a time: {WORDS['one_step_conditions'][condition]}"
    if name == "feedback_shuffled" and "older_than" in settings:
        older = settings["older_than"]
        feedback = "all feedback" if older == "0" else f"feedback older than {older} trial{'s' * (older != '1')}"
        return f"{feedback} from other lifetimes"
    if name.startswith("past_") and "window" in settings:
        return _describe_past(name, settings)
    if settings.get("trial") and name in WORDS["conditions_at_a_trial"]:
        return WORDS["conditions_at_a_trial"][name].format(settings["trial"])
    if name == "percept_masked" and rest:
        return f"percept masked: {rest}"
    return WORDS["conditions"].get(name, condition)


def _describe_past(name: str, settings: Mapping[str, str]) -> str:
    """Describes a condition that deletes or replaces the trials before the last few."""
    last = f"the last {settings['window']} trial{'s' * (settings['window'] != '1')}"
    first = "" if settings.get("birth", "1") == "1" else ", no percept marked as first"
    if name == "past_transplanted_once":
        return f"one response at a time: another lifetime's carry before {last}"
    return f"{'' if name == 'past_deleted' else 'one response at a time: '}only {last}{first}"


def describe_split(split: str) -> str:
    """Describes a split in words."""
    kind, _, variant = split.partition(":")
    return WORDS["splits"].get(kind) or (f"{kind}: {variant}" if variant else kind)


def is_counted_split(split: str) -> bool:
    """Whether a placement uses the split; splits that no placement uses are only reported."""
    return split.partition(":")[0] in COUNTED_SPLIT_KINDS and split != "exchanged:random"


def format_number(value: float | None) -> str:
    """Formats a number with two decimals, without a sign if it rounds to zero; returns a dash for None or NaN."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:.2f}"
    return text.lstrip("-") if float(text) == 0 else text


def format_interval(low: float | None, high: float | None) -> str:
    """Formats an interval with two decimals; returns '' if there is no interval."""
    has_interval = low is not None and high is not None and not math.isnan(low)
    return f"[{format_number(low)}, {format_number(high)}]" if has_interval else ""


def format_finding(finding: Finding | None) -> str:
    """Formats a finding's estimate and interval, or its status if it was not measured; returns a dash for None."""
    if finding is None:
        return "–"
    if finding.status != "measured":
        return finding.status
    return f"{format_number(finding.estimate)} {format_interval(finding.low, finding.high)}".rstrip()


def describe_findings(examination: Examination) -> list[str]:
    """Describes the measured findings of one subject in short sentences."""
    sentences = []
    if gain := find_measured_finding(examination, "performance", "fresh"):
        sentences.append(
            f"On fresh tasks it gained {format_number(gain.estimate)} of what the best action would gain over chance"
            f"{'; chance alone can explain this' if _contains_null(gain) else ''}."
        )
    if rise := find_measured_finding(examination, "adaptation"):
        quantity = "realised pay-off" if rise.reason == "realised pay-off" else "gain"
        change = f"{'rose' if (rise.estimate or 0) > 0 else 'fell'} by {format_number(abs(rise.estimate or 0))}"
        change = "changed no more than chance explains" if _contains_null(rise) else change
        sentences.append(f"From the first tenth of a lifetime to its last quarter its {quantity} {change}.")
    headlines = pick_headlines(examination)
    deletion, transplant = headlines["deletion"], headlines["transplant"]
    reset = find_measured_finding(examination, "cost_of_reset: every trial", "fresh")
    if gain and deletion:
        change = _describe_change(gain, deletion)
        sentences.append(f"For single actions after deletion of all but the last few trials, the gain {change}.")
    if transplant:
        sentences.append(
            f"With the carry of another lifetime, its actions were worth {format_finding(transplant)} "
            "of the best action on "
            "that lifetime's task, beyond their worth on other tasks."
        )
    benefit = find_measured_finding(examination, "benefit", "fresh")
    if gain and benefit and not deletion:
        change = _describe_change(gain, benefit)
        sentences.append(f"When feedback older than a few trials came from other lifetimes, its gain {change}.")
    if gain and reset:
        sentences.append(f"With a fresh carry before every trial, its gain {_describe_change(gain, reset)}.")
    percept = find_measured_finding(examination, "dependence_on_percept: feedback flipped")
    carry = find_measured_finding(examination, "dependence_on_carry: another lifetime's carry")
    if percept and carry:
        sentences.append(
            f"With the last feedback flipped, {_format_percent(percept)} of its next choices changed; "
            f"with another lifetime's carry, {_format_percent(carry)}."
        )
    position = find_measured_finding(examination, "locate_or_learn: position")
    if position and examination.trained_on.startswith("bank"):
        sentences.append(
            f"Its position between the ideal locator of its bank (0) and any learner (1) is {format_finding(position)}."
        )
    return sentences


def _format_percent(finding: Finding) -> str:
    """Formats a finding's estimate in per cent."""
    return f"{100 * (finding.estimate or 0.0):.0f}\u00a0%"


def _contains_null(finding: Finding) -> bool:
    """Whether a finding's interval contains the number under its null hypothesis; also True if there is no interval."""
    return finding.low is None or finding.high is None or finding.low <= finding.null <= finding.high


def _describe_change(gain: Finding, loss: Finding) -> str:
    """Describes a loss as a change of the gain, for example 'fell from 0.88 to 0.08'."""
    start, drop = gain.estimate or 0.0, loss.estimate or 0.0
    if loss.is_exact and drop == 0:
        return f"stayed exactly what it was, {format_number(start)}"
    if _contains_null(loss):
        return f"went from {format_number(start)} to {format_number(start - drop)}, no more than chance explains"
    return f"{'fell' if drop > 0 else 'rose'} from {format_number(start)} to {format_number(start - drop)}"
