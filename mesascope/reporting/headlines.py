"""Makes the heading and the first paragraph of a report, and picks the findings that stand beside every level."""

from collections.abc import Sequence

from mesascope.contracts import Verdict
from mesascope.findings import Finding
from mesascope.logs.tables import format_count
from mesascope.questions.spectrum.ladder import LEVEL_NUMBERS
from mesascope.reporting.hints import Examination

HEADLINES = {  # in the report's order: name on the page, name in the terminal, finding on fresh tasks
    "gain": ("gain on fresh tasks", "gain", "performance"),
    "deletion": ("lost by deletion", "lost by\ndeletion", "deletion"),
    "transplant": ("shown by transplant", "shown by\ntransplant", "transplant"),
    "reference": ("share of the reference", "share of\nref.", "share_of_reference"),
}
MAX_P = 0.001  # lifetimes are said to be of more than one kind only if p is smaller than this


def find_measured_finding(examination: Examination, metric: str, split: str | None = None) -> Finding | None:
    """Finds the first measured finding of a metric on a split, or on any split if `split` is None; None without one."""
    measured = [f for f in examination.answers if f.metric == metric and f.status == "measured"]
    return next((f for f in measured if split in (None, f.split)), None)


def pick_headlines(examination: Examination) -> dict[str, Finding | None]:
    """Picks the findings behind one subject's headline numbers, by the keys of `HEADLINES`; None if not measured."""
    return {key: find_measured_finding(examination, metric, "fresh") for key, (_, _, metric) in HEADLINES.items()}


def describe_placement(examination: Examination) -> str:
    """Describes the level in words, with both ends of the interval if they differ."""
    placement = examination.placement
    if placement is None:
        return "not placed"
    return placement.lowest if placement.lowest == placement.highest else f"{placement.lowest} … {placement.highest}"


def is_log(examination: Examination) -> bool:
    """Whether a log was measured; otherwise the subject itself was examined."""
    return examination.family == "log"


def list_axis_readings(examination: Examination) -> list[tuple[str, str, str]]:
    """Lists the name, the reading (with its share of resamples) and the reason for each axis besides the spectrum."""
    axes = examination.placement.axes if examination.placement else {}
    verdicts = {name: Verdict(**fields) for name, fields in axes.items()}
    return [(name, verdict.describe(), verdict.reason) for name, verdict in verdicts.items()]


def explain_level(examination: Examination) -> str:
    """Explains the placement, or why there is no placement."""
    if examination.placement is not None:
        return examination.placement.reason + _describe_kinds(examination)
    if is_log(examination):
        return "a log holds undisturbed trials only, and a placement needs the subject itself under disturbance."
    if "fresh" in examination.trials:
        conditions = ", ".join(map(str, examination.trials["fresh"].condition.values[:3]))
        return f"its fresh tasks were run under {conditions} only; a placement needs the conditions of `examine`."
    return "the fresh split was not run, and a placement needs it."


def _describe_kinds(examination: Examination) -> str:
    """States in a sentence that the lifetimes are of more than one kind, if replays show this; otherwise ''."""
    kinds = find_measured_finding(examination, "kinds_of_lifetimes", "fresh")
    if kinds is None or kinds.p is None or kinds.p >= MAX_P or not kinds.estimate or kinds.estimate < 0:
        return ""
    return (
        f" Its lifetimes are of more than one kind (agreement of replays r = {kinds.estimate:.2f}); "
        "the level is that of their mean."
    )


def make_title(examinations: Sequence[Examination]) -> str:
    """Makes the heading of the page."""
    only_logs = all(map(is_log, examinations))
    return "What was done, as logged" if only_logs else "What frozen weights did with their experience"


def describe_run(examinations: Sequence[Examination]) -> str:
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
            f"{format_count(len(examined), 'subject')} with frozen weights ran {size} on {splits} of {families}."
        )
    if logs:
        size = f"{_format_sizes(logs, 'lifetime')} lifetimes, up to {_format_sizes(logs, 'trial')} trials each"
        parts.append(f"{format_count(len(logs), 'log')} of {size}.")
    for e in logs:
        trials = next(iter(e.trials.values()))
        unit = str(trials.attrs.get("unit", "lifetime"))
        if unit in trials.coords:
            parts.append(f"{e.subject}: {len(set(trials[unit].values))} {unit}s.")
    rows = [(LEVEL_NUMBERS[p.lowest], LEVEL_NUMBERS[p.highest], e) for e in examinations if (p := e.placement)]
    subjects_by_level: dict[str, list[str]] = {}
    for *_, e in sorted(rows, key=lambda row: row[:2]):  # from the lowest level to the highest
        subjects_by_level.setdefault(describe_placement(e), []).append(e.subject)
    levels = [f"{level} ({', '.join(names)})" for level, names in subjects_by_level.items()]
    if levels:
        parts.append(f"Placed at {', '.join(levels)}.")
    not_placed = [e.subject for e in examinations if e.placement is None]
    if not_placed:
        parts.append(f"Not placed: {', '.join(not_placed)}.")
    return " ".join(parts)


def _format_sizes(examinations: Sequence[Examination], axis: str) -> str:
    """Formats the length of an axis on the first split of each examination, as a range."""
    sizes = sorted({next(iter(e.trials.values())).sizes[axis] for e in examinations})
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
