"""Writes results as text for a terminal, and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mesascope.cruxes.answers import STATUSES, Answer, compute_log_odds
from mesascope.cruxes.language import Event

if TYPE_CHECKING:
    from mesascope.cruxes.claims import Conventions
    from mesascope.cruxes.coherence import Issue
    from mesascope.cruxes.decisions import DecisionReport
    from mesascope.cruxes.evidence import Update
    from mesascope.cruxes.findings import Tally
    from mesascope.cruxes.gaps import GapReport
    from mesascope.cruxes.hypotheses import Posterior, RatioShare
    from mesascope.cruxes.influence import CruxValue
    from mesascope.cruxes.pooling import Pool
    from mesascope.cruxes.quantities import Quantity
    from mesascope.cruxes.sensitivity import ClaimWeight
    from mesascope.cruxes.triads import ExcludedRow, TriadValue

MAX_LISTED_VALUES = 30


def convert_to_plain_data(value: Any) -> Any:
    """Converts dataclasses, events and arrays to plain data; infinities become 'inf' and '-inf', NaN becomes null."""
    if isinstance(value, Event):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: convert_to_plain_data(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(k): convert_to_plain_data(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [convert_to_plain_data(v) for v in value]
    if isinstance(value, np.ndarray):
        return convert_to_plain_data(value.tolist())
    if isinstance(value, np.generic):
        return convert_to_plain_data(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value


def format_number(x: float | None) -> str:
    """Formats a probability or share with four significant digits."""
    return "–" if x is None else f"{x:.4g}"


def format_interval(low: float | None, high: float | None) -> str:
    """Formats an interval: one number if the ends agree, otherwise [low, high]."""
    if low is None or high is None:
        return "–"
    return format_number((low + high) / 2) if high - low < 1e-7 else f"[{format_number(low)}, {format_number(high)}]"


def align_columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Joins rows of cells into lines with aligned columns; the last column is not padded."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for *cells, last_cell in rows:
        padded_cells = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        lines.append(indent + "  ".join([*padded_cells, last_cell]).rstrip())
    return lines


def describe_conventions(conventions: Conventions) -> str:
    """Describes in one line how values were read."""
    parts = [f"reading: {conventions.reading}", f"bare words: {conventions.words}"]
    if conventions.reading != "centre":
        parts.append(f"~p is p ± {format_number(conventions.plus_minus)}")
    if conventions.reflective:
        parts.append("on reflection if stated")
    if conventions.bridges:
        parts.append("switched on: " + ", ".join(conventions.bridges))
    if conventions.interpretations:
        parts.append("read as: " + ", ".join(repr(w) for w in conventions.interpretations))
    return "; ".join(parts)


def describe_issues(issues: Sequence[Issue]) -> list[str]:
    """Describes the issues of a check, in one paragraph each."""
    errors = sum(issue.is_error for issue in issues)
    lines = [f"{errors or 'no'} contradiction{'s' if errors != 1 else ''}, {len(issues) - errors} warnings"]
    fixes = set()
    for issue in issues:
        mark = "ERROR" if issue.is_error else "warning"
        lines.append(f"{mark} {issue.kind} ({', '.join(issue.people)}): {issue.problem}")
        if issue.remedy and issue.remedy not in fixes:
            lines.append(f"    {issue.remedy}")
        fixes.add(issue.remedy)
    return lines


def describe_question(event: str, condition: str) -> str:
    """Describes a question as P(event) or P(event | condition), with brackets around an event that contains '|'."""
    if condition not in ("anything", ""):
        event, condition = (f"({x})" if "|" in x else x for x in (event, condition))
    return f"P({event})" if condition in ("anything", "") else f"P({event} | {condition})"


def describe_answer(answer: Answer) -> list[str]:
    """Describes one answer: the number, its claims and assumptions, and the answers under other interpretations."""
    question, interval = describe_question(answer.event, answer.given), format_interval(answer.low, answer.high)
    lines = [f"{answer.person}: {question} = {interval}  ({answer.status}: {STATUSES[answer.status]})"]
    if answer.point is not None and 0 < answer.point < 1:
        lines.append(f"  log-odds {float(compute_log_odds(answer.point)):+.3f} nats")
    if answer.mean:
        lines.append(f"  mean {format_interval(*answer.mean)}")
    if answer.refusal:
        instead = f"; offers {answer.refusal.offered_claim} instead" if answer.refusal.offered_claim else ""
        lines.append(f"  reason: {answer.refusal.reason}{instead}")
        return lines
    if answer.claims:
        lines.append(f"  claims of {answer.person}: {', '.join(answer.claims)}")
    if answer.bridges:
        lines.append(f"  bridges of the modeller: {', '.join(answer.bridges)}")
    lines.append(f"  engine {answer.engine}: {'; '.join(answer.assumptions)}")
    read_as = {f"read as {label!r}": variant for label, variant in answer.interpretations.items()}
    for label, variant in (read_as | {**answer.bridged}).items():
        reason = f"  ({variant.assumptions[0]})" if variant.status == "inapplicable" else ""
        reason = f"  ({variant.status})" if variant.status in ("undefined", "incoherent") else reason
        lines.append(f"  {label}: {format_interval(variant.low, variant.high)}{reason}")
    return lines


def describe_gap(report: GapReport) -> list[str]:
    """Describes both people's answers as sets, each cut as a table of parts, the warnings, and each remark's share."""
    lines = []
    for asked in report.questions:
        ends = ", ".join(f"{a.person} {format_interval(a.low, a.high)} ({a.status})" for a in asked.answers)
        lines.append(f"{describe_question(asked.target, asked.given)}: {ends}")
        for answer in asked.answers:
            lines += [
                f"  {answer.person} {name}: {format_interval(*x.interval)}"
                for name, x in answer.bridged.items()
                if x.interval
            ]
        if asked.difference:
            span = format_interval(*asked.difference)
            remark = "the sets do not overlap"
            if asked.overlap:
                remark = f"both allow {format_interval(*asked.overlap)}, so that no difference follows"
            lines.append(f"  {asked.people[1]} minus {asked.people[0]}: {span}; {remark}")
    if report.gaps:
        lines.append("at points, which no claim supports:")
    for gap in report.gaps:
        question = describe_question(gap.target, gap.given)
        ends = ", ".join(f"{name} {format_number(end)}" for name, end in zip(gap.people, gap.ends, strict=True))
        lines.append(f"{question}: {ends}; by {gap.cut!r}: {gap.text}")
        rows = [["part", *gap.people, "share", "of the gap", "where the numbers come from"]]
        for part in gap.parts:
            fraction = "–" if part.fraction is None else f"{part.fraction:.1%}"
            span = f" ({part.span[0]:.1%} to {part.span[1]:.1%})" if part.span else ""
            values, share, sources = map(format_number, part.values), f"{part.share:+.5f}", " / ".join(part.sources)
            rows.append([part.name, *values, share, fraction + span, sources])
        rows.append(["sum", "", "", f"{sum(p.share for p in gap.parts):+.5f}", "", f"{gap.method}, scale {gap.scale}"])
        lines += align_columns(rows)
        if gap.remainder:
            remark = "parts moved one at a time need not add up"
            lines.append(f"  the shares differ from the gap by {gap.remainder:+.5f}: {remark}")
        lines += [f"  assumes: {note}" for note in gap.assumptions]
    lines += [f"warning: {warning}" for warning in report.warnings]
    lines += [f"{name}, {label}: {share:.1%} of the gap" for name, label, share in report.filings]
    return lines


def describe_values(values: Sequence[CruxValue], unit: str, quantity_name: str) -> list[str]:
    """Describes cruxes and their values as a table; the largest upper end comes first."""
    rows = [["crux", quantity_name, "at most", "engine", "P(U), P(U|C), P(C)"]]
    for v in values:
        value, maximum = format_interval(v.low, v.high), format_number(v.maximum)
        rows.append([v.crux, value, maximum, v.engine, _describe_triads(v)])
    lines = align_columns(rows)
    for reason in dict.fromkeys(v.reason for v in values if v.reason):
        lines.append(f"  {', '.join(v.crux for v in values if v.reason == reason)}: {reason}")
    return [*lines, f"  unit: {unit}; ordered by the upper end"]


def _describe_triads(value: CruxValue) -> str:
    if value.reason.startswith("declined"):
        return "none: declined"
    if ";" in value.crux:
        return f"none: {len(value.crux.split(';'))} states"
    return " / ".join(", ".join(map(format_number, triad)) if triad else "a set" for triad in value.triads)


def describe_claim_weights(weights: Sequence[ClaimWeight], cost: float | None, evpi: float | None) -> list[str]:
    """Describes claims with their Sobol shares as a table; with a cost, also the values of perfect information."""
    rows = [["claim", "first order", "total", "EVPPI"]]
    rows += [[w.claim, *map(format_number, (w.first, w.total, w.partial))] for w in weights]
    evpi_lines = [] if cost is None else [f"  EVPI at cost {format_number(cost)}: {format_number(evpi)}"]
    return align_columns(rows) + evpi_lines


def describe_updates(updates: Iterable[Update]) -> list[str]:
    """Describes each person's belief before and after the evidence, or why the belief does not move."""
    lines = []
    for update in updates:
        if update.status == "asked":
            before = f" (now {format_interval(*update.prior)})" if update.prior else ""
            lines.append(f"{update.person}: asked, P({update.about}){before}. {update.reason}")
            continue
        text = f"{update.person}: {update.status}, P({update.about})"
        if update.prior and update.posterior:
            text += f" {format_interval(*update.prior)} → {format_interval(*update.posterior)}"
        if update.ratio:
            text += f", likelihood ratio {format_interval(*update.ratio)}"
        if update.shift:
            shifts = [f"{shift:+.3f}" for shift in dict.fromkeys(update.shift)]
            text += f", log-odds {' to '.join(shifts)}"
        lines.append(text + (f". {update.reason}" if update.reason else ""))
        if update.target:
            before, after = (format_interval(*interval) for interval in update.target)
            lines.append(f"    and the target: {before} → {after}")
    return lines


def describe_posteriors(posteriors: Iterable[Posterior]) -> list[str]:
    """Describes each person's belief in every hypothesis before and after several items of evidence."""
    lines = []
    for p in posteriors:
        lines.append(f"{p.person}: {p.status}" + (f". {p.reason}" if p.reason else ""))
        if not p.posterior:
            continue
        rows = [["hypothesis", "before", "after", *(item.id for item in p.items)]]
        for i, name in enumerate(p.hypotheses):
            likelihoods = [format_interval(*item.likelihoods[i]) for item in p.items]
            rows.append([name, format_interval(*p.prior[i]), format_interval(*p.posterior[i]), *likelihoods])
        rows.append(["counted as a power of", "", "", *(format_number(item.exponent) for item in p.items)])
        lines += align_columns(rows)
    return lines


def describe_ratio_shares(shares: Iterable[RatioShare], ends: tuple[float, float], hypothesis: str) -> list[str]:
    """Describes how much each prior and likelihood contributes to the gap between two people's beliefs."""
    rows = [["numbers", "share of the gap in log-odds"], *([s.name, f"{s.share:+.3f}"] for s in shares)]
    first, second = map(format_number, ends)
    return [f"the gap on {hypothesis}, {first} and {second}:", *align_columns(rows)]


def describe_decisions(reports: Iterable[DecisionReport], quantities: dict[str, Quantity]) -> list[str]:
    """Describes each decision: its actions' utilities, the best action, and the value of learning before deciding."""
    lines = []
    for q in quantities.values():
        span = f"{q.distribution.ppf(0.05):.4g} to {q.distribution.ppf(0.95):.4g} {q.unit}".strip()
        lines.append(f"{q.id} ({q.person}): 90 % within {span}, {q.shape}, mean {format_number(q.distribution.mean())}")
    for report in reports:
        lines.append(f"{report.decision} ({report.person}), utility in {report.unit or 'its own unit'}:")
        rows = [[name, format_interval(*span)] for name, span in report.utilities.items()]
        lines += align_columns(rows)
        undecided = "no action is best for all numbers that the claims allow"
        lines.append(f"  best: {report.best}" if report.best else f"  {undecided}")
        worth = [
            f"{item.name} {format_number(item.value) if item.value is not None else 'a set'}"
            for item in report.learning
        ]
        lines.append(f"  value of learning before deciding: {'; '.join(worth)}")
    return lines


def describe_tallies(tallies: Sequence[Tally]) -> list[str]:
    """Describes each measure: the count, every unit's verdict, the gap to the claim, and the updates."""
    lines = []
    for tally in tallies:
        count = f"{tally.k} of {tally.n}" if tally.n else "no unit counts"
        lines.append(f"{tally.measure} → {tally.evidence}: {count}")
        lines += align_columns([[update.name, update.verdict, update.reason] for update in tally.units])
        lines.append(f"  {tally.gap}")
        lines += describe_updates(tally.updates)
    return lines


def describe_triads(
    values: Sequence[TriadValue], medians: dict[str, dict[str, float]], excluded_rows: Sequence[ExcludedRow], unit: str
) -> list[str]:
    """Describes the values of cruxes (each value, or medians by camp if there are many) and the excluded rows."""
    lines = []
    if len(values) <= MAX_LISTED_VALUES:
        rows = [["crux", "people", "value of", "", unit]]
        rows += [[v.crux, " / ".join(v.people), v.kind, v.note, format_number(v.value)] for v in values]
        lines += align_columns(rows, "")
    groups = sorted({group for by_group in medians.values() for group in by_group}, key=lambda g: (" / " in g, g))
    if groups and len(values) > MAX_LISTED_VALUES:
        rows = [[f"median, {unit}", *groups]]
        rows += [[crux, *(format_number(by.get(group)) for group in groups)] for crux, by in medians.items()]
        lines += align_columns(rows, "")
    for reason in dict.fromkeys(row.reason for row in excluded_rows):
        numbers = [str(row.line) for row in excluded_rows if row.reason == reason]
        shown = ", ".join(numbers[:8]) + (", …" if len(numbers) > 8 else "")
        lines.append(f"left out: {len(numbers)} row{'s' * (len(numbers) > 1)} where {reason} (line {shown})")
    return lines


def describe_pool(pool: Pool) -> list[str]:
    """Describes the pooled interval, its members, and the people who are left out, with the reason."""
    lines = [
        f"pool of {describe_question(pool.target, pool.given)} by {pool.method}: {format_interval(pool.low, pool.high)}"
    ]
    lines += [f"  {person}: {format_interval(*ends)}" for person, ends in pool.members.items()]
    lines += [f"  left out: {person}, who {reason}" for person, reason in pool.excluded.items()]
    lines += [f"  veto: {veto} decides that end alone" for veto in pool.vetoes]
    return lines + [f"  warning: {warning}" for warning in pool.warnings] + [f"  engine: {pool.engine}"]
