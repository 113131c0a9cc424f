"""Asks readers for their own numbers, and writes the answers as crux files; nobody else's numbers are shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.claims import Content, Cut
from mesascope.cruxes.language import SURE_EVENT, Event, conjoin
from mesascope.cruxes.readings import read_value
from mesascope.cruxes.toml_writer import write_toml
from mesascope.errors import MesascopeError, require, require_known_name

AskFunction = Callable[[str], str]
"""Shows a question and returns the answer, or '' if the reader leaves the question out."""


@dataclass(frozen=True)
class ExpectedObservation:
    """One observation that a reader may have expected: its id, its event, and the texts of event and observation."""

    id: str
    event: str
    claim: str
    observation: str


@dataclass(frozen=True)
class RivalHypotheses:
    """Observations that bear on several hypotheses, exactly one of which holds.

    Args:
        name: the name of the set of hypotheses.
        hypotheses: the text of each hypothesis, by its event.
        observations: the text of each observation, by its evidence id.
        groups: the file's groups of observations, by name, as dicts with `items`, `discount` and `why`.
    """

    name: str
    hypotheses: dict[str, str]
    observations: dict[str, str]
    groups: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class CutPart:
    """One part of a reader's bottom line: its name, event and condition, and the question about it in words."""

    name: str
    event: str
    given: str
    question: str


@dataclass(frozen=True)
class CutForm:
    """The rule by which the parts make a bottom line: 'product', or 'complement' for one minus the product."""

    form: str
    target: str
    target_text: str
    reason: str
    parts: tuple[CutPart, ...]


@dataclass
class Draft:
    """A crux file that is being written.

    Args:
        title: the title of the file.
        target: the target of the query, or '' if the file has no query.
        atoms: the text of each atom, by the atom's name.
        people: the name of each person, by the person's id.
        claims, evidence, hypotheses, independence: the fields of each entry of these tables, by the entry's id.
    """

    title: str
    target: str = ""
    atoms: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    claims: dict[str, dict[str, object]] = field(default_factory=dict)
    evidence: dict[str, dict[str, object]] = field(default_factory=dict)
    hypotheses: dict[str, dict[str, object]] = field(default_factory=dict)
    independence: dict[str, dict[str, object]] = field(default_factory=dict)

    def write(self) -> str:
        """Writes the draft as TOML."""
        data: dict[str, object] = {"format": "mesascope-crux/1", "title": self.title}
        if self.target:
            data["query"] = {"target": self.target, "compare": [*self.people]}
        people = {name: {"name": text} for name, text in self.people.items()}
        data |= {"atoms": self.atoms, "people": people, "claims": self.claims, "evidence": self.evidence}
        data |= {"hypotheses": self.hypotheses} if self.hypotheses else {}
        data |= {"independence": self.independence} if self.independence else {}
        return write_toml(data)


def describe_event(content: Content, event: Event) -> str:
    """Puts an event in words, with the texts of its atoms."""
    if event.operator == "atom":
        return content.atoms.get(event.name, event.name)
    if event.operator == "sure":
        return "anything"
    parts = [describe_event(content, part) for part in event.parts]
    words = {"&": " and ", "|": " or ", "->": " only if ", "<->": " exactly if "}
    return f"not ({parts[0]})" if event.operator == "!" else words[event.operator].join(parts)


def list_questions(argument: Argument) -> tuple[list[ExpectedObservation], CutForm | None]:
    """Lists the questions for a reader: every observation about one event, and the parts of the file's first cut."""
    content = argument.content
    items = [
        ExpectedObservation(e.id, str(e.event), describe_event(content, e.event), e.text or e.id)
        for e in content.evidence.values()
        if not e.hypothesis_set
    ]
    cut = next(iter(content.cuts.values()), None)
    problem = f"{argument.name} has nothing to ask about: no evidence, and no cut."
    has_questions = bool(items) or cut is not None or bool(list_rival_hypotheses(argument))
    require(has_questions, problem, "Add [evidence] with about = ... or over = ..., or [cuts].")
    return items, None if cut is None else _describe_cut(content, cut)


def list_rival_hypotheses(argument: Argument) -> list[RivalHypotheses]:
    """Lists the sets of hypotheses of a file that have observations, with these observations."""
    content, found = argument.content, []
    for name, events in content.hypotheses.items():
        observations = {e.id: e.text or e.id for e in content.evidence.values() if e.hypothesis_set == name}
        groups = {
            group_name: {"items": [i for i in group.items if i in observations], "discount": group.discount}
            | {"why": group.reason}
            for group_name, group in content.independence.items()
        }
        if observations:
            hypotheses = {str(event): describe_event(content, event) for event in events.values()}
            found.append(RivalHypotheses(name, hypotheses, observations, groups))
    return found


def _describe_cut(content: Content, cut: Cut) -> CutForm:
    parts, condition = [], cut.condition
    for name, event in cut.parts.items():
        words = f"How likely is it that {describe_event(content, event)}"
        words += f", if {describe_event(content, condition)}?" if condition != SURE_EVENT else "?"
        parts.append(CutPart(name, str(event), "" if condition == SURE_EVENT else str(condition), words))
        condition = conjoin(condition, event)
    target_text = describe_event(content, cut.target)
    if cut.condition != SURE_EVENT:
        target_text += f", if {describe_event(content, cut.condition)}"
    return CutForm(cut.form, str(cut.target), target_text, cut.text, tuple(parts))


def render_questions(argument: Argument) -> str:
    """Renders the questions as one HTML page with sliders, which works offline and shows nobody's numbers."""
    from jinja2 import Environment, FileSystemLoader

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    items, cut = list_questions(argument)
    return environment.get_template("reader.html").render(
        content=argument.content, items=items, cut=cut, rivals=list_rival_hypotheses(argument)
    )


def ask_reader(argument: Argument, ask: AskFunction, say: Callable[[str], None]) -> Draft:
    """Asks a reader for their own numbers, shows what follows, and returns the numbers as a draft of a crux file.

    Args:
        argument: the crux file, as `load_argument` returns it.
        ask: a function that shows a question and returns the answer; see `AskFunction`.
        say: a function that shows a text to the reader.
    """
    content = argument.content
    items, cut = list_questions(argument)
    draft = Draft(f"My own numbers on: {content.title}", people={"you": "You"})
    for item in items:
        prior = _ask_value(ask, say, f"How likely is it that {item.claim}?")
        yes = _ask_value(ask, say, f"If it is true, how likely would you expect to see this: {item.observation}?")
        no = _ask_value(ask, say, "If it is false, how likely would you expect to see this?") if yes else ""
        _add_atoms(draft, content, item.event)
        if prior:
            own = {"by": "you", "event": item.event, "value": prior, "endorsed": True}
            draft.claims.setdefault(f"belief_in_{_make_name(item.event)}", own)
        if yes and no:
            (low, high), (other_low, other_high) = (read_value(x).select_interval("centre") for x in (yes, no))
            if low > 0 and other_low > 0:
                ratio = f"{low / other_high:.6g}-{high / other_low:.6g}"
                entry = {"about": item.event, "text": item.observation, "lr": {"you": ratio}}
                draft.evidence[item.id] = entry
                own_argument = Argument(draft.write(), "your numbers")
                (update,) = own_argument.update(item.id)
                if update.posterior:
                    ends = sorted({f"{x:.3g}" for x in update.posterior})
                    say(f"Your belief that {item.claim}: {' to '.join(ends)} afterwards.")
    for rivals in list_rival_hypotheses(argument):
        _ask_about_rivals(draft, content, rivals, ask, say)
    if cut is not None:
        _ask_parts(draft, content, cut, ask, say)
    return draft


def _ask_about_rivals(
    draft: Draft, content: Content, rivals: RivalHypotheses, ask: AskFunction, say: Callable[[str], None]
) -> None:
    """Asks for the chance of each hypothesis but the last, and of each observation under each hypothesis."""
    *first_events, last_event = rivals.hypotheses
    for event in rivals.hypotheses:
        _add_atoms(draft, content, event)
    for event in first_events:
        if prior := _ask_value(ask, say, f"How likely is it that {rivals.hypotheses[event]}?"):
            own = {"by": "you", "event": event, "value": prior, "endorsed": True}
            draft.claims.setdefault(f"belief_in_{_make_name(event)}", own)
    say(f"The rest is your belief that {rivals.hypotheses[last_event]}.")
    for item, observation in rivals.observations.items():
        chances: dict[str, str] = {}
        for event, text in rivals.hypotheses.items():
            question = f"If {text}, how likely would you expect to see this: {observation}?"
            if not (value := _ask_value(ask, say, question)):
                break
            chances[event] = value
        else:
            draft.evidence[item] = {"over": rivals.name, "text": observation, "likelihoods": {"you": chances}}
    items = [item for item in rivals.observations if item in draft.evidence]
    if not items:
        return
    draft.hypotheses[rivals.name] = {"of": list(rivals.hypotheses)}
    for name, group in rivals.groups.items():
        members = [item for item in items if item in group["items"]]
        if len(members) > 1:
            draft.independence[name] = {**group, "items": members}
    try:
        (posterior,) = Argument(draft.write(), "your numbers").accumulate(items)
    except MesascopeError as error:
        say(str(error))
        return
    for event, prior, after in zip(posterior.hypotheses, posterior.prior, posterior.posterior, strict=False):
        ends, before = (" to ".join(sorted({f"{x:.3g}" for x in span}, key=float)) for span in (after, prior))
        say(f"Your belief that {rivals.hypotheses[event]}: {before} before, {ends} afterwards.")
    if not posterior.posterior:
        say(posterior.reason)


def _ask_parts(draft: Draft, content: Content, cut: CutForm, ask: AskFunction, say: Callable[[str], None]) -> None:
    low = high = 1.0
    for part in cut.parts:
        value = _ask_value(ask, say, part.question)
        if not value:
            say("Without this number there is no bottom line.")
            return
        ends = read_value(value).select_interval("centre")
        low, high = low * ends[0], high * ends[1]
        _add_atoms(draft, content, f"({part.event}) & ({part.given or part.event})")
        fields = {"by": "you", "event": part.event, "given": part.given, "value": value, "endorsed": True}
        draft.claims[f"part_{_make_name(part.name)}"] = fields
    low, high = (1 - high, 1 - low) if cut.form == "complement" else (low, high)
    say(f"Your bottom line, {cut.target_text}: {' to '.join(sorted({f'{x:.3g}' for x in (low, high)}))}.")


def _ask_value(ask: AskFunction, say: Callable[[str], None], question: str) -> str:
    """Repeats a question until the answer is a probability, or ''."""
    while answer := ask(question).strip():
        try:
            read_value(answer)
            return answer
        except MesascopeError as error:
            say(str(error))
    return ""


def _add_atoms(draft: Draft, content: Content, event: str) -> None:
    for atom in sorted(content.resolve_event(event).atoms):
        draft.atoms[atom] = content.atoms[atom]


def _make_name(text: str) -> str:
    return re.sub(r"\W+", "_", text).strip("_")


def draft_argument(ask: AskFunction, show: Callable[[str], None]) -> Draft:
    """Drafts a crux file by asking for the title, the target, and who says what in which words.

    Args:
        ask: a function that shows a question and returns the answer; see `AskFunction`.
        show: a function that shows a text.
    """
    draft = Draft(ask("What is the dispute about?") or "untitled")
    draft.target = _make_name(ask("One word for the event that it is about:")) or "Target"
    draft.atoms[draft.target] = ask(f"What does {draft.target} mean, as a yes/no event?") or draft.target
    while name := _make_name(ask("Who says something? (empty: nobody else)")):
        draft.people.setdefault(name, name)
        quote = ask(f"A phrase in {name}'s own words:")
        event = ask("Which event is it about? (a word, or words joined by & and |)") or draft.target
        condition = ask("Under which condition? (empty: whatever happens)")
        value = _ask_value(ask, show, "How likely, as a number or a word?")
        if not value:
            continue
        for atom in _list_names(f"{event} {condition}"):
            if atom not in draft.atoms:
                draft.atoms[atom] = ask(f"What does {atom} mean, as a yes/no event?") or atom
        fields: dict[str, object] = {"by": name, "event": event, "given": condition, "value": value, "quote": quote}
        draft.claims[f"{name}{1 + sum(c['by'] == name for c in draft.claims.values())}"] = fields
    if not draft.people:
        raise MesascopeError("Nobody says anything, so there is no argument.", "Name at least one person.")
    Argument(draft.write(), "the new file")  # raises an error if the draft is not a valid crux file
    return draft


def _list_names(text: str) -> Iterable[str]:
    return re.findall(r"[A-Za-z_]\w*", text)


def endorse_claims(text: str, name: str, claims: Iterable[str]) -> str:
    """Marks claims of a crux file as endorsed by the people who made them; returns the file's new text.

    Args:
        text: the file's TOML text.
        name: the file's name, which error messages state.
        claims: the ids of the claims to mark as endorsed.
    """
    content = Argument(text, name).content
    lines = text.split("\n")
    for claim in claims:
        entry = content.claims[require_known_name("claim", claim, content.claims)]
        if entry.is_endorsed:
            continue
        line = lines[entry.line - 1]
        if "{" in line:
            lines[entry.line - 1] = line.replace("{", "{ endorsed = true,", 1)
        else:  # a table of its own: [claims.d1]
            lines[entry.line - 1] = f"{line}\nendorsed = true"
            return endorse_claims("\n".join(lines), name, claims)
    changed = "\n".join(lines)
    Argument(changed, name)
    return changed
