"""Prepares the placements for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mesascope.reporting import headlines
from mesascope.reporting.hints import Examination
from mesascope.reporting.words import describe_findings, format_finding, format_number, make_visible, shorten

NAME_WIDTH = 19  # characters of a name in the table; a longer name breaks after its colon
MAX_NAME_LENGTH = 60  # characters of a name in the text below the table


def summarise(examinations: Sequence[Examination]) -> Group:
    """Formats the placements as a rich renderable of at most 80 columns.

    Names and reasons are printed as plain text, so markup in them has no effect, and control characters become �.
    """
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("subject", width=NAME_WIDTH, overflow="fold")
    table.add_column("level", width=10, overflow="fold")
    table.add_column("direction", no_wrap=True)
    for _, short, _ in headlines.HEADLINES.values():
        table.add_column(short, justify="right", no_wrap=True)
    for examination in examinations:
        numbers, name = headlines.pick_headlines(examination), shorten(examination.subject, 40)
        table.add_row(
            Text(name if len(name) <= NAME_WIDTH else name.replace(":", ":\n", 1)),
            Text(headlines.describe_placement(examination).replace(" … ", "\n… ")),
            Text(examination.placement.direction if examination.placement else "–"),
            *(Text(format_number(f.estimate if f else None)) for f in numbers.values()),
        )
    parts = [part for e in examinations for part in _describe_subject(e)]
    return Group(*([] if all(map(headlines.is_log, examinations)) else [table]), *parts)


def _describe_subject(examination: Examination) -> list[RenderableType]:
    """Describes one subject: its level, its gain with the interval, and the reason for its level."""
    heading = Text(shorten(examination.subject, MAX_NAME_LENGTH), style="bold")
    if examination.placement:
        heading.append(f"  {headlines.describe_placement(examination)}", style="not bold")
    if gain := headlines.pick_headlines(examination)["gain"]:
        size = f"{gain.n} {make_visible(gain.unit)}s"
        heading.append(f"; gain {format_finding(gain)} over {size}", style="not bold")
    lines = [headlines.explain_level(examination), *(() if examination.placement else describe_findings(examination))]
    lines += [f"{name}: {reading}: {reason}" for name, reading, reason in headlines.list_axis_readings(examination)]
    lines += [f"{f.metric} failed: {f.reason}" for f in examination.answers if f.status == "failed"]
    lines += _describe_log(examination) if headlines.is_log(examination) else []
    return [heading, *(Padding(Text(make_visible(line)), (0, 0, 0, 2)) for line in lines), Text()]


def _describe_log(examination: Examination) -> list[str]:
    """Describes the findings of a log, with a note if other metrics do not apply to it."""
    measured = [f for f in examination.answers if f.status == "measured"]
    inapplicable = any(f.status == "does not apply" for f in examination.answers)
    lines = [f"{f.metric}: {f.describe()}{f' ({f.reason})' if f.reason else ''}" for f in measured]
    note = ["The other metrics do not apply to this log; findings.json gives the reasons."] if inapplicable else []
    return ["Descriptive findings (a log has no confirmatory findings):", *lines, *note]
