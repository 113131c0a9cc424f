"""Compares a thread's claims with the committed results of studies, and updates people's beliefs on these results."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesascope import cruxes
from mesascope.cruxes.evidence import update_interval
from mesascope.cruxes.texts import describe_question, format_interval
from mesascope.errors import MesascopeError, require_known_name
from mesascope.reproduction.plans import find_study_folder
from mesascope.reproduction.study_findings import find_values, read_results

Interval = tuple[float, float]
STATUSES = {
    "measured": "measured here",
    "not yet measured": "not yet measured",
    "not measurable": "cannot be measured",
}
KINDS_WITHOUT_VIEWS = ("ambiguity", "belief", "crux", "cruxes", "placement", "scope")  # claims that state no own view


@dataclass(frozen=True)
class Measurement:
    """One number of a study.

    Args:
        study: the name of the study.
        quantity: the name of the quantity in the study's results.
        subject: the name of the subject in the study's results.
        label: a description of the number for the report.
        value: the mean over seeds.
        low: the lower end of the mean's 95 % interval; None if there is no interval.
        high: the upper end of the interval; None if there is no interval.
        n: the number of seeds.
        is_trained: whether the study trains networks anew for each seed; otherwise only the lifetimes differ by seed.
    """

    study: str
    quantity: str
    subject: str
    label: str
    value: float
    low: float | None
    high: float | None
    n: int
    is_trained: bool

    def describe(self) -> str:
        """Describes the number with its interval and the number of seeds."""
        value, *ends = (f"{x:.3f}" if abs(x) >= 0.01 or not x else f"{x:.2g}" for x in self._list_numbers())
        seeds = f"(n = {self.n} {'seeds' if self.is_trained else 'seeds of lifetimes'})"
        return f"{value} [{', '.join(ends)}] {seeds}" if ends else f"{value} {seeds}"

    def _list_numbers(self) -> list[float]:
        return [self.value] + ([self.low, self.high] if self.low is not None and self.high is not None else [])


@dataclass(frozen=True)
class Belief:
    """One person's belief in a claim, before and after evidence.

    Args:
        person: the name of the person, or 'you' for the reader.
        before: the interval of the claim's probability that follows from the person's own claims; (0, 1) if the person
            states nothing about it.
        own_ratio: the interval of the likelihood ratio that the person states for the thread's own evidence, or None.
        after_own: the belief that follows from `own_ratio`; None if the person states no ratio.
        ratio: the interval of the measurements' likelihood ratio, which the reader gives or mesascope proposes; None if
            neither does.
        after: the belief that would follow if the person accepted `ratio`; None if there is no ratio.
    """

    person: str
    before: Interval
    own_ratio: Interval | None
    after_own: Interval | None
    ratio: Interval | None
    after: Interval | None


@dataclass(frozen=True)
class ClaimRow:
    """One claim of the thread, with its measurements and everybody's beliefs.

    Args:
        id: the short name of the claim, such as 'P1'.
        claim: the claim in words.
        speaker: the speaker; 'unknown' if the speaker is not recorded.
        quote: the speaker's own words; '' if they are not recorded.
        event: the name of the claim's atom (its elementary event) in the crux model; '' if it has none.
        subject: what the ratio and the beliefs are about: the text of the event, or the claim if it has no event.
        status: 'measured', 'not yet measured' or 'not measurable'.
        measurements: the numbers from studies that bear on the claim.
        shown: a sentence on what the numbers show.
        not_shown: a sentence on what the numbers cannot show.
        ratio: the interval of the measurements' likelihood ratio, which the reader gives or mesascope proposes; None if
            neither does.
        is_readers_ratio: whether the reader gave the ratio.
        beliefs: the belief of each person in the crux model if the claim has an atom, and the reader's if given.
    """

    id: str
    claim: str
    speaker: str
    quote: str
    event: str
    subject: str
    status: str
    measurements: tuple[Measurement, ...]
    shown: str
    not_shown: str
    ratio: Interval | None
    is_readers_ratio: bool
    beliefs: tuple[Belief, ...]


@dataclass(frozen=True)
class TargetAnswer:
    """What a person's claims imply about the target of the crux model, before and after all that was measured.

    Args:
        person: the name of the person.
        question: the question about the target, as the person conditions it.
        before: the interval of the person's answer before the measurements; None if the person's claims give no answer.
        after: the interval after the measurements; None if the person's claims give no answer.
        connected_claims: the ids of the measured claims that the person's own claims connect with the target.
    """

    person: str
    question: str
    before: Interval | None
    after: Interval | None
    connected_claims: tuple[str, ...]


@dataclass(frozen=True)
class Speaker:
    """One person of the thread, with this person's statements in words.

    Args:
        person: the name of the person.
        name: the person's role in the thread.
        statements: the statements in the modeller's words, with the numbers or words that the person gives as chances.
    """

    person: str
    name: str
    statements: tuple[str, ...]


@dataclass(frozen=True)
class ThreadReport:
    """All that the report of the thread shows.

    Args:
        summary: a summary in three sentences.
        about: what the thread is about.
        words: the terms of the report, as dicts with `word` and `means`.
        speakers: the people of the thread, and what each of them says.
        differences: where people differ, as dicts with `says` and `claims` (ids of claims in the crux model).
        rows: the claims of the thread.
        target_answers: each person's answer on the target of the crux model.
        unmeasurable_claims: the claims that no network here can measure, as dicts with `claim` (the claims in words)
            and `claims` (their ids in the crux model).
    """

    summary: tuple[str, ...]
    about: str
    words: tuple[dict[str, str], ...]
    speakers: tuple[Speaker, ...]
    differences: tuple[dict[str, Any], ...]
    rows: tuple[ClaimRow, ...]
    target_answers: tuple[TargetAnswer, ...]
    unmeasurable_claims: tuple[dict[str, Any], ...]


@functools.cache
def _read_study(name: str) -> dict[str, Any]:
    return read_results(find_study_folder(name))


def make_thread_report(
    ratios: Mapping[str, str] | None = None, beliefs: Mapping[str, str] | None = None
) -> ThreadReport:
    """Collects the thread's claims, the numbers measured for them, and everybody's beliefs before and after.

    Only committed results are read; no study runs.

    Args:
        ratios: the reader's likelihood ratios by the id of the claim, such as {"P1": "3-10"}. Claims without an entry
            keep the ratio that mesascope proposes.
        beliefs: the reader's beliefs before the measurements by the id of the claim, such as {"P1": "60%"}.

    Raises:
        MesascopeError: there is no such claim, a ratio or belief cannot be read, or a ratio is given for a claim for
            which nothing was measured.
    """
    ratios, beliefs = ratios or {}, beliefs or {}
    table = tomllib.loads(Path(__file__).with_name("claims.toml").read_text(encoding="utf-8"))
    names = [entry["id"] for entry in table["claims"]]
    for name in (*ratios, *beliefs):
        require_known_name("claim", name, names)
    rows = tuple(_make_row(entry, ratios, beliefs) for entry in table["claims"])
    return ThreadReport(
        summary=_summarise(rows),
        about=table["about"],
        words=tuple(table["words"]),
        speakers=_list_speakers(),
        differences=tuple(table["differences"]),
        rows=rows,
        target_answers=_update_target_answers(rows),
        unmeasurable_claims=tuple(table["unmeasurable"]),
    )


def _list_speakers() -> tuple[Speaker, ...]:
    content, speakers = cruxes.load_thread().content, []
    for person in content.people.values():
        statements = []
        for claim in content.claims.values():
            if person.id not in claim.people or claim.kind in KINDS_WITHOUT_VIEWS:
                continue
            notes = [claim.value.text] if claim.value else []
            notes += ["withdrawn later"] if content.find_reply("retraction", claim.id) else []
            statements.append((claim.text or claim.share_of) + (f" ({', '.join(notes)})" if notes else ""))
        speakers.append(Speaker(person.id, person.name, tuple(statements)))
    return tuple(speakers)


def _update_target_answers(rows: tuple[ClaimRow, ...]) -> tuple[TargetAnswer, ...]:
    """Updates each person's answer on the target, through the measured claims that the person connects with it."""
    argument, models = cruxes.load_thread(), []
    for person in argument.compared_people:
        target, condition = argument.choose_question(person)
        polytope = argument.build_polytope(person)
        connected = polytope.select_connected(target.atoms | condition.atoms).atoms
        bearing = [row for row in rows if row.ratio and row.event in connected]
        spans = [polytope.bound(target, condition).interval]
        for row in bearing:
            event = argument.parse_event(row.event)
            spans += [polytope.bound(target, condition, (event, end)).interval for end in row.ratio or ()]
        ends = [span for span in (spans[1:] or spans) if span]
        after = (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None
        question = describe_question(str(target), str(condition))
        models.append(TargetAnswer(person, question, spans[0], after, tuple(row.id for row in bearing)))
    return tuple(models)


def _make_row(entry: dict[str, Any], ratios: Mapping[str, str], beliefs: Mapping[str, str]) -> ClaimRow:
    name, event = entry["id"], entry.get("event", "")
    measurements = []
    for place in entry.get("measured", []):
        (value,) = find_values(_read_study(place["study"]), place["quantity"], [place["subject"]])
        numbers = {key: value[key] for key in ("low", "high", "n")}
        is_trained = _read_study(place["study"])["trained"]
        measurements.append(Measurement(**place, value=value["ours"], **numbers, is_trained=is_trained))
    if name in ratios and entry["status"] != "measured":
        problem = f"Nothing was measured for {name}, so no likelihood ratio applies."
        raise MesascopeError(problem, "Run the command without --ratio for this claim.")
    stated = ratios.get(name) or entry.get("ratio")
    ratio = cruxes.read_ratio(stated) if stated else None
    people = _update_people(event, ratio) if event else []
    if name in beliefs:
        prior = cruxes.read_value(beliefs[name]).select_interval("centre")
        people.append(Belief("you", prior, None, None, ratio, update_interval(prior, ratio) if ratio else None))
    texts = {key: entry.get(key, "") for key in ("claim", "quote", "status")}
    is_readers = name in ratios
    return ClaimRow(
        id=name,
        event=event,
        subject=cruxes.load_thread().content.atoms[event] if event else entry["claim"],
        speaker=entry.get("who", ""),
        shown=entry.get("says", ""),
        not_shown=entry.get("cannot", ""),
        measurements=tuple(measurements),
        ratio=ratio,
        is_readers_ratio=is_readers,
        beliefs=tuple(people),
        **texts,
    )


def _update_people(event: str, ratio: Interval | None) -> list[Belief]:
    argument, beliefs = cruxes.load_thread(), []
    own = {}
    for evidence in argument.content.evidence.values():
        if str(evidence.event) == event:
            own |= evidence.ratios
    for person in argument.content.people:
        interval = argument.answer(person, event, should_add_variants=False).interval
        if interval is None:
            continue
        after_own = update_interval(interval, own[person]) if person in own else None
        after = update_interval(interval, ratio) if ratio else None
        beliefs.append(Belief(person, interval, own.get(person), after_own, ratio, after))
    return beliefs


def _summarise(rows: tuple[ClaimRow, ...]) -> tuple[str, ...]:
    """Summarises the report in three sentences, with numbers from the results."""
    by_id = {row.id: row for row in rows}
    n = {status: sum(row.status == status for row in rows) for status in STATUSES}
    gain, reflex, search = by_id["P1"].measurements[1], by_id["P1"].measurements[2], by_id["P10"].measurements[0]
    moved = {b.person for row in rows for b in row.beliefs if b.after and b.after != b.before and b.person != "you"}
    fixed = "Nobody's belief moves, because for no measured claim does anybody state both a belief and an expectation"
    beliefs = f"The beliefs of {' and '.join(sorted(moved))} move" if moved else fixed
    return (
        "Small networks with frozen weights do go on improving at tasks that they never saw: "
        f"they gain {gain.value:.0%} of what can be gained ({reflex.value:.0%} without memory), "
        f"and no search was found in them ({search.value:.0%} of {search.n} seeds).",
        f"Of the thread's {len(rows)} claims {n['measured']} are measured here, {n['not yet measured']} not yet, and "
        f"{n['not measurable']} cannot be, and neither can what was said about fixes, motives and governance.",
        f"{beliefs}; a reader has to say first what to expect if a claim is true, and what if it is false.",
    )


def describe_thread(report: ThreadReport) -> list[str]:
    """Describes the report for a terminal, as a list of lines."""
    lines = [*report.summary, ""]
    for row in report.rows:
        speaker = "" if row.speaker == "unknown" else f" ({row.speaker}, inferred)"
        lines.append(f"{row.id}  {row.claim}{speaker}: {STATUSES[row.status]}")
        lines += [f"      {m.label}: {m.describe()}, study {m.study}" for m in row.measurements]
        lines += [f"      {row.shown}", f"      But: {row.not_shown}"]
        if row.ratio:
            owner = "your" if row.is_readers_ratio else "the instrument's proposed"
            about = f" for '{row.subject}'" if row.event else ""
            lines.append(f"      {owner} likelihood ratio{about}: {format_interval(*row.ratio)}")
        for b in row.beliefs:
            if b.before == (0.0, 1.0):
                stated = f"; own ratio {format_interval(*b.own_ratio)}" if b.own_ratio else ""
                lines.append(f"      {b.person}: states no belief in it, so a ratio changes nothing{stated}")
                continue
            own = f", after their own ratio {format_interval(*b.after_own)}" if b.after_own else ""
            after = f", after this ratio {format_interval(*b.after)}" if b.after else ""
            lines.append(f"      {b.person}: before {format_interval(*b.before)}{own}{after}")
    lines += ["", "Where people differ:", *(f"      {entry['says']}" for entry in report.differences)]
    lines += ["", "Everybody's answer on X, existential catastrophe (P: alignment problems exist):"]
    lines += [f"      {describe_target_answer(model)}" for model in report.target_answers]
    lines += ["", "Not measurable by any network here:"]
    lines += [f"      {entry['claim']} ({', '.join(entry['claims'])})" for entry in report.unmeasurable_claims]
    return lines


def describe_target_answer(model: TargetAnswer) -> str:
    """Describes one person's answer on the target before and after the measurements."""
    before, after = (format_interval(*span) if span else "no answer" for span in (model.before, model.after))
    reason = (
        f"through {', '.join(model.connected_claims)}"
        if model.connected_claims
        else "none of the person's claims connects the measured claims with the target"
    )
    return f"{model.person}: {model.question} {before} before, {after} after all that was measured: {reason}"


def render_thread(report: ThreadReport) -> str:
    """Renders the report as one self-contained HTML page; its sliders take the reader's own numbers."""
    from jinja2 import Environment, FileSystemLoader

    folders = [Path(__file__).parent, Path(cruxes.__file__).parent]
    environment = Environment(loader=FileSystemLoader(folders), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["span"] = lambda pair: "–" if pair is None else format_interval(*pair)
    atoms = cruxes.load_thread().content.atoms | {row.id: row.claim for row in report.rows}
    return environment.get_template("thread.html").render(
        report=report, statuses=STATUSES, atoms=atoms, describe_model=describe_target_answer
    )
