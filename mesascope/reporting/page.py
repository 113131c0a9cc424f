"""The page: what it holds, in order, from examinations alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesascope.placement import LADDER, WORDS
from mesascope.reporting import provenance
from mesascope.reporting.figures import (
    adaptation,
    bank,
    conditions,
    lifetimes,
    memory_span,
    rings,
    spectrum,
    style,
    svg,
)
from mesascope.reporting.headlines import HEADLINES, ends, headlines, why
from mesascope.reporting.words import brief, plain, sentences

if TYPE_CHECKING:
    from mesascope.examination import Examination
    from mesascope.findings import Finding

HERE = Path(__file__).parent


def render(examinations: Sequence[Examination], command: str) -> str:
    """The whole page as text; the same for the same examinations and command."""
    import jinja2

    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    ).get_template("page.html")
    return template.render(
        css=_safe((HERE / "page.css").read_text(encoding="utf-8")),
        subjects=[_subject(i, e) for i, e in enumerate(examinations)],
        paragraph=paragraph(examinations),
        figures=_figures(examinations),
        ladder=[(rung, WORDS[rung]) for rung in LADDER],
        heads=[head for head, _, _ in HEADLINES.values()],
        limits=limits(examinations),
        facts=provenance.facts(examinations),
        origins=provenance.subjects(examinations),
        constants=provenance.constants(examinations),
        command="\n".join(plain(line) for line in command.splitlines()),
    )


def _shown(value: Any) -> Any:
    """Whatever the template prints: text from users as one line of visible characters."""
    return (
        value if hasattr(value, "__html__") or not isinstance(value, str) or "\n" in value else plain(value)
    )


def _safe(text: str) -> Any:
    """Text of our own making that is markup already."""
    import markupsafe

    return markupsafe.Markup(text)


def _subject(index: int, e: Examination) -> dict[str, Any]:
    """What the page says of one subject."""
    placed = e.placement
    return {
        "anchor": f"subject-{index + 1}",
        "name": e.subject,
        "trained_on": e.trained_on,
        "level": ends(e),
        "settled": placed is not None and placed.lowest == placed.highest,
        "direction": placed.direction if placed else "–",
        "why": why(e),
        "sentences": sentences(e),
        "headlines": [brief(f) for f in headlines(e).values()],
        "units": next((f"{f.n} {f.unit}s" for f in headlines(e).values() if f), ""),
        "controls": _controls(e.findings),
        "tables": [
            (
                "Confirmatory",
                "named in the placement rule",
                _groups([f for f in e.findings if f.confirmatory]),
            ),
            (
                "Descriptive",
                "not read by the placement; p is adjusted over all numbers of the subject",
                _groups([f for f in e.findings if not f.confirmatory]),
            ),
        ],
    }


def _controls(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """The controls beside the findings: role and who it is."""
    return list(
        {role: str(told.get("subject", "")) for f in findings for role, told in f.controls.items()}.items()
    )


def _groups(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings under their questions, in order."""
    groups: dict[str, dict[str, Any]] = {}
    for f in findings:
        probe, _, label = f.probe.partition(": ")
        group = groups.setdefault(probe, {"probe": probe, "question": f.question, "rows": []})
        group["rows"].append(
            {
                "label": label,
                "ring": f.ring,
                "status": f.status,
                "text": f.text(),
                "unit": f.unit if f.status == "measured" else "",
                "n": f.n if f.status == "measured" else "",
                "controls": {role: _control(told) for role, told in f.controls.items()},
                "p": _p(f.holm),
                "reason": f.reason if f.status == "measured" else "",
            }
        )
    return list(groups.values())


def _control(told: dict[str, Any]) -> str:
    """A control's number."""
    estimate, low, high = (told.get(k) for k in ("estimate", "low", "high"))
    if estimate is None:
        return str(told.get("status", "–"))
    return f"{estimate:.3f}" if low is None or high is None else f"{estimate:.3f} [{low:.3f}, {high:.3f}]"


def _p(holm: float | None) -> str:
    """An adjusted p-value."""
    if holm is None:
        return "–"
    return "<.001" if holm < 0.001 else f"{holm:.3f}"


def paragraph(examinations: Sequence[Examination]) -> str:
    """The run in one paragraph."""
    count = len(examinations)
    lived = [next(iter(e.trials.values())) for e in examinations]
    lives = sorted({d.sizes["lifetime"] for d in lived})
    trials = sorted({d.sizes["trial"] for d in lived})
    parts = [
        f"{count} subject{'s' if count != 1 else ''} with frozen weights lived {_span(lives)} lifetimes of "
        f"{_span(trials)} trials on each ring of {', '.join(dict.fromkeys(e.family for e in examinations))}."
        if not any("logged" in e.trials for e in examinations)
        else f"{count} log{'s' if count != 1 else ''} of {_span(lives)} lifetimes, up to {_span(trials)} trials each."
    ]
    placed = [e for e in examinations if e.placement]
    for rung in (*LADDER, None):
        here = [
            e.subject
            for e in placed
            if e.placement and (ends(e) == rung if rung else e.placement.lowest != e.placement.highest)
        ]
        if here and rung:
            parts.append(f"Placed at {rung}: {', '.join(here)}.")
        elif here:
            parts.append(f"Between two rungs: {', '.join(here)}.")
    if len(placed) < count:
        parts.append(f"Not placed: {', '.join(e.subject for e in examinations if not e.placement)}.")
    return " ".join(parts)


def _span(numbers: Sequence[int]) -> str:
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"


def limits(examinations: Sequence[Examination]) -> list[str]:
    """What the page does not show, in sentences."""
    placed = [e for e in examinations if e.placement]
    out = [
        "The intervals come from resampling what stands behind n, mostly lifetimes of one set of weights. They say "
        "nothing about another training run of the same recipe.",
        "All numbers hold for this family and its rings. Other tasks need their own run.",
        "What a subject does is shown, not how it computes it: a fixed rule, an inference and a search can act alike.",
    ]
    if placed:
        out.append(
            "A share of resamples is how often the rule gives that level when lifetimes are drawn again. It is no "
            "probability that the subject is of that level."
        )
        out.append(
            "The rule reads scores. A subject that takes in its feedback and does not use it for the score stands below "
            "'locating'; the part of its choices that changes is among the numbers."
        )
        if not any(e.placement and e.placement.axes for e in placed):
            out.append("Whether it searches or only controls, and whose goal it follows, were not asked.")
    if any(
        e.trained_on == "unlimited" and e.placement and LADDER.index(e.placement.highest) > 2 for e in placed
    ):
        out.append(
            "For a subject without a bank of training tasks there is nothing to locate in: inference within the family, "
            "with the family as its prior, explains 'acquiring'."
        )
    if any("logged" in e.trials for e in examinations):
        out.append(
            "A log holds what was done, undisturbed. What feedback or memory contributed cannot be read from it, and the "
            "pay-off is the realised one."
        )
    out.append(
        "Only the numbers headed 'confirmatory' enter a placement. The others are descriptive: many were looked at, "
        "and some would lie apart from their null by chance."
    )
    return out


def _figures(examinations: Sequence[Examination]) -> dict[str, list[Any]]:
    """Every figure as markup, by name; an empty list where there is nothing to draw."""
    out: dict[str, list[Any]] = {}

    def put(name: str, made: Any, described: str) -> None:
        out[name].append(_safe(svg(made, f"{name} {len(out[name])}", described)))

    with style():
        out["spectrum"] = []
        if rows := spectrum.standings(examinations):
            put(
                "spectrum",
                spectrum.figure(rows),
                "Where every subject stands on the ladder from inert to general.",
            )
        out["adaptation"] = []
        curves = [adaptation.curves(e) for e in examinations]
        for normalised in (True, False):
            if some := [c for c in curves if c[0].normalised == normalised]:
                put("adaptation", adaptation.figure(some), "Mean pay-off over the trials of a lifetime.")
        out["lifetimes"] = []
        lives = [lifetimes.lives(e) for e in examinations]
        for normalised in (True, False):
            if some := [one for one in lives if one.normalised == normalised]:
                put("lifetimes", lifetimes.figure(some), "Every lifetime as a row of coloured trials.")
        out["rings"] = []
        gains = [(rings.gains(e), e.subject) for e in examinations]
        if some := [g for g in gains if g[0]]:
            put("rings", rings.figure([g for g, _ in some], [n for _, n in some]), "The gain on every ring.")
        out["conditions"] = []
        rows = [(conditions.disturbed(e), e.subject) for e in examinations]
        if some := [r for r in rows if r[0]]:
            made = conditions.figure([r for r, _ in some], [n for _, n in some])
            put("conditions", made, "The gain under every condition.")
        out["memory"] = []
        if some := [s for s in map(memory_span.span, examinations) if s]:
            put(
                "memory",
                memory_span.figure(some),
                "The gain by how many last trials keep their true feedback.",
            )
        out["bank"] = []
        if some := bank.positions(examinations):
            put(
                "bank",
                bank.figure(some),
                "The position between the ideal locator of the bank and any learner.",
            )
    return out
