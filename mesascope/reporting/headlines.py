"""The numbers that stand beside every level, and where they are found."""

import xarray as xr

from mesascope.contracts.axis import Verdict
from mesascope.findings import Finding
from mesascope.reporting.hints import Examination

HEADLINES = {  # in the report's order: what it is called, on the page and in the terminal, and which fresh finding
    "gain": ("gain on fresh tasks", "gain", "performance"),
    "reset": ("lost by reset", "lost by\nreset", "cost_of_reset: every trial"),
    "shuffling": ("lost by shuffling", "lost by\nshuffling", "benefit"),
    "reference": ("share of the reference", "share of\nref.", "share_of_reference"),
}


def find_measured(examination: Examination, metric: str, split: str | None = None) -> Finding | None:
    """One measured finding, on a split or on whichever; None where it was not measured."""
    for finding in examination.answers:
        if finding.metric == metric and split in (None, finding.split) and finding.status == "measured":
            return finding
    return None


def headlines(examination: Examination) -> dict[str, Finding | None]:
    """The headline numbers of one subject."""
    return {key: find_measured(examination, metric, "fresh") for key, (_, _, metric) in HEADLINES.items()}


def describe_ends(examination: Examination) -> str:
    """The placement with both ends of its interval on the ladder."""
    placed = examination.placement
    if placed is None:
        return "not placed"
    return placed.lowest if placed.lowest == placed.highest else f"{placed.lowest} … {placed.highest}"


def log_trials(examination: Examination) -> xr.Dataset | None:
    """The trials or the curve of a log; None where a subject was lived with."""
    return next(iter(examination.trials.values())) if examination.family == "log" else None


def axes(examination: Examination) -> list[tuple[str, str, str]]:
    """On every other axis that was read: its name, the reading with its share of resamples, and why."""
    read = examination.placement.axes if examination.placement else {}
    verdicts = {name: Verdict(**told) for name, told in read.items()}
    return [(name, verdict.text(), verdict.reason) for name, verdict in verdicts.items()]


def explain_level(examination: Examination) -> str:
    """The reason for the placement, or for there being none."""
    if examination.placement is not None:
        return examination.placement.reason
    if log_trials(examination) is not None:
        return (
            "a log holds undisturbed trials only, and a placement needs the subject itself under disturbance."
        )
    return "the fresh split was not run, and a placement needs it."
