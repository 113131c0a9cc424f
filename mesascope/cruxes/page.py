"""Renders an argument as one self-contained HTML page, without scripts, that can be printed."""

from itertools import cycle, product
from pathlib import Path
from typing import Any

from mesascope.cruxes import figures
from mesascope.cruxes.answers import STATUSES, Answer
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.claims import CLAIM_KINDS, NUMERIC_KINDS
from mesascope.cruxes.figures import Bar, Box, draw_argument, draw_intervals, draw_waterfall
from mesascope.cruxes.findings import Tally
from mesascope.cruxes.gaps import GapReport
from mesascope.cruxes.language import SURE_EVENT, find_literals
from mesascope.cruxes.reader import describe_event
from mesascope.cruxes.texts import describe_conventions, describe_question, format_interval, format_number
from mesascope.errors import MesascopeError


def render_page(argument: Argument, findings: str | Path | None = None, should_use_points: bool = False) -> str:
    """Renders an argument as an HTML page.

    Args:
        argument: the crux file, as `load_argument` returns it.
        findings: a folder with findings.json, whose findings the measures of the crux file count; by default none.
        should_use_points: whether to split the gap between points of the answers; the page then says that no claim
            supports these points.

    Returns HTML with inline SVG and styles, without scripts or external addresses; all text is escaped.
    """
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    tallies = argument.update_from(findings) if findings else []
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=format_number, svg=Markup, percent=lambda x: "–" if x is None else f"{x:.1%}")
    content = argument.content
    people = dict.fromkeys((*argument.compared_people, *content.people))
    colours = dict(zip(people, cycle(figures.SERIES_COLOURS), strict=False))
    gaps = _explain_gaps(argument, should_use_points)
    answers = [argument.answer(p) for p in argument.compared_people]
    if not isinstance(gaps, str):  # show everybody's answers to the same questions
        answers = [answer for asked in gaps.questions for answer in asked.answers]
    return environment.get_template("page.html").render(
        argument=argument,
        content=content,
        conventions=describe_conventions(argument.conventions),
        colours=colours,
        answers=answers,
        statuses=STATUSES,
        issues=argument.check(),
        arguments=_draw_arguments(argument, colours),
        intervals=_draw_bottom_lines(argument, answers, colours) if answers else "",
        gaps=gaps,
        summary=_summarise(argument, gaps),
        waterfalls=_draw_waterfalls(gaps),
        influence=_rank_cruxes(argument),
        statements=_list_statements(argument),
        evidence=_list_evidence(argument),
        evidence_drawing=_draw_evidence(argument, colours, tallies),
        interval=format_interval,
        question=describe_question,
        tallies=tallies,
        kinds=CLAIM_KINDS,
    )


def _draw_bottom_lines(argument: Argument, answers: list[Answer], colours: dict[str, str]) -> str:
    bars: list[Bar] = []
    on_reflection = argument.read(reflective=True)

    def add_bar(label: str, answer: Answer, is_minor: bool = True) -> None:
        if answer.interval:
            bars.append(Bar(label, answer.interval, colours[answer.person], is_minor))

    for answer in answers:
        add_bar(f"{answer.person}: {describe_question(answer.event, answer.given)}", answer, is_minor=False)
        variants = {f"read as “{label}”"[:52]: x for label, x in answer.interpretations.items()} | {**answer.bridged}
        if any(argument.content.claims[claim].reflective_value for claim in answer.claims):
            condition = "" if answer.given == str(SURE_EVENT) else answer.given
            variants["on reflection"] = on_reflection.answer(
                answer.person, answer.event, condition, should_add_variants=False
            )
        for label, variant in variants.items():
            if variant.interval != answer.interval:
                add_bar(label, variant)
    return draw_intervals(bars, "Everybody's answer to the same questions, as intervals on one axis")


def _draw_arguments(argument: Argument, colours: dict[str, str]) -> list[tuple[str, str]]:
    """Draws the claims connected to the target; returns pairs of a title and an SVG."""
    content = argument.content
    target = content.query.target.atoms if content.query else frozenset()
    connected_ids: set[str] = set()
    for person in content.people if target else ():
        part = argument.build_polytope(person).select_connected(target)
        connected_ids |= {item.id for item in part.statements}
    drawing = _draw_argument(argument, colours, target, connected_ids)
    return [(f"Claims that bear on {', '.join(sorted(target))}", drawing)] if drawing else []


def _draw_argument(argument: Argument, colours: dict[str, str], target: frozenset[str], statement_ids: set[str]) -> str:
    content = argument.content
    lines: dict[str, list[tuple[str, str]]] = {}
    arrows: dict[tuple[str, str], bool] = {}
    compound_boxes: dict[str, Box] = {}
    for person in content.people:
        for claim in argument.list_claims(person):
            if claim.id not in statement_ids or claim.event is None:
                continue
            literals, sources = find_literals(claim.event) or {}, claim.condition.atoms
            stated = argument.pick_value(claim).text
            if len(literals) == 1:
                ((atom, sign),) = literals.items()
                lines.setdefault(atom, []).append((f"{person}: {'' if sign else 'not, '}{stated}", colours[person]))
            else:
                atom = claim.id
                line = (f"{person}: {stated}", colours[person])
                compound_boxes[atom] = Box(atom, claim.event_text or str(claim.event), (line,), "claim")
                sources = sources | claim.event.atoms
            arrows |= {(source, atom): False for source in sources}
        for name in argument.list_bridges(person):
            atoms = content.bridges[name].rule.atoms if name in statement_ids else frozenset()
            ends = target & atoms or atoms
            for pair in product(atoms - ends, ends):
                arrows.setdefault(pair, True)
    names = {n for pair in arrows for n in pair} | set(lines)
    boxes = {
        atom: Box(atom, text, tuple(lines.get(atom, ())), "target" if atom in target else "event")
        for atom, text in content.atoms.items()
        if atom in names
    } | compound_boxes
    direct_pairs = [pair for pair in sorted(arrows) if not _is_connected(*pair, arrows.keys() - {pair})]
    direct_arrows = [(*pair, arrows[pair]) for pair in direct_pairs]
    title = "The argument as a graph with each person's stated numbers"
    return draw_argument(boxes, direct_arrows, title) if boxes else ""


def _is_connected(start: str, end: str, arrows: set[tuple[str, str]]) -> bool:
    """Whether a path of arrows leads from one box to another."""
    reached = {start}
    while reached_boxes := {b for a, b in arrows if a in reached} - reached:
        reached |= reached_boxes
    return end in reached


def _explain_gaps(argument: Argument, should_use_points: bool) -> GapReport | str:
    try:
        return argument.cuts(should_use_points=should_use_points)
    except MesascopeError as error:
        return str(error)


def _summarise(argument: Argument, report: GapReport | str) -> str:
    """Summarises the result in one or two sentences."""
    content = argument.content
    if isinstance(report, str) or content.query is None:
        return f"{len(content.claims)} statements of {len(content.people)} people."
    asked = report.questions[0]
    meaning = describe_event(content, content.query.target)
    spans = ", ".join(f"{a.person}'s claims allow {format_interval(a.low, a.high)}" for a in asked.answers)
    overlap = "The sets overlap, so the claims do not say that the two differ."
    result = overlap if asked.overlap else "The sets do not overlap: the two differ."
    result = result if asked.difference else "One person has no answer."
    return f"How likely is {asked.target} ({meaning})? Asked the same question, {spans}. {result}"


def _draw_waterfalls(report: GapReport | str) -> list[str]:
    drawings = []
    for gap in [] if isinstance(report, str) else report.gaps:
        steps = [(p.name, p.share, "" if p.fraction is None else f"({p.fraction:.0%})") for p in gap.parts]
        if gap.remainder:
            steps.append(("not additive", gap.remainder, ""))
        first, second = ((f"{person}, read at a point", end) for person, end in zip(gap.people, gap.ends, strict=True))
        title = f"From {gap.people[0]} to {gap.people[1]} by the cut {gap.cut}, between points that no claim supports"
        drawings.append(draw_waterfall(first, steps, second, title))
    return drawings


def _rank_cruxes(argument: Argument) -> list[dict[str, Any]]:
    blocks = []
    for person in argument.compared_people:
        try:
            blocks.append({"person": person, "values": argument.voi(person), "reason": ""})
        except MesascopeError as error:
            blocks.append({"person": person, "values": [], "reason": str(error)})
    return blocks


def _list_statements(argument: Argument) -> list[dict[str, Any]]:
    content, rows = argument.content, []
    for claim in content.claims.values():
        if claim.kind in NUMERIC_KINDS:
            subject = describe_question(claim.event_text, str(claim.condition))
            reading = format_interval(*argument.pick_value(claim).select_interval(argument.conventions.reading))
        else:
            subject = claim.share_of or claim.phrase or str(claim.event or "")
            reading = f"({CLAIM_KINDS[claim.kind]})"
        marks = (
            ["endorsed" if claim.is_endorsed else content.people[claim.people[0]].attribution]
            if claim.people[0] in content.people
            else []
        )
        marks += ["ambiguous"] if claim.interpretations or claim.kind == "ambiguity" else []
        marks += ["withdrawn"] if content.find_reply("retraction", claim.id) else []
        marks += [f"refused by {refusal.person}" for refusal in content.refusals if claim.id in refusal.claims]
        stated = claim.value.text if claim.value else ""
        rows.append({"claim": claim, "subject": subject, "read": reading, "marks": ", ".join(marks), "stated": stated})
    return rows


def _list_evidence(argument: Argument) -> list[dict[str, Any]]:
    evidence, rows = argument.content.evidence, []
    for name, item in (*evidence.items(), *argument.content.questions.items()):
        is_count = name in evidence and (evidence[name].is_count or bool(evidence[name].hypothesis_set))
        updates = [] if is_count else argument.update(name)
        rows.append({"id": name, "text": item.text, "about": str(item.event), "updates": updates})
    return rows


def _draw_evidence(argument: Argument, colours: dict[str, str], tallies: list[Tally]) -> str:
    results = [
        (name, argument.update(name))
        for name, e in argument.content.evidence.items()
        if not (e.is_count or e.hypothesis_set)
    ]
    results += [(f"{tally.evidence} ({tally.k} of {tally.n})", list(tally.updates)) for tally in tallies]
    bars = []
    for name, update in ((name, update) for name, updates in results for update in updates):
        if update.status == "asked" or update.prior is None or update.posterior is None:
            continue
        label = f"{name}, {update.person}: P({update.about}) before"
        bars.append(Bar(label, update.prior, figures.PALE_COLOUR, is_minor=True))
        label = "after" if update.status == "moved" else "after (cannot move)"
        bars.append(Bar(label, update.posterior, colours[update.person]))
    return draw_intervals(bars, "Each person before and after the evidence") if bars else ""
