"""Writes the heading and the first paragraph of the page."""

from collections.abc import Sequence

from mesascope.logs.tables import count_noun
from mesascope.questions.spectrum.ladder import RUNGS
from mesascope.reporting.headlines import describe_placement, is_log
from mesascope.reporting.hints import Examination


def write_title(examinations: Sequence[Examination]) -> str:
    """The heading of the page."""
    only_logs = all(map(is_log, examinations))
    return "What was done, as logged" if only_logs else "What frozen weights did with their experience"


def write_paragraph(examinations: Sequence[Examination]) -> str:
    """Describes the run in one paragraph: the subjects, their lifetimes and their levels."""
    logs = [e for e in examinations if is_log(e)]
    examined = [e for e in examinations if not is_log(e)]
    parts = []
    if examined:
        families = ", ".join(dict.fromkeys(e.family for e in examined))
        n_splits = len({split for e in examined for split in e.trials})
        size = f"{_format_sizes(examined, 'lifetime')} lifetimes of {_format_sizes(examined, 'trial')} trials"
        splits = "one split" if n_splits == 1 else f"each of {n_splits} splits"
        parts.append(
            f"{count_noun(len(examined), 'subject')} with frozen weights ran {size} on {splits} of {families}."
        )
    if logs:
        size = f"{_format_sizes(logs, 'lifetime')} lifetimes, up to {_format_sizes(logs, 'trial')} trials each"
        parts.append(f"{count_noun(len(logs), 'log')} of {size}.")
    for e in logs:
        trials = next(iter(e.trials.values()))
        unit = str(trials.attrs.get("unit", "lifetime"))
        if unit in trials.coords:
            parts.append(f"{e.subject}: {len(set(trials[unit].values))} {unit}s.")
    rows = [(RUNGS[p.lowest], RUNGS[p.highest], e) for e in examinations if (p := e.placement)]
    by_level: dict[str, list[str]] = {}
    for *_, e in sorted(rows, key=lambda row: row[:2]):  # from the lowest level to the highest
        by_level.setdefault(describe_placement(e), []).append(e.subject)
    levels = [f"{level} ({', '.join(names)})" for level, names in by_level.items()]
    if levels:
        parts.append(f"Placed at {', '.join(levels)}.")
    not_placed = [e.subject for e in examinations if e.placement is None]
    if not_placed:
        parts.append(f"Not placed: {', '.join(not_placed)}.")
    return " ".join(parts)


def _format_sizes(examinations: Sequence[Examination], axis: str) -> str:
    """The length of an axis on the first split of each examination, as a range."""
    sizes = sorted({next(iter(e.trials.values())).sizes[axis] for e in examinations})
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
