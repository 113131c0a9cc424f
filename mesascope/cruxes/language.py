"""The language of events; its operators are, from the tightest to the loosest, `!`, `&`, `|`, `->` and `<->`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from mesascope.errors import MesascopeError, require, require_known_name

MAX_LENGTH = 2000
MAX_NESTING = 60
MAX_HEIGHT, MAX_PARTS = 150, 5000  # the greatest height and size of an event's tree after its definitions are expanded
_TOKEN_PATTERN = re.compile(r"\s*(?:(<->|->|[!&|()])|([A-Za-z_][A-Za-z0-9_]*))")
NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class Event:
    """A yes/no event: an operator over parts, or one atom.

    Args:
        operator: "atom", "!", "&", "|", "->", "<->" or "sure" (the event that always happens).
        parts: the events that the operator joins.
        name: the atom's name, for atoms only.
    """

    operator: str
    parts: tuple[Event, ...] = ()
    name: str = ""

    @cached_property
    def atoms(self) -> frozenset[str]:
        """The names of the event's atoms."""
        if self.operator == "atom":
            return frozenset((self.name,))
        return frozenset().union(*(part.atoms for part in self.parts))

    def evaluate(self, worlds: Mapping[str, np.ndarray]) -> np.ndarray:
        """Finds out in which worlds the event happens.

        Args:
            worlds: for every atom of the event, whether it happens in each world, as a boolean array of one shape.

        Returns a boolean array of the same shape.
        """
        if self.operator == "atom":
            return worlds[self.name]
        if self.operator == "sure":
            return np.ones_like(next(iter(worlds.values())), dtype=bool)
        first = self.parts[0].evaluate(worlds)
        if self.operator == "!":
            return ~first
        return _OPERATOR_FUNCTIONS[self.operator](first, self.parts[1].evaluate(worlds))

    def expand(self, definitions: Mapping[str, Event]) -> Event:
        """Replaces every defined name in the event by its definition; an event that becomes too large is an error."""

        def substitute(event: Event) -> Event:
            if event.operator == "atom":
                return definitions.get(event.name, event)
            return Event(event.operator, tuple(substitute(part) for part in event.parts))

        return _require_small_event(substitute(self))

    def __str__(self) -> str:
        if self.operator == "atom":
            return self.name
        if self.operator == "sure":
            return "anything"
        unbracketed_operators = ("atom", "!", "sure")
        texts = [str(p) if p.operator in unbracketed_operators else f"({p})" for p in self.parts]
        if self.operator == "!":
            return f"!{texts[0]}"
        if self.operator in ("&", "|") and self.parts[0].operator == self.operator:
            texts[0] = str(self.parts[0])  # a & b & c needs no brackets
        return f" {self.operator} ".join(texts)


SURE_EVENT = Event("sure")
_OPERATORS_LOOSEST_FIRST = ("<->", "->", "|", "&")
_OPERATOR_FUNCTIONS = {"&": np.logical_and, "|": np.logical_or, "->": np.less_equal, "<->": np.equal}


def _require_small_event(event: Event) -> Event:
    # not recursive, because recursive functions rely on this check
    queue, size = [(event, 1)], 0
    while queue:
        part, height = queue.pop()
        size += 1
        problem = f"An event of more than {MAX_PARTS} parts, or more than {MAX_HEIGHT} levels, is too large."
        require(size <= MAX_PARTS and height <= MAX_HEIGHT, problem, "Shorten the event or its definitions.")
        queue += [(inner, height + 1) for inner in part.parts]
    return event


def negate(event: Event) -> Event:
    """Makes the complement of an event; a double negation cancels."""
    return event.parts[0] if event.operator == "!" else Event("!", (event,))


def conjoin(*events: Event) -> Event:
    """Makes the conjunction of all events that are not sure; the sure event if there are no such events."""
    parts = [event for event in events if event.operator != "sure"]
    return reduce(lambda first, second: Event("&", (first, second)), parts) if parts else SURE_EVENT


def parse_event(text: str) -> Event:
    """Reads an event such as `P & !(T | C) -> X`.

    Args:
        text: the event, with at most 2 000 characters, 60 levels of brackets and 150 parts in a row.

    Returns an `Event` whose `str` parses to the same event; malformed text raises `MesascopeError`.
    """
    is_text = isinstance(text, str)
    require(is_text, f"An event is a string, not {type(text).__name__}.", 'Quote it: event = "T & C".')
    problem = f"An event of {len(text)} characters is too long."
    require(len(text) <= MAX_LENGTH, problem, f"Shorten it with [defs]; at most {MAX_LENGTH} characters.")
    return _require_small_event(_EventParser(text).parse_event())


class _EventParser:
    def __init__(self, text: str):
        self.text, self.depth, self.position = text, 0, 0
        self.tokens: list[str] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN_PATTERN.match(text, position)
            if not match:
                problem = f"The event {text[:80]!r} has the unexpected character {text[position:].strip()[:1]!r}."
                raise MesascopeError(problem, "Events consist of names, ! & | -> <-> and brackets.")
            self.tokens.append(match.group(1) or match.group(2))
            position = match.end()

    def make_error(self, expected: str) -> MesascopeError:
        found = repr(self.tokens[self.position]) if self.position < len(self.tokens) else "the end"
        return MesascopeError(
            f"In the event {self.text[:80]!r}, {expected} was expected, not {found}.", "Example: P & !(T | C) -> X."
        )

    def skip_token(self, token: str) -> bool:
        if self.position < len(self.tokens) and self.tokens[self.position] == token:
            self.position += 1
            return True
        return False

    def parse_event(self) -> Event:
        event = self.parse_binary()
        if self.position < len(self.tokens):
            raise self.make_error("an operator")
        return event

    def parse_binary(self, level: int = 0) -> Event:
        """Parses events that the operator of one level joins; operators inside these events have tighter levels."""
        if level == len(_OPERATORS_LOOSEST_FIRST):
            return self.parse_unary()
        operator, parts = _OPERATORS_LOOSEST_FIRST[level], [self.parse_binary(level + 1)]
        while self.skip_token(operator):
            parts.append(self.parse_binary(level + 1))
        if operator == "->":  # a -> b -> c is a -> (b -> c)
            return reduce(lambda second, first: Event("->", (first, second)), reversed(parts))
        return reduce(lambda first, second: Event(operator, (first, second)), parts)

    def parse_unary(self) -> Event:
        self.depth += 1
        problem = f"The event {self.text[:40]!r}… is nested more than {MAX_NESTING} deep."
        require(self.depth <= MAX_NESTING, problem, "Define parts of it in [defs].")
        if self.skip_token("!"):
            event = Event("!", (self.parse_unary(),))
        elif self.skip_token("("):
            event = self.parse_binary()
            if not self.skip_token(")"):
                raise self.make_error("')'")
        elif self.position < len(self.tokens) and NAME_PATTERN.fullmatch(self.tokens[self.position]):
            event = Event("atom", name=self.tokens[self.position])
            self.position += 1
        else:
            raise self.make_error("a name, '!' or '('")
        self.depth -= 1
        return event


def require_known_atoms(event: Event, atoms: Iterable[str]) -> Event:
    """Returns the event if all its atoms exist; otherwise raises `MesascopeError`, which lists similar names."""
    names = set(atoms)
    for name in sorted(event.atoms):
        require_known_name("atom or definition", name, names)
    return event


def enumerate_worlds(atoms: Iterable[str]) -> dict[str, np.ndarray]:
    """Lists every combination of yes and no over n atoms, as one boolean array [2^n] per atom.

    The first atom varies slowest, as in a truth table and in a C-ordered joint array. Without atoms there is one
    world, under the name "".
    """
    names = list(atoms)
    index = np.arange(2 ** len(names))
    worlds = {name: ((index >> (len(names) - 1 - i)) & 1).astype(bool) for i, name in enumerate(names)}
    return worlds or {"": np.ones(1, dtype=bool)}


def are_equivalent(first: Event, second: Event) -> bool:
    """Whether two events happen in the same worlds; with more than 16 atoms, only whether they are written alike."""
    atoms = sorted(first.atoms | second.atoms)
    if first.operator == second.operator == "sure":
        return True
    if len(atoms) > 16:
        return first == second
    worlds = enumerate_worlds(atoms)
    return bool((first.evaluate(worlds) == second.evaluate(worlds)).all())


def find_literals(event: Event) -> dict[str, bool] | None:
    """Finds the atoms of a conjunction of literals, each with its sign (False if negated); None for any other event."""
    if event.operator == "sure":
        return {}
    if event.operator == "atom":
        return {event.name: True}
    if event.operator == "!" and event.parts[0].operator == "atom":
        return {event.parts[0].name: False}
    if event.operator != "&":
        return None
    first, second = (find_literals(part) for part in event.parts)
    if first is None or second is None or any(first[a] != second[a] for a in first.keys() & second.keys()):
        return None
    return first | second
