"""What was found, as one self-contained page and as a table for the terminal."""

import os
from collections.abc import Sequence
from pathlib import Path

from mesascope.errors import unknown
from mesascope.files import write_text
from mesascope.reporting.hints import Examination, Figure, Group

__all__ = ["plot", "summary", "write_report"]


def write_report(examinations: Sequence[Examination], command: str, path: str | os.PathLike) -> Path:
    """Writes one HTML page that needs nothing beside itself; it appears whole or not at all.

    Args:
        examinations: what was found, one per subject, as `examine` returns or `runs.read_run` reads it.
        command: what repeats the run.
        path: the file to write; its folder is made where it is missing.

    Returns:
        The path. The same examinations and command give the same bytes.
    """
    from mesascope.reporting.page import render

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render(examinations, command))
    return path


def plot(examinations: Sequence[Examination], name: str = "adaptation") -> Figure:
    """One figure of the page, as a matplotlib Figure that can be shown, changed and saved.

    Args:
        examinations: one panel or row per subject.
        name: 'adaptation', 'lifetimes', 'splits', 'conditions', 'spectrum' or another of the page's figures.

    Raises:
        MesascopeError: these examinations have nothing to draw for it, or no figure has that name.
    """
    from mesascope.reporting.figures import style
    from mesascope.reporting.gallery import figures

    with style():
        drawn = {key: found[0] for key, found in figures(examinations).items() if found}
    if name not in drawn:
        raise unknown("figure", name, drawn)
    drawn[name].set_facecolor("white")
    return drawn[name]


def summary(examinations: Sequence[Examination]) -> Group:
    """The placements as something that a rich console prints within 80 columns."""
    from mesascope.reporting.terminal import summary

    return summary(examinations)
