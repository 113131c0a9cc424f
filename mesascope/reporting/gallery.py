"""Draws the figures of the page."""

from collections.abc import Sequence

from mesascope.reporting import figures
from mesascope.reporting.figures import (
    acquisition,
    adaptation,
    bank,
    conditions,
    lifetimes,
    memory_span,
    spectrum,
    splits,
    strip,
)
from mesascope.reporting.hints import Examination, Figure
from mesascope.reporting.words import WORDS

FIGURE_DESCRIPTIONS: dict[str, str] = WORDS["figures"]  # by name, in the order of the page


def render_svgs(examinations: Sequence[Examination]) -> dict[str, list[str]]:
    """Renders the figures as SVG elements, in lists by the name of the figure; without data, the list is empty."""
    with figures.apply_style():
        figures_by_name = draw_figures(examinations)
        return {
            name: [
                figures.convert_to_svg(drawing, f"{name} {i}", description)
                for i, drawing in enumerate(figures_by_name[name])
            ]
            for name, description in FIGURE_DESCRIPTIONS.items()
        }


def draw_figures(examinations: Sequence[Examination]) -> dict[str, list[Figure]]:
    """Draws the figures, and returns them by name; must be called within the context `apply_style()`."""
    figures_by_name: dict[str, list[Figure]] = {name: [] for name in FIGURE_DESCRIPTIONS}
    if rows := spectrum.find_placed_subjects(examinations):
        figures_by_name["spectrum"].append(spectrum.draw_figure(rows))
    with_intact = [e for e in examinations if all("intact" in x.condition for x in e.trials.values())]
    curves = [adaptation.collect_curves(e) for e in with_intact]
    payoffs = [lifetimes.compute_payoffs(e) for e in with_intact]
    for normalised in (True, False):  # one figure per unit of the y axis
        if group := [c for c in curves if c[0].is_normalised == normalised]:
            figures_by_name["adaptation"].append(adaptation.draw_figure(group))
        if group := [one for one in payoffs if one.is_normalised == normalised]:
            figures_by_name["lifetimes"].append(lifetimes.draw_figure(group))
    if gains := [g for g in map(splits.compute_split_gains, examinations) if g]:
        figures_by_name["splits"].append(splits.draw_figure(gains))
    if positions := bank.find_positions(examinations):
        figures_by_name["bank"].append(bank.draw_figure(positions))
    if gains := [g for g in map(conditions.select_drawn_gains, examinations) if len(g) > 1]:
        figures_by_name["conditions"].append(conditions.draw_figure(gains))
    if spans := [s for s in map(memory_span.compute_span, examinations) if s]:
        figures_by_name["memory"].append(memory_span.draw_figure(spans))
    shot_curves = [g for g in map(acquisition.find_shot_curves, examinations) if g]
    for elicited in sorted({g.elicitation for g in shot_curves}):  # one figure per way of asking
        figures_by_name["acquisition"].append(
            acquisition.draw_figure([g for g in shot_curves if g.elicitation == elicited])
        )
    if strips := [s for s in map(strip.collect_frames, examinations) if s]:
        figures_by_name["strip"].append(strip.draw_figure(strips))
    return figures_by_name
