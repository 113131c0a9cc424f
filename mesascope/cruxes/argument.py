"""The argument of a crux file: what the file states, and the questions that can be asked about it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from mesascope.cruxes.answers import ENGINES, Answer, answer_question
from mesascope.cruxes.bounds import Comparison, Constraint, Polytope, Rule
from mesascope.cruxes.claims import INFERENCE_KINDS, Claim, Content, Conventions, Refusal
from mesascope.cruxes.language import SURE_EVENT, Event, are_equivalent, negate
from mesascope.cruxes.loading import read_content
from mesascope.cruxes.readings import Reading
from mesascope.cruxes.source import Source, read_text
from mesascope.errors import MesascopeError, require_known_name


@lru_cache(maxsize=64)
def _read_content(text: str, name: str, conventions: Conventions) -> Content:
    return read_content(Source(text, name), conventions)


class Argument:
    """The content of a crux file, read under one set of conventions. An argument never changes.

    Args:
        text: the file's TOML text.
        name: the file's name, which error messages state.
        conventions: how to read the file; by default `Conventions()`.
    """

    def __init__(self, text: str, name: str = "crux file", conventions: Conventions | None = None):
        self.text, self.name, self.conventions = text, name, conventions or Conventions()
        self.content: Content = _read_content(text, name, self.conventions)
        self._polytopes: dict[str, Polytope] = {}

    def read(self, **changes: Any) -> Argument:
        """Reads the same file under other conventions; the keyword arguments are fields of `Conventions`."""
        for name in changes:
            require_known_name("convention", name, Conventions.__dataclass_fields__)
        for name in ("bridges", "interpretations"):
            if name in changes:
                changes[name] = tuple(changes[name])
        conventions = replace(self.conventions, **changes)
        return self if conventions == self.conventions else Argument(self.text, self.name, conventions)

    @cached_property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 hash of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    # statements

    def pick_person(self, name: str) -> str:
        """Returns a person's id if the file has this person; otherwise raises `MesascopeError`."""
        return require_known_name("person", name, self.content.people)

    @property
    def compared_people(self) -> tuple[str, ...]:
        """The ids of the people whom the file's query compares; empty if the file has no query."""
        return self.content.query.people if self.content.query else ()

    def choose_people(self, names: Sequence[str] | None) -> list[str]:
        """Returns people's ids: the named people, else those whom the query compares, else everybody in the file."""
        return [self.pick_person(name) for name in names or self.compared_people or self.content.people]

    def pick_pair(self, first_person: str | None, second_person: str | None) -> tuple[str, str]:
        """Returns two people's ids; if either argument is None, the ids of the first two people in the file's query."""
        if first_person is None or second_person is None:
            if len(self.compared_people) < 2:
                raise MesascopeError("Two people are needed.", "Name them: --between ann,bob.")
            first_person, second_person = self.compared_people[:2]
        return self.pick_person(first_person), self.pick_person(second_person)

    def parse_event(self, text: str | Event) -> Event:
        """Parses an event over this file's atoms, and expands the definitions that the event uses."""
        return self.content.resolve_event(text)

    def list_claims(self, person: str) -> tuple[Claim, ...]:
        """Lists one person's claims that enter inference, each in the chosen interpretation.

        Claims that are retracted or marked as not used, and claims on refused questions, are left out.
        """
        claims = []
        for claim in self.content.claims.values():
            if claim.kind in INFERENCE_KINDS and claim.people == (person,) and self.is_active(claim):
                for label, interpretation in claim.interpretations.items():
                    if label in self.conventions.interpretations:
                        claim = replace(
                            claim,
                            event=interpretation.event,
                            condition=interpretation.condition,
                            value=interpretation.value,
                        )
                assert claim.event is not None
                if self.find_refusal(person, claim.event) is None:
                    claims.append(claim)
        return tuple(claims)

    def is_active(self, claim: Claim) -> bool:
        """Whether a claim is used and was not retracted."""
        return claim.is_used and self.content.find_reply("retraction", claim.id) is None

    def pick_value(self, claim: Claim) -> Reading:
        """Returns a claim's value.

        If the conventions select reflective values and the claim states such a value, that value is returned instead.
        """
        value = claim.reflective_value if self.conventions.reflective and claim.reflective_value else claim.value
        assert value is not None
        return value

    def find_refusal(self, person: str, event: Event) -> Refusal | None:
        """Finds the refusal that covers an event or its negation; None if the person declines neither."""
        for refusal in self.content.refusals:
            refused_events = [self.content.claims[name].event for name in refusal.claims if refusal.person == person]
            if any(refused and _is_same_question(refused, event) for refused in refused_events):
                return refusal
        return None

    def list_bridges(self, person: str) -> tuple[str, ...]:
        """Lists the ids of one person's bridges; optional bridges are listed only if the conventions switch them on."""
        bridges = [bridge for bridge in self.content.bridges.values() if person in bridge.people]
        return tuple(b.id for b in bridges if not b.is_optional or b.id in self.conventions.bridges)

    def build_polytope(self, person: str) -> Polytope:
        """Builds the set of all distributions that agree with one person's claims and bridges; it is built once."""
        if self.pick_person(person) in self._polytopes:
            return self._polytopes[person]
        mode = "set" if self.conventions.reading == "beta" else self.conventions.reading
        constraints = []
        for claim in self.list_claims(person):
            assert claim.event is not None
            place = f"{self.name}: line {claim.line}: claim {claim.id!r}"
            low, high = self.pick_value(claim).select_interval(mode)
            constraints.append(Constraint(claim.id, claim.event, claim.condition, low, high, place))
        rules = [Rule(bridge, self.content.bridges[bridge].rule) for bridge in self.list_bridges(person)]
        comparisons = [
            Comparison(c.id, c.event, c.condition, c.than, c.than_condition)
            for c in self.content.claims.values()
            if c.event and c.than and c.people == (person,) and self.is_active(c)
        ]
        self._polytopes[person] = Polytope(constraints, rules, comparisons)
        return self._polytopes[person]

    # questions

    def choose_question(
        self, person: str, target: str | Event | None = None, condition: str | Event | None = None
    ) -> tuple[Event, Event]:
        """Chooses the target and the condition of a question to a person.

        By default, both are those of the file's query. A target that is given without a condition has the sure event as
        its condition.
        """
        if target is not None:
            return self.parse_event(target), self.parse_condition(condition)
        if self.content.query is None:
            remedy = 'Add query = { target = "X", compare = ["ann", "bob"] } to the file.'
            raise MesascopeError(f"{self.name} has no [query].", remedy)
        if condition is None:
            return self.content.query.target, self.find_query_condition(person)
        return self.content.query.target, self.parse_condition(condition)

    def choose_common_question(
        self, people: Sequence[str], target: str | Event | None = None, condition: str | Event | None = None
    ) -> tuple[Event, Event]:
        """Chooses one target and one condition for several people.

        If the query has different conditions for these people, the condition is the sure event.
        """
        questions = [self.choose_question(person, target, condition) for person in people]
        is_same = all(are_equivalent(question[1], questions[0][1]) for question in questions)
        return questions[0] if is_same else (questions[0][0], SURE_EVENT)

    def find_query_condition(self, person: str) -> Event:
        """Finds the condition that the file's query has for a person; the sure event if there is no condition."""
        return self.content.query.conditions.get(person, SURE_EVENT) if self.content.query else SURE_EVENT

    def parse_condition(self, text: str | Event | None) -> Event:
        """Parses a condition; None and the empty text mean the sure event."""
        return self.parse_event(text) if text else SURE_EVENT

    def answer(
        self,
        person: str,
        target: str | Event | None = None,
        condition: str | Event | None = None,
        engine: str = "lp",
        draws: int = 100_000,
        *,
        seed: int = 0,
        should_add_variants: bool = True,
    ) -> Answer:
        """Computes what a person's statements imply about P(target | condition).

        Args:
            person: the id of the person.
            target: an event; by default the target of the file's query.
            condition: an event, or "" for no condition. By default, there is no condition if a target is given;
                otherwise, the condition is the query's condition for this person.
            engine: 'lp' (bounds without any independence), 'net' or 'credal' (two names of one engine, which assumes
                a network's independence) or 'sample' (a network whose values are drawn from Beta distributions).
            draws, seed: the number of draws and the random seed, for the engine 'sample'.
            should_add_variants: whether to answer again under every alternative interpretation of this person's
                ambiguous claims, and with and without every optional bridge.

        Returns an `Answer`. A refused, undefined or incoherent answer raises no error; its `status` tells this.
        """
        self.pick_person(person)
        require_known_name("engine", engine, ENGINES)
        event, condition = self.choose_question(person, target, condition)
        no_answer = Answer(person, str(event), str(condition), "inapplicable", engine, self.conventions.reading)
        refusal = self.find_refusal(person, event)
        if refusal is not None:
            return replace(no_answer, status="refused", refusal=refusal)
        claims, polytope = self.list_claims(person), self.build_polytope(person)
        settings = {"reading": self.conventions.reading, "draws": draws, "seed": seed}
        values = {claim.id: self.pick_value(claim) for claim in claims}
        answer = answer_question(person, polytope, event, condition, engine, values=values, **settings)
        if answer.status == "implied" and any(
            values[c.id].centre is not None
            and are_equivalent(c.condition, condition)
            and c.event is not None
            and _is_same_question(c.event, event)
            for c in claims
        ):
            answer = replace(answer, status="stated")
        readings = [
            f"{c.id} is read as: {c.reading_name}"
            for c in claims
            if c.reading_name
            and c.id in answer.claims
            and not set(c.interpretations) & set(self.conventions.interpretations)
        ]
        readings += [f"{b}: {text}" for b in answer.bridges if (text := self.content.bridges[b].text)]
        answer = replace(answer, assumptions=(*answer.assumptions, *readings))
        if not should_add_variants:
            return answer

        def answer_variant(argument: Argument) -> Answer:
            try:
                return argument.answer(person, event, condition, engine, draws, seed=seed, should_add_variants=False)
            except MesascopeError as error:
                return replace(no_answer, assumptions=(str(error),))

        chosen = self.conventions
        labels = self.list_interpretations(answer.claims)
        reinterpreted = {
            label: answer_variant(self.read(interpretations=(*chosen.interpretations, label))) for label in labels
        }
        bridged = {}
        connected = polytope.select_connected(event.atoms | condition.atoms).atoms
        for bridge in self.content.bridges.values():
            if bridge.is_optional and person in bridge.people and bridge.rule.atoms & connected:
                is_on = bridge.id in chosen.bridges
                ids = [b for b in chosen.bridges if b != bridge.id] + [bridge.id] * (not is_on)
                bridged[f"{'without' if is_on else 'with'} {bridge.id}"] = answer_variant(self.read(bridges=ids))
        return replace(answer, interpretations=reinterpreted, bridged=bridged)

    def list_interpretations(self, claims: Sequence[str]) -> list[str]:
        """Lists the labels of the claims' alternative interpretations, except those that the conventions select."""
        stated = [self.content.claims[claim] for claim in claims]
        labels = dict.fromkeys(label for claim in stated for label in claim.interpretations)
        return [label for label in labels if label not in self.conventions.interpretations]

    def translate(
        self, event: str | Event, person: str, condition: str | Event | None = None, engine: str = "lp"
    ) -> Answer:
        """Computes what one person's claims imply about an event in another person's vocabulary.

        Args:
            event: an event, which may contain definitions.
            person: the id of the person.
            condition: an event, or "" for no condition; by default the query's condition for this person.
            engine: see `answer`.

        Returns an `Answer`.
        """
        return self.answer(person, event, self.find_query_condition(person) if condition is None else condition, engine)

    def __getattr__(self, name: str) -> Any:
        # the methods in _METHODS are functions of other modules, one module per topic
        if name not in _METHODS:
            raise AttributeError(f"Argument has no attribute {name!r}; it has {', '.join(sorted(_METHODS))}.")
        module, function = _METHODS[name]
        return partial(getattr(import_module(f"mesascope.cruxes.{module}"), function), self)


def _is_same_question(first: Event, second: Event) -> bool:
    """Whether an event is equivalent to another event or to its complement."""
    return are_equivalent(first, second) or are_equivalent(first, negate(second))


_METHODS = {
    "check": ("coherence", "check_argument"),
    "gap": ("gaps", "explain_gap"),
    "cuts": ("gaps", "explain_cuts"),
    "voi": ("influence", "rank_cruxes"),
    "vod": ("influence", "rank_shared_cruxes"),
    "sensitivity": ("sensitivity", "rank_claims"),
    "update": ("evidence", "update_people"),
    "update_from": ("findings", "update_from_findings"),
    "decide": ("decisions", "evaluate_decisions"),
    "accumulate": ("hypotheses", "accumulate_evidence"),
    "pool": ("pooling", "pool_people"),
    "html": ("page", "render_page"),
    "to_bif": ("interchange", "write_bif"),
    "to_squiggle": ("exchange", "write_squiggle"),
    "to_fri_csv": ("triads", "write_triads"),
}


def load_argument(path: str | Path, **conventions: Any) -> Argument:
    """Opens a crux file.

    Args:
        path: a TOML file of format mesascope-crux/1, at most 1 MB.
        conventions: values for fields of `Conventions`, as keyword arguments.

    Returns an `Argument`. A mistake in the file raises `MesascopeError`, which names the entry and its line.
    """
    return Argument(read_text(path), Path(path).name).read(**conventions)


def load_thread(**conventions: Any) -> Argument:
    """Loads the argument that the package ships, a public thread of August 2020; see `load_argument`."""
    return Argument(read_text(Path(__file__).with_name("thread.toml")), "thread.toml").read(**conventions)
