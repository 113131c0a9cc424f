"""The paragraph on top of the page, and what the page does not show."""

from collections.abc import Sequence

from mesascope.questions.spectrum.placement import LADDER
from mesascope.reporting.headlines import describe_ends, log_trials
from mesascope.reporting.hints import Examination

ALWAYS: tuple[str, ...] = (
    "The intervals come from resampling what stands behind n, mostly lifetimes of one set of weights. "
    "They say nothing about another training run of the same recipe.",
    "All numbers hold for this family and its splits. Other tasks need their own run.",
    "What a subject does is shown, not how it computes it: "
    "a fixed rule, an inference and a search can act alike.",
)
PLACED: tuple[str, ...] = (
    "A share of resamples is how often the rule gives that level when lifetimes are drawn again. "
    "It is no probability that the subject is of that level.",
    "The rule reads scores. A subject that takes in its feedback and gains nothing by it stands below "
    "'locating'; the part of its choices that changes is among the numbers.",
)
AXES = "Whether it searches or only controls, and whose goal it follows, were not asked."
UNBANKED = (
    "For a subject without a bank of training tasks there is nothing to locate in: "
    "inference within the family, with the family as its prior, explains 'acquiring'."
)
LOGGED = "A log holds what was done, undisturbed. What feedback or memory contributed cannot be read from it."
DESCRIPTIVE = (
    "Only the numbers headed 'confirmatory' enter a placement. The others are descriptive: "
    "many were looked at, and some would lie apart from their null by chance."
)


def title(examinations: Sequence[Examination]) -> str:
    """The heading of the page."""
    is_log = all(log_trials(e) is not None for e in examinations)
    return "What was done, as logged" if is_log else "What frozen weights did with their experience"


def paragraph(examinations: Sequence[Examination]) -> str:
    """The run in one paragraph: who lived what, and where each was placed."""
    logs = [e for e in examinations if log_trials(e) is not None]
    live = [e for e in examinations if log_trials(e) is None]
    parts = []
    if live:
        count = "1 subject" if len(live) == 1 else f"{len(live)} subjects"
        families = ", ".join(dict.fromkeys(e.family for e in live))
        splits = len(dict.fromkeys(split for e in live for split in e.trials))
        size = f"{_sizes(live, 'lifetime')} lifetimes of {_sizes(live, 'trial')} trials"
        place = "one split" if splits == 1 else f"each of {splits} splits"
        parts.append(f"{count} with frozen weights lived {size} on {place} of {families}.")
    if logs:
        count = "1 log" if len(logs) == 1 else f"{len(logs)} logs"
        size = f"{_sizes(logs, 'lifetime')} lifetimes, up to {_sizes(logs, 'trial')} trials each"
        parts.append(f"{count} of {size}.")
    parts += [f"{name}: {count} {unit}s." for name, count, unit in _units(logs)]
    levels = [f"{level} ({', '.join(names)})" for level, names in _levels(examinations).items()]
    if levels:
        parts.append(f"Placed at {', '.join(levels)}.")
    missing = [e.subject for e in examinations if e.placement is None]
    if missing:
        parts.append(f"Not placed: {', '.join(missing)}.")
    return " ".join(parts)


def _levels(examinations: Sequence[Examination]) -> dict[str, list[str]]:
    """The subjects by level, from the lowest."""
    rows = [(LADDER.index(p.lowest), LADDER.index(p.highest), e) for e in examinations if (p := e.placement)]
    by_level: dict[str, list[str]] = {}
    for *_, e in sorted(rows, key=lambda row: row[:2]):
        by_level.setdefault(describe_ends(e), []).append(e.subject)
    return by_level


def _units(logs: Sequence[Examination]) -> list[tuple[str, int, str]]:
    """The logs whose lifetimes belong to larger units: name, how many there are, and what they are called."""
    rows = []
    for e in logs:
        log = log_trials(e)
        unit = str(log.attrs.get("unit", "lifetime")) if log is not None else ""
        if log is not None and unit in log.coords:
            rows.append((e.subject, len(set(log[unit].values)), unit))
    return rows


def _sizes(examinations: Sequence[Examination], axis: str) -> str:
    """The length of an axis on the first split of each, from the least to the most."""
    sizes = sorted({next(iter(e.trials.values())).sizes[axis] for e in examinations})
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


def limits(examinations: Sequence[Examination]) -> list[str]:
    """What the page does not show, in sentences."""
    placements = [(e.placement, e) for e in examinations if e.placement]
    sentences = list(ALWAYS)
    if placements:
        sentences += PLACED
        if not any(p.axes for p, _ in placements):
            sentences.append(AXES)
    if any(e.trained_on == "unlimited" and LADDER.index(p.highest) > 2 for p, e in placements):
        sentences.append(UNBANKED)
    if any(log_trials(e) is not None for e in examinations):
        sentences.append(LOGGED)
    return [*sentences, DESCRIPTIVE]
