"""Selects the findings that a report shows beside every level."""

import xarray as xr

from mesascope.contracts.axis import Verdict
from mesascope.findings import Finding
from mesascope.reporting.hints import Examination

HEADLINES = {  # in the report's order: name on the page, name in the terminal, finding on fresh tasks
    "gain": ("gain on fresh tasks", "gain", "performance"),
    "deletion": ("lost by deletion", "lost by\ndeletion", "deletion"),
    "transplant": ("shown by transplant", "shown by\ntransplant", "transplant"),
    "reference": ("share of the reference", "share of\nref.", "share_of_reference"),
}


def find_measured(examination: Examination, metric: str, split: str | None = None) -> Finding | None:
    """The first measured finding of a metric, on one split or on any; None if there is none."""
    for finding in examination.answers:
        if finding.metric == metric and split in (None, finding.split) and finding.status == "measured":
            return finding
    return None


def pick_headlines(examination: Examination) -> dict[str, Finding | None]:
    """The findings behind the headline numbers of one subject."""
    return {key: find_measured(examination, metric, "fresh") for key, (_, _, metric) in HEADLINES.items()}


def describe_ends(examination: Examination) -> str:
    """The level in words, with both ends of the interval if they differ."""
    placement = examination.placement
    if placement is None:
        return "not placed"
    return placement.lowest if placement.lowest == placement.highest else f"{placement.lowest} … {placement.highest}"


def log_trials(examination: Examination) -> xr.Dataset | None:
    """The trials or curves in a log; None if the subject itself was examined."""
    return next(iter(examination.trials.values())) if examination.family == "log" else None


def list_axes(examination: Examination) -> list[tuple[str, str, str]]:
    """For every axis besides the spectrum: its name, its reading with the share of resamples, and the reason."""
    read = examination.placement.axes if examination.placement else {}
    verdicts = {name: Verdict(**fields) for name, fields in read.items()}
    return [(name, verdict.text(), verdict.reason) for name, verdict in verdicts.items()]


def explain_level(examination: Examination) -> str:
    """The reason for the placement, or for its absence."""
    if examination.placement is not None:
        return examination.placement.reason
    if log_trials(examination) is not None:
        return "a log holds undisturbed trials only, and a placement needs the subject itself under disturbance."
    return "the fresh split was not run, and a placement needs it."
