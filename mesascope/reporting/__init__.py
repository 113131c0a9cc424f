"""Shows results as one self-contained HTML page, as figures, and as a table for the terminal."""

import os
from collections.abc import Sequence
from pathlib import Path

from mesascope.errors import require_known_name
from mesascope.files import write_text
from mesascope.reporting.hints import Examination, Figure

__all__ = ["plot", "write_report"]


def write_report(examinations: Sequence[Examination], path: str | os.PathLike, command: str = "") -> Path:
    """Writes one self-contained HTML page. If writing fails, no incomplete page is left.

    Args:
        examinations: one per subject, as `examine` returns them or `runs.read_run` reads them.
        path: the file to write; its folder is created if missing.
        command: the command that repeats the run, which the page shows; with '', the page shows no command.

    Returns:
        The path of the file. The same examinations and command give the same bytes.
    """
    from mesascope.reporting.page import render_page

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render_page(examinations, command))
    return path


def plot(examinations: Sequence[Examination], name: str = "adaptation") -> Figure:
    """Draws one figure of the page as a matplotlib Figure.

    Args:
        examinations: one per subject; each gets a panel or a row.
        name: 'spectrum', 'adaptation', 'lifetimes', 'splits', 'bank', 'conditions', 'strip', 'acquisition' or 'memory'.

    Raises:
        MesascopeError: no figure has this name, or the examinations have no data for the figure.
    """
    from mesascope.reporting.figures import apply_style
    from mesascope.reporting.gallery import draw_figures

    with apply_style():
        drawings = {key: figure_list[0] for key, figure_list in draw_figures(examinations).items() if figure_list}
    drawing = drawings[require_known_name("figure", name, drawings)]
    drawing.set_facecolor("white")
    return drawing
