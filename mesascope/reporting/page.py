"""The page: what it holds, in order, from examinations alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mesascope.findings import Finding
from mesascope.questions.spectrum.placement import LADDER, WORDS
from mesascope.reporting import provenance
from mesascope.reporting.gallery import pictures
from mesascope.reporting.grids import condition_grid, split_grid
from mesascope.reporting.headlines import HEADLINES, axes, describe_ends, explain_level, headlines
from mesascope.reporting.hints import Examination
from mesascope.reporting.prose import limits, paragraph, title
from mesascope.reporting.transcripts import list_transcripts
from mesascope.reporting.words import describe_findings, format_finding, visible_text

HERE = Path(__file__).parent
DESCRIPTIVE = "not read by the placement; p is adjusted over all numbers of the subject"


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
        css=_markup((HERE / "page.css").read_text(encoding="utf-8")),
        subjects=[_subject(i, e) for i, e in enumerate(examinations)],
        title=title(examinations),
        paragraph=paragraph(examinations),
        measured=any(f for e in examinations for f in headlines(e).values()),
        figures={name: [_markup(one) for one in drawn] for name, drawn in pictures(examinations).items()},
        grids={"splits": split_grid(examinations), "conditions": condition_grid(examinations)},
        ladder=[(rung, WORDS[rung]) for rung in LADDER],
        heads=[head for head, _, _ in HEADLINES.values()],
        limits=limits(examinations),
        facts=provenance.facts(examinations),
        origins=provenance.subjects(examinations),
        spoken=list_transcripts(examinations),
        constants=provenance.constants(examinations),
        lines=[visible_text(line) for line in command.splitlines()],
    )


def _shown(value: Any) -> Any:
    """What the template prints: text from anyone as one line of visible characters."""
    return visible_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _markup(text: str) -> Any:
    """Text of our own making that is markup already."""
    import markupsafe

    return markupsafe.Markup(text)


def _subject(index: int, e: Examination) -> dict[str, Any]:
    """What the page says of one subject."""
    placed = e.placement
    asked = [f for f in e.answers if f.confirmatory], [f for f in e.answers if not f.confirmatory]
    return {
        "anchor": f"subject-{index + 1}",
        "name": e.subject,
        "trained_on": e.trained_on,
        "level": describe_ends(e),
        "open": placed is not None and placed.lowest != placed.highest,
        "direction": placed.direction if placed else "–",
        "why": explain_level(e),
        "axes": axes(e),
        "sentences": describe_findings(e),
        "headlines": [format_finding(f) for f in headlines(e).values()],
        "units": next((f"{f.n} {f.unit}s" for f in headlines(e).values() if f), "–"),
        "controls": _controls(e.answers),
        "tables": [
            ("Confirmatory", "named in the placement rule", _groups(asked[0])),
            ("Descriptive", DESCRIPTIVE, _groups(asked[1])),
        ],
    }


def _controls(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """The controls beside the findings: role and who it is."""
    who = {role: str(told.get("subject", "")) for f in findings for role, told in f.controls.items()}
    return list(who.items())


def _groups(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings under their questions, in order."""
    groups: dict[str, dict[str, Any]] = {}
    for f in findings:
        metric, _, label = f.metric.partition(": ")
        group = groups.setdefault(metric, {"metric": metric, "question": f.question, "rows": []})
        group["rows"].append(
            {
                "label": label,
                "split": f.split,
                "status": f.status,
                "text": f.text(),
                "controls": {role: _control(told) for role, told in f.controls.items()},
                "p": _p(f.holm),
                "reason": f.reason if f.status == "measured" else "",
            }
        )
    return list(groups.values())


def _control(told: dict[str, Any]) -> tuple[str, str]:
    """A control's number and its interval."""
    estimate, low, high = (told.get(k) for k in ("estimate", "low", "high"))
    if estimate is None:
        return str(told.get("status", "–")), ""
    return f"{estimate:.3f}", "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def _p(holm: float | None) -> str:
    """An adjusted p-value."""
    if holm is None:
        return "–"
    return "<.001" if holm < 0.001 else f"{holm:.3f}"
