"""Draws the two figures of docs/spectrum.md: what is deleted and transplanted, and how far back it goes.

Usage: python benchmarks/spectrum_figures.py [LIFETIMES]
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import mesascope

DOCS = Path(__file__).parents[1] / "docs"
FAMILY = "bernoulli_bandit:arms=5,trials=100"
SUBJECTS = {
    "thompson": "Thompson",
    "gittins": "Gittins",
    "greedy": "greedy",
    "satisficer": "satisficer",
    "recurrent:path=unlimited": "GRU, unlimited tasks",
    "windowed:window=6": "last 6 trials",
    "windowed": "last 10 trials",
    "checker": "checks its past",
    "clock_win_stay": "clock",
    "two_loss_reflex": "two losses",
    "ranked:rank=3": "middle arm",
    "thompson:should_minimise=True": "Thompson, against",
}
BELOW = ("greedy", "satisficer", "two_loss_reflex")  # their names stand below their points
CURVES = ("thompson", "greedy", "recurrent:path=unlimited", "windowed:window=6", "two_loss_reflex")


def draw_plane(placements: dict) -> Figure:
    """Deletion against transplant, with two standard errors."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    axes.axhspan(-0.05, 0.05, color="0.92", zorder=0)
    axes.axvspan(-0.05, 0.05, color="0.92", zorder=0)
    for name, placed in placements.items():
        x, y = (placed.numbers[k] for k in ("deletion", "transplant"))
        bars = {f"{a}err": 2 * placed.numbers[f"{k}_error"] for a, k in (("x", "deletion"), ("y", "transplant"))}
        colour = {"acquiring": "C0", "tracking": "C1"}.get(placed.level, "0.4")
        axes.errorbar(x, y, **bars, fmt="o", ms=4, lw=1, color=colour)
        offset = (5, -11 if name in BELOW else 4)
        axes.annotate(SUBJECTS[name], (x, y), xytext=offset, textcoords="offset points", fontsize=7.5)
    axes.set_xlabel("deletion: what the next act loses without trials more than four back")
    axes.set_ylabel("transplant: what it shows of another life's task")
    return figure


def draw_curves(placements: dict) -> Figure:
    """The gain of lives that know only their last trials."""
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.add_subplot()
    for i, name in enumerate(CURVES):
        numbers = placements[name].numbers
        by_trials = {int(w): gain for w, gain in numbers["gain_by_last_trials"].items()}
        axes.plot(list(by_trials), list(by_trials.values()), "o-", ms=3, color=f"C{i}", label=SUBJECTS[name])
        axes.plot([22], [numbers["gain_fresh"]], "s", color=f"C{i}", ms=4)
    axes.set_xscale("log", base=2)
    axes.set_xticks([1, 2, 4, 8, 16, 22], ["1", "2", "4", "8", "16", "all"])
    axes.set_xlabel("how many of its last trials it knows")
    axes.set_ylabel("share of what could be gained")
    axes.legend(fontsize=7.5, frameon=False)
    return figure


def main() -> None:
    """Examines the subjects and writes both figures."""
    lifetimes = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    found = mesascope.examine(list(SUBJECTS), FAMILY, metrics="deletion", lifetimes=lifetimes)
    placements = {e.subject: e.placement for e in found}
    draw_plane(placements).savefig(DOCS / "spectrum_plane.png", dpi=130)
    draw_curves(placements).savefig(DOCS / "spectrum_span.png", dpi=130)
    for name, placed in placements.items():
        numbers = {k: round(placed.numbers[k], 3) for k in ("gain_fresh", "deletion", "transplant")}
        print(name, placed.describe(), placed.direction, numbers)


if __name__ == "__main__":
    main()
