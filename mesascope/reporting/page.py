"""Renders the page of a report. The page depends only on the examinations and the command."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mesascope.findings import Finding
from mesascope.guards import limits
from mesascope.questions.spectrum.explanation import describe_level
from mesascope.questions.spectrum.ladder import LADDER, LEVEL_NUMBERS
from mesascope.reporting import headlines, provenance, words
from mesascope.reporting.gallery import render_svgs
from mesascope.reporting.grids import make_condition_grid, make_split_grid
from mesascope.reporting.hints import Examination

FOLDER = Path(__file__).parent
DESCRIPTIVE_NOTE = "not used by the placement; p is adjusted over all numbers of the subject"


def render_page(examinations: Sequence[Examination], command: str) -> str:
    """Renders the whole page as text; the same examinations and command give the same text."""
    import jinja2
    from markupsafe import Markup

    placed = [(e, e.placement) for e in examinations if e.placement]
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_escape,
    ).get_template("page.html")
    return template.render(
        css=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
        subjects=[_describe_subject(i, e) for i, e in enumerate(examinations)],
        title=headlines.make_title(examinations),
        paragraph=headlines.describe_run(examinations),
        measured=any(f for e in examinations for f in headlines.pick_headlines(e).values()),
        figures={name: [Markup(svg) for svg in svgs] for name, svgs in render_svgs(examinations).items()},
        grids={"splits": make_split_grid(examinations), "conditions": make_condition_grid(examinations)},
        ladder=[(rung, describe_level(rung)) for rung in LADDER],
        heads=[head for head, _, _ in headlines.HEADLINES.values()],
        placed=bool(placed),
        axes_tested=any(p.axes for _, p in placed),
        without_bank=any(
            e.trained_on == "unlimited" and LEVEL_NUMBERS[p.highest] > LEVEL_NUMBERS["tracking"] for e, p in placed
        ),
        has_log=any(map(headlines.is_log, examinations)),
        facts=provenance.list_facts(examinations),
        transcripts=_list_transcripts(examinations),
        constants=provenance.list_constants(examinations),
        command_lines=[words.make_visible(line) for line in command.splitlines()],
    )


def _escape(value: Any) -> Any:
    """Prepares a value for the template: text that is not markup becomes one line of visible characters."""
    return words.make_visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _describe_subject(index: int, examination: Examination) -> dict[str, Any]:
    """Collects, by name, the values of one subject that the template shows."""
    placement = examination.placement
    numbers = headlines.pick_headlines(examination).values()
    return {
        "anchor": f"subject-{index + 1}",
        "name": examination.subject,
        "trained_on": examination.trained_on,
        "fingerprint": provenance.join_distinct(f.fingerprint for f in examination.answers) or "not available",
        "level": headlines.describe_placement(examination),
        "open": placement is not None and placement.lowest != placement.highest,
        "direction": placement.direction if placement else "–",
        "why": headlines.explain_level(examination),
        "axes": headlines.list_axis_readings(examination),
        "sentences": words.describe_findings(examination),
        "headlines": [words.format_finding(f) for f in numbers],
        "units": next((f"{f.n} {f.unit}s" for f in numbers if f), "–"),
        "controls": {role: str(c.get("subject", "")) for f in examination.answers for role, c in f.controls.items()},
        "participants": _tabulate_participants(examination),
        "tables": [
            ("Confirmatory", "named in the placement rule", _group_findings(examination.answers, is_confirmatory=True)),
            ("Descriptive", DESCRIPTIVE_NOTE, _group_findings(examination.answers, is_confirmatory=False)),
        ],
    }


def _tabulate_participants(examination: Examination) -> dict[str, Any]:
    """Tabulates participants' values: the names of the columns, and a row of texts for each participant."""
    values = examination.participants
    names = list(dict.fromkeys(v.metric for v in values))
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    for v in values:
        interval = f"[{v.low:.3f}, {v.high:.3f}]" if v.low is not None and v.high is not None else ""
        rows.setdefault((v.participant, v.group), {"n": v.n})[v.metric] = (f"{v.estimate:.3f}", interval)
    cells = [(*owner, row["n"], [row.get(name, ("–", "")) for name in names]) for owner, row in rows.items()]
    return {"names": names, "rows": cells, "has_groups": any(group for _, group in rows)}


def _group_findings(findings: Sequence[Finding], is_confirmatory: bool) -> list[dict[str, Any]]:
    """Groups the confirmatory or the descriptive findings by their questions, in the order of the findings."""
    groups: dict[str, dict[str, Any]] = {}
    for f in [f for f in findings if f.confirmatory == is_confirmatory]:
        metric, _, label = f.metric.partition(": ")
        group = groups.setdefault(metric, {"metric": metric, "question": f.question, "rows": []})
        group["rows"].append({"label": label, "finding": f})
    return list(groups.values())


def _list_transcripts(examinations: Sequence[Examination]) -> list[dict[str, Any]]:
    """Lists the last question as sent and every answer, for each subject that was asked in words and each condition."""
    return [
        {
            "subject": e.subject,
            "split": words.describe_split(split),
            "condition": words.describe_condition(str(label)),
            **limits.parse_json(str(text)),
        }
        for e in examinations
        for split, trials in e.trials.items()
        if "transcript" in trials
        for label, text in zip(trials.condition.values, trials.transcript.values, strict=True)
    ]
