"""The report's figures. Each file computes the numbers of a figure and draws them."""

import base64
import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from mesascope.reporting.hints import Axes, Figure
from mesascope.reporting.words import shorten

GAIN_LABEL = "share of what could be gained (0 chance, 1 the best action every time)"
FIGURE_WIDTH = 9.0  # in inches, each of which has 72 units
PIXELS_PER_UNIT = 1.6  # at most this many pixels of the page per unit of the picture
COLOURS = {  # the colours by name; the page's style sheet may replace them, so that a dark page is readable
    "ink": "#1b1b1c",
    "soft": "#66666b",
    "line": "#dcdce0",
    "subject": "#0072b2",
    "share": "#9fc9e3",
    "second": "#d55e00",
    "third": "#009e73",
}
TEXT_COLOUR, MUTED_COLOUR, GRID_COLOUR, SUBJECT_COLOUR, SHARE_COLOUR, SECOND_COLOUR, THIRD_COLOUR = COLOURS.values()
STYLE_PATH = Path(__file__).parent / "report.mplstyle"


@contextlib.contextmanager
def apply_style() -> Iterator[None]:
    """Gives all figures the same style, and restores the user's own style afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rc_file(STYLE_PATH, use_default_template=False)
        with warnings.catch_warnings():  # fonts may be missing here, but not in the reader's browser
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            warnings.filterwarnings("ignore", message="Matplotlib currently does not support .* natively")
            yield


def convert_to_svg(figure: Figure, name: str, description: str) -> str:
    """Converts a figure to one SVG element, which a page can contain together with other figures.

    Args:
        figure: a figure that was drawn within `apply_style()`.
        name: the name of the figure, which makes its identifiers unique on the page.
        description: the text for a screen reader.

    Returns:
        The SVG text, which is always the same for the same figure: it contains no dates or random identifiers.
    """
    import html

    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": f"mesascope {name}"}):
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", _rewrite_tag, text)  # changes only tags, because '<' in text is escaped
    text = re.sub(r">\n\s*<", ">\n<", text)
    return _adapt_root(text, html.escape(description, quote=True))


def _adapt_root(text: str, description: str) -> str:
    """Gives the root element a label, and a maximum size in place of its fixed size."""
    head, tail = text.split(">", 1)
    box = re.search(r'viewBox="\S+ \S+ (\S+) \S+"', head)
    style_attribute = f' style="max-width: {PIXELS_PER_UNIT * float(box.group(1)):.0f}px"' if box else ""
    head = re.sub(r' (?:width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{description}"{style_attribute}>{tail}'


def _rewrite_tag(match: re.Match[str]) -> str:
    """Makes a tag's colours replaceable by a style sheet, and removes unused identifiers."""
    tag = match.group()
    if tag.startswith("<g id="):
        tag = "<g/>" if tag.endswith("/>") else "<g>"
    elif tag.startswith("<image "):
        tag = re.sub(r' id="[^"]*"', "", tag)
        tag = re.sub(r"(?<=data:image/png;base64,)[^\"]*", _index_colours, tag)
    for name, colour in COLOURS.items():
        tag = tag.replace(colour, f"var(--{name}, {colour})")
    return tag


def _index_colours(match: re.Match[str]) -> str:
    """Gives the picture a palette if it has at most 256 colours, which halves its size."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(match.group()))) as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    colours, index = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > 256:
        return match.group()
    indexed, buffer = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8), "P"), io.BytesIO()
    indexed.putpalette(colours.tobytes(), "RGBA")
    indexed.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def prepare_rows(axes: Axes, n_rows: int, title: str) -> None:
    """Prepares a panel of rows, with a line for each row, a line at zero, and a title."""
    axes.axvline(0, color=TEXT_COLOUR, lw=0.7, ls=(0, (2, 2)), zorder=1)
    for y in range(n_rows):
        axes.axhline(y, color=GRID_COLOUR, lw=0.5, zorder=0)
    axes.set_ylim(n_rows - 0.5, -0.5)
    axes.set_title(shorten(title, 26))


def make_panels(n_panels: int, max_columns: int, row_height: float, x_label: str, y_label: str = ""):
    """Makes a figure with one panel per subject; returns the figure and its panels in order.

    Args:
        n_panels: the number of panels.
        max_columns: the largest number of panels in a row.
        row_height: the height of a row in inches.
        x_label: the label below all panels.
        y_label: the label beside all panels.
    """
    from matplotlib.figure import Figure

    rows = -(-n_panels // max_columns)
    columns = -(-n_panels // rows)
    size = (FIGURE_WIDTH if columns > 1 else 6.0, rows * max(row_height, 1.2) + 0.35)
    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel())
    for unused_panel in panels[n_panels:]:
        unused_panel.remove()
    for axes in panels[n_panels - columns : n_panels]:  # the lowest panel of each column keeps its tick labels
        axes.tick_params(labelbottom=True)
    figure.supxlabel(x_label, fontsize=8)
    if y_label:
        figure.supylabel(y_label, fontsize=8)
    return figure, panels[:n_panels]
