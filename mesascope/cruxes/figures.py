"""Draws inline SVG from numbers that other modules compute, and escapes all text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, pairwise
from textwrap import wrap

from mesascope.cruxes.texts import format_interval

TEXT_COLOUR, PALE_COLOUR, LINE_COLOUR = "#1d2433", "#6b7280", "#d5d9e0"
SERIES_COLOURS = ("#1b6ca8", "#b4511a", "#3d7a4a", "#7a4a9a", "#8a6d1a", "#a03050")


def _draw_text(
    x: float, y: float, text: str, size: float, colour: str, *, anchor: str = "start", weight: str = "400"
) -> str:
    style = f'font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(text)}</text>'


def _draw_rectangle(x: float, y: float, width: float, height: float, fill: str, **attributes_by_name: object) -> str:
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes_by_name.items())
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"{attributes}/>'


def _wrap_svg(width: float, height: float, body: Sequence[str], title: str) -> str:
    attributes = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img"'
    label = escape(title, quote=True)
    return f'<svg {attributes} aria-label="{label}"><title>{escape(title)}</title>{"".join(body)}</svg>'


@dataclass(frozen=True)
class Bar:
    """One interval in a drawing: its label, its ends, its colour, and whether the bar is small and pale."""

    label: str
    span: tuple[float, float]
    colour: str
    is_minor: bool = False


def draw_intervals(bars: Sequence[Bar], title: str, axis_left: float = 330) -> str:
    """Draws intervals on an axis from 0 to 1, one interval per row; a very short interval becomes a dot.

    Args:
        bars: the intervals, from the top row to the bottom row.
        title: a description of the drawing.
        axis_left: the x coordinate of the axis's left end, in pixels.
    """
    width, span, row, top = 980, 440, 22, 30
    body = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = axis_left + tick * span
        body.append(f'<line x1="{x}" y1="{top - 8}" x2="{x}" y2="{top + row * len(bars)}" stroke="{LINE_COLOUR}"/>')
        body.append(_draw_text(x, top - 14, f"{tick:g}", 11, PALE_COLOUR, anchor="middle"))
    for i, bar in enumerate(bars):
        y = top + row * i + row / 2
        ink = PALE_COLOUR if bar.is_minor else TEXT_COLOUR
        body.append(_draw_text(axis_left - 14, y + 4, bar.label, 12, ink, anchor="end"))
        a, b = (axis_left + end * span for end in bar.span)
        if b - a < 2:
            body.append(f'<circle cx="{(a + b) / 2:.1f}" cy="{y:.1f}" r="5" fill="{bar.colour}"/>')
        else:
            half, opacity = (4, 0.45) if bar.is_minor else (6, 0.9)
            body.append(_draw_rectangle(a, y - half, b - a, 2 * half, bar.colour, rx=3, opacity=opacity))
        body.append(_draw_text(axis_left + span + 16, y + 4, format_interval(*bar.span), 12, ink))
    return _wrap_svg(width, top + row * len(bars) + 10, body, title)


def draw_waterfall(
    start: tuple[str, float], steps: Sequence[tuple[str, float, str]], end: tuple[str, float], title: str
) -> str:
    """Draws a waterfall chart from one number to another, in steps that add up.

    Args:
        start, end: the label and value of the first and the last column.
        steps: the label, signed change and note of each step.
        title: a description of the drawing.
    """
    width, height, base, top, n = 980, 300, 240, 30, len(steps) + 2
    levels = list(accumulate((change for _, change, _ in steps), initial=start[1]))
    low, high = min(0.0, end[1], *levels), max(0.0, end[1], *levels)
    scale = (base - top) / ((high - low) or 1.0)

    def find_y(value: float) -> float:
        return base - (value - low) * scale

    step, body = 860 / n, []
    body.append(f'<line x1="40" y1="{find_y(0):.1f}" x2="940" y2="{find_y(0):.1f}" stroke="{PALE_COLOUR}"/>')
    columns = [(start[0], 0.0, start[1], TEXT_COLOUR, f"{start[1]:.4g}")]
    for (label, change, note), (before, after) in zip(steps, pairwise(levels), strict=True):
        colour = SERIES_COLOURS[1] if change < 0 else SERIES_COLOURS[2]
        columns.append((label, before, after, colour, f"{change:+.4f}  {note}"))
    columns.append((end[0], 0.0, end[1], TEXT_COLOUR, f"{end[1]:.4g}"))
    for i, (label, a, b, colour, note) in enumerate(columns):
        x, middle = 60 + i * step, 60 + i * step + step * 0.3
        y, bar_height = min(find_y(a), find_y(b)), abs(find_y(a) - find_y(b))
        body.append(_draw_rectangle(x, y, step * 0.6, max(bar_height, 1.5), colour))
        body.append(_draw_text(middle, y - 7, note, 12, TEXT_COLOUR, anchor="middle"))
        for line_number, line in enumerate(wrap(label, max(14, int(step / 7)))[:2]):
            body.append(_draw_text(middle, base + 20 + 15 * line_number, line, 12, TEXT_COLOUR, anchor="middle"))
        if i < len(columns) - 1:
            y, style = find_y(b), f'stroke="{PALE_COLOUR}" stroke-dasharray="3 3"'
            body.append(f'<line x1="{x + step * 0.6:.1f}" y1="{y:.1f}" x2="{x + step:.1f}" y2="{y:.1f}" {style}/>')
    return _wrap_svg(width, height, body, title)


@dataclass(frozen=True)
class Box:
    """One box of the argument: its name, its text, and one coloured line per person's number."""

    name: str
    text: str
    lines: tuple[tuple[str, str], ...]
    kind: str = "event"


def draw_argument(boxes: Mapping[str, Box], arrows: Sequence[tuple[str, str, bool]], title: str) -> str:
    """Draws boxes in columns, from the causes on the left to the target on the right.

    Args:
        boxes: the boxes by name, each of the kind 'event', 'claim' (about several events) or 'target'.
        arrows: for each arrow, the names of the boxes at its start and end, and whether to draw a dashed arrow because
            the modeller added the connection.
        title: a description of the drawing.
    """
    level = dict.fromkeys(boxes, 0)
    for _ in boxes:  # find the longest path to each box; the number of iterations is fixed, because there may be cycles
        for a, b, _ in arrows:
            if level[b] <= level[a] < len(boxes):
                level[b] = min(level[a] + 1, len(boxes))
    targets = [name for name, box in boxes.items() if box.kind == "target"]
    ranks = sorted(set(level.values()))
    column = {name: ranks.index(level[name]) for name in boxes}
    for name in targets:
        column[name] = max(column.values(), default=0)
    for name in sorted(boxes, key=lambda n: -column[n]):  # moves a source next to its first successor
        successors = [column[b] for a, b, _ in arrows if a == name and column[b] > column[name]]
        if successors and all(b != name for _, b, _ in arrows):
            column[name] = min(successors) - 1
    columns = [[n for n in boxes if column[n] == i] for i in range(max(column.values(), default=0) + 1)]
    box_width, gap, margin = 182.0, 34.0, 10.0
    heights = {n: 40 + 14 * len(wrap(b.text, 26)[:4]) + 15 * len(b.lines) for n, b in boxes.items()}
    total = max(sum(heights[n] + 18 for n in names) for names in columns) + 20
    positions: dict[str, tuple[float, float]] = {}
    for i, names in enumerate(columns):
        y = (total - sum(heights[n] + 18 for n in names)) / 2
        for n in names:
            positions[n] = (margin + i * (box_width + gap), y)
            y += heights[n] + 18
    body = [
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{PALE_COLOUR}"/></marker></defs>'
    ]
    for a, b, dashed in arrows:
        (xa, ya), (xb, yb) = positions[a], positions[b]
        x1, y1, x2, y2 = xa + box_width, ya + heights[a] / 2, xb, yb + heights[b] / 2
        if xb <= xa:
            x1, x2 = (xa + box_width / 2, xb + box_width / 2)
            y1, y2 = (ya, yb + heights[b]) if ya > yb else (ya + heights[a], yb)
            path = f"M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"
        else:
            bend = (x2 - x1) / 2
            path = f"M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        style = 'stroke-dasharray="5 4" stroke="#98a1b0"' if dashed else f'stroke="{PALE_COLOUR}"'
        body.append(f'<path d="{path}" fill="none" {style} stroke-width="1.3" marker-end="url(#tip)"/>')
    for name, box in boxes.items():
        x, y = positions[name]
        fill = {"event": "#ffffff", "claim": "#f6f3ea", "target": "#eef2f8"}[box.kind]
        edge, stroke_width = (TEXT_COLOUR, 2) if box.kind == "target" else (LINE_COLOUR, 1.2)
        body.append(_draw_rectangle(x, y, box_width, heights[name], fill, rx=6, stroke=edge, stroke_width=stroke_width))
        body.append(_draw_text(x + 9, y + 18, box.name, 13, TEXT_COLOUR, weight="700"))
        line = y + 33
        for words in wrap(box.text, 26)[:4]:
            body.append(_draw_text(x + 9, line, words, 11, PALE_COLOUR))
            line += 14
        for words, colour in box.lines:
            body.append(_draw_text(x + 9, line + 3, words, 11.5, colour, weight="600"))
            line += 15
    return _wrap_svg(margin * 2 + len(columns) * (box_width + gap), total, body, title)
