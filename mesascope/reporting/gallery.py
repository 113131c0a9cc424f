"""Every picture of the page, by name."""

from collections.abc import Sequence

from mesascope.reporting import figures as draw
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

SAID = {  # to a screen reader
    "spectrum": "Where every subject stands on the ladder from inert to general.",
    "adaptation": "Mean pay-off over the trials of a lifetime, a panel per subject.",
    "lifetimes": "Every lifetime as a row of coloured trials, a panel per subject.",
    "splits": "The gain on every split, a panel per subject.",
    "bank": "The position between the ideal locator of the bank and any learner.",
    "conditions": "The gain under every condition, a panel per subject.",
    "strip": "Frames of the task as they are and as conditions paint on them.",
    "acquisition": "What is recognised and what is acquired by the shots in the context, a panel per subject.",
    "memory": "The gain by how many of the last trials keep their true feedback, a panel per subject.",
}


def pictures(examinations: Sequence[Examination]) -> dict[str, list[str]]:
    """Every picture as an SVG element; none where there is nothing to draw."""
    with draw.style():
        made = figures(examinations)
        return {
            name: [draw.svg(f, f"{name} {i}", said) for i, f in enumerate(made[name])]
            for name, said in SAID.items()
        }


def figures(examinations: Sequence[Examination]) -> dict[str, list[Figure]]:
    """The figures by name; to be called within `style()`."""
    out: dict[str, list[Figure]] = {name: [] for name in SAID}
    if placed := spectrum.standings(examinations):
        out["spectrum"].append(spectrum.figure(placed))
    whole = [e for e in examinations if all("intact" in x.condition for x in e.trials.values())]
    curves = [adaptation.curves(e) for e in whole]
    lives = [lifetimes.lives(e) for e in whole]
    for normalised in (True, False):  # what has another unit has a figure of its own
        if some := [c for c in curves if c[0].normalised == normalised]:
            out["adaptation"].append(adaptation.figure(some))
        if some := [one for one in lives if one.normalised == normalised]:
            out["lifetimes"].append(lifetimes.figure(some))
    names = [e.subject for e in examinations]
    gained = [(g, name) for g, name in zip(map(splits.gains, examinations), names, strict=True) if g]
    if gained:
        out["splits"].append(splits.figure(*zip(*gained, strict=True)))
    if positions := bank.positions(examinations):
        out["bank"].append(bank.figure(positions))
    told = zip(map(conditions.others, examinations), names, strict=True)
    if told := [(d, name) for d, name in told if len(d) > 1]:
        out["conditions"].append(conditions.figure(*zip(*told, strict=True)))
    if spans := [s for s in map(memory_span.span, examinations) if s]:
        out["memory"].append(memory_span.figure(spans))
    grown = [g for g in map(acquisition.growth, examinations) if g]
    for way in sorted({g.asked for g in grown}):  # ways of asking are not compared in one figure
        out["acquisition"].append(acquisition.figure([g for g in grown if g.asked == way]))
    if strips := [s for s in map(strip.strip, examinations) if s]:
        out["strip"].append(strip.figure(strips))
    return out
