"""Writes the first paragraph of the page, and the limits of what the page shows."""

from collections.abc import Sequence

from mesascope.questions.spectrum.ladder import RUNGS
from mesascope.reporting.headlines import describe_ends, log_trials
from mesascope.reporting.hints import Examination

ALWAYS: tuple[str, ...] = (
    "The intervals come from resampling the units that n counts, which are mostly lifetimes of one set of weights. "
    "They say nothing about another training run of the same recipe.",
    "All numbers apply to this family and its splits. Other tasks need their own run.",
    "The page shows what a subject does, not how it computes it: "
    "a fixed rule, an inference and a search can choose the same actions.",
)
PLACED: tuple[str, ...] = (
    "A share of resamples is how often the rule gives that level when lifetimes are drawn again. "
    "It is not the probability that the subject has that level.",
    "The rule reads scores. A subject that uses its feedback without gaining from it is placed below "
    "'locating'; the numbers show how many of its choices change.",
)
AXES = "The run did not test whether a subject searches, or which goal it follows."
UNBANKED = (
    "A subject without a bank of training tasks has no bank to locate in: "
    "inference within the family, with the family as its prior, explains 'acquiring'."
)
LOGGED = "A log contains undisturbed trials only. It cannot show what feedback or memory contributed."
DESCRIPTIVE = (
    "Only the numbers headed 'confirmatory' enter a placement. The others are descriptive: "
    "there are many of them, and some differ from their null by chance."
)


def write_title(examinations: Sequence[Examination]) -> str:
    """The heading of the page."""
    is_log = all(log_trials(e) is not None for e in examinations)
    return "What was done, as logged" if is_log else "What frozen weights did with their experience"


def write_paragraph(examinations: Sequence[Examination]) -> str:
    """Describes the run in one paragraph: the subjects, their lifetimes and their levels."""
    logs = [e for e in examinations if log_trials(e) is not None]
    live = [e for e in examinations if log_trials(e) is None]
    parts = []
    if live:
        count = "1 subject" if len(live) == 1 else f"{len(live)} subjects"
        families = ", ".join(dict.fromkeys(e.family for e in live))
        splits = len(dict.fromkeys(split for e in live for split in e.trials))
        size = f"{_format_sizes(live, 'lifetime')} lifetimes of {_format_sizes(live, 'trial')} trials"
        place = "one split" if splits == 1 else f"each of {splits} splits"
        parts.append(f"{count} with frozen weights ran {size} on {place} of {families}.")
    if logs:
        count = "1 log" if len(logs) == 1 else f"{len(logs)} logs"
        size = f"{_format_sizes(logs, 'lifetime')} lifetimes, up to {_format_sizes(logs, 'trial')} trials each"
        parts.append(f"{count} of {size}.")
    parts += [f"{name}: {count} {unit}s." for name, count, unit in _list_units(logs)]
    levels = [f"{level} ({', '.join(names)})" for level, names in _list_levels(examinations).items()]
    if levels:
        parts.append(f"Placed at {', '.join(levels)}.")
    not_placed = [e.subject for e in examinations if e.placement is None]
    if not_placed:
        parts.append(f"Not placed: {', '.join(not_placed)}.")
    return " ".join(parts)


def _list_levels(examinations: Sequence[Examination]) -> dict[str, list[str]]:
    """The names of the subjects by level, from the lowest level to the highest."""
    rows = [(RUNGS[p.lowest], RUNGS[p.highest], e) for e in examinations if (p := e.placement)]
    by_level: dict[str, list[str]] = {}
    for *_, e in sorted(rows, key=lambda row: row[:2]):
        by_level.setdefault(describe_ends(e), []).append(e.subject)
    return by_level


def _list_units(logs: Sequence[Examination]) -> list[tuple[str, int, str]]:
    """For logs with larger units than lifetimes: the subject, the number of units, and the unit's name."""
    rows = []
    for e in logs:
        log = log_trials(e)
        unit = str(log.attrs.get("unit", "lifetime")) if log is not None else ""
        if log is not None and unit in log.coords:
            rows.append((e.subject, len(set(log[unit].values)), unit))
    return rows


def _format_sizes(examinations: Sequence[Examination], axis: str) -> str:
    """The length of an axis on the first split of each examination, as a range."""
    sizes = sorted({next(iter(e.trials.values())).sizes[axis] for e in examinations})
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


def list_limits(examinations: Sequence[Examination]) -> list[str]:
    """The limits of what the page shows, in sentences."""
    placements = [(e.placement, e) for e in examinations if e.placement]
    sentences = list(ALWAYS)
    if placements:
        sentences += PLACED
        if not any(p.axes for p, _ in placements):
            sentences.append(AXES)
    if any(e.trained_on == "unlimited" and RUNGS[p.highest] > RUNGS["tracking"] for p, e in placements):
        sentences.append(UNBANKED)
    if any(log_trials(e) is not None for e in examinations):
        sentences.append(LOGGED)
    return [*sentences, DESCRIPTIVE]
