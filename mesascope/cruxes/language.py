"""The event language: `!` binds before `&`, `&` before `|`, `|` before `->`, `->` before `<->`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from mesascope.errors import MesascopeError, pick_named

LONGEST = 2000
DEEPEST = 60
TALLEST, LARGEST = 150, 5000  # of the tree that an event is, definitions put in
_TOKEN = re.compile(r"\s*(?:(<->|->|[!&|()])|([A-Za-z_][A-Za-z0-9_]*))")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class Event:
    """A yes/no event: an operator over parts, or one atom.

    Args:
        operator: "atom", "!", "&", "|", "->", "<->" or "sure" (the event that always happens).
        parts: the events it joins.
        name: the atom's name, for atoms only.
    """

    operator: str
    parts: tuple[Event, ...] = ()
    name: str = ""

    def atoms(self) -> frozenset[str]:
        """The names of all atoms in it."""
        if self.operator == "atom":
            return frozenset((self.name,))
        return frozenset().union(*(part.atoms() for part in self.parts))

    def holds(self, worlds: Mapping[str, np.ndarray]) -> np.ndarray:
        """In which worlds it happens; `worlds` maps every atom to a boolean array, all of one shape."""
        if self.operator == "atom":
            return worlds[self.name]
        if self.operator == "sure":
            return np.ones_like(next(iter(worlds.values())), dtype=bool)
        first = self.parts[0].holds(worlds)
        if self.operator == "!":
            return ~first
        return _TRUTH[self.operator](first, self.parts[1].holds(worlds))

    def expand(self, definitions: Mapping[str, Event]) -> Event:
        """The same event with every defined name replaced by what it stands for, if that is of a usable size."""

        def put_in(event: Event) -> Event:
            if event.operator == "atom":
                return definitions.get(event.name, event)
            return Event(event.operator, tuple(put_in(part) for part in event.parts))

        return _require_small(put_in(self))

    def rename(self, names: Mapping[str, str]) -> Event:
        """The same event over other atom names; names that are not in the map stay."""
        if self.operator == "atom":
            return Event("atom", name=names.get(self.name, self.name))
        return Event(self.operator, tuple(part.rename(names) for part in self.parts))

    def __str__(self) -> str:
        if self.operator == "atom":
            return self.name
        if self.operator == "sure":
            return "anything"
        bare = ("atom", "!", "sure")
        inner = [str(p) if p.operator in bare else f"({p})" for p in self.parts]
        if self.operator == "!":
            return f"!{inner[0]}"
        if self.operator in ("&", "|") and self.parts[0].operator == self.operator:
            inner[0] = str(self.parts[0])  # a & b & c needs no brackets
        return f" {self.operator} ".join(inner)


SURE = Event("sure")
_LOOSEST_FIRST = ("<->", "->", "|", "&")
_TRUTH = {"&": np.logical_and, "|": np.logical_or, "->": np.less_equal, "<->": np.equal}


def _require_small(event: Event) -> Event:
    # Without recursion: everything else walks events recursively and relies on this.
    waiting, size = [(event, 1)], 0
    while waiting:
        part, height = waiting.pop()
        size += 1
        if size > LARGEST or height > TALLEST:
            raise MesascopeError(
                f"An event of more than {LARGEST} parts, or {TALLEST} inside each other, is too large.",
                "Shorten it, and the definitions in it.",
            )
        waiting += [(inner, height + 1) for inner in part.parts]
    return event


def negate(event: Event) -> Event:
    """The complement; a double negation cancels."""
    return event.parts[0] if event.operator == "!" else Event("!", (event,))


def join(*events: Event) -> Event:
    """The conjunction of events; sure events drop out, and nothing left is the sure event."""
    kept = [event for event in events if event.operator != "sure"]
    return reduce(lambda left, right: Event("&", (left, right)), kept) if kept else SURE


def parse(text: str) -> Event:
    """Read an event such as `P & !(T | C) -> X`.

    Args:
        text: at most 2 000 characters, 60 levels of brackets and 150 parts in a row.

    Returns an `Event` whose `str` parses back to the same event; bad text raises `MesascopeError`.
    """
    if not isinstance(text, str):
        raise MesascopeError(
            f"An event is a string, this is {type(text).__name__}.", 'Quote it: event = "T & C".'
        )
    if len(text) > LONGEST:
        raise MesascopeError(
            f"An event of {len(text)} characters is too long.",
            f"Cut it with [defs]; at most {LONGEST} characters.",
        )
    return _require_small(_Parser(text).whole())


class _Parser:
    def __init__(self, text: str):
        self.text, self.depth, self.at = text, 0, 0
        self.tokens: list[str] = []
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if not match:
                rest = text[place:].strip()
                raise MesascopeError(
                    f"{rest[:1]!r} has no meaning in the event {text[:80]!r}.",
                    "Events are made of names, ! & | -> <-> and brackets.",
                )
            self.tokens.append(match.group(1) or match.group(2))
            place = match.end()

    def fail(self, wanted: str) -> MesascopeError:
        found = repr(self.tokens[self.at]) if self.at < len(self.tokens) else "the end"
        return MesascopeError(
            f"In the event {self.text[:80]!r}, {wanted} was expected and {found} found.",
            "Example: P & !(T | C) -> X.",
        )

    def next_is(self, token: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at] == token:
            self.at += 1
            return True
        return False

    def whole(self) -> Event:
        event = self.binary()
        if self.at < len(self.tokens):
            raise self.fail("an operator")
        return event

    def binary(self, level: int = 0) -> Event:
        """Events joined by one operator; inside each of them stand those that bind more tightly."""
        if level == len(_LOOSEST_FIRST):
            return self.unary()
        operator, parts = _LOOSEST_FIRST[level], [self.binary(level + 1)]
        while self.next_is(operator):
            parts.append(self.binary(level + 1))
        if operator == "->":  # a -> b -> c is a -> (b -> c)
            return reduce(lambda right, left: Event("->", (left, right)), reversed(parts))
        return reduce(lambda left, right: Event(operator, (left, right)), parts)

    def unary(self) -> Event:
        self.depth += 1
        if self.depth > DEEPEST:
            raise MesascopeError(
                f"The event {self.text[:40]!r}… is nested more than {DEEPEST} deep.",
                "Give parts of it names in [defs].",
            )
        if self.next_is("!"):
            event = Event("!", (self.unary(),))
        elif self.next_is("("):
            event = self.binary()
            if not self.next_is(")"):
                raise self.fail("')'")
        elif self.at < len(self.tokens) and NAME.fullmatch(self.tokens[self.at]):
            event = Event("atom", name=self.tokens[self.at])
            self.at += 1
        else:
            raise self.fail("a name, '!' or '('")
        self.depth -= 1
        return event


def require_known(event: Event, atoms: Iterable[str]) -> Event:
    """The event itself, if every atom in it exists; otherwise an error with the nearest names."""
    known = set(atoms)
    for name in sorted(event.atoms()):
        pick_named("atom or definition", name, known)
    return event


def enumerate_worlds(atoms: Iterable[str]) -> dict[str, np.ndarray]:
    """Every combination of yes and no over n atoms: one boolean array [2^n] per atom.

    The first atom varies slowest, as in a truth table (and as in a C-ordered joint array). Without atoms there
    is one world, of no name.
    """
    names = list(atoms)
    index = np.arange(2 ** len(names))
    worlds = {name: ((index >> (len(names) - 1 - i)) & 1).astype(bool) for i, name in enumerate(names)}
    return worlds or {"": np.ones(1, dtype=bool)}


def same(one: Event, other: Event) -> bool:
    """Whether two events happen in exactly the same worlds (by truth table)."""
    atoms = sorted(one.atoms() | other.atoms())
    if one.operator == other.operator == "sure":
        return True
    if len(atoms) > 16:
        return one == other
    worlds = enumerate_worlds(atoms)
    return bool((one.holds(worlds) == other.holds(worlds)).all())


def literals(event: Event) -> dict[str, bool] | None:
    """The atoms and signs of a conjunction of literals, or None where the event is anything else."""
    if event.operator == "sure":
        return {}
    if event.operator == "atom":
        return {event.name: True}
    if event.operator == "!" and event.parts[0].operator == "atom":
        return {event.parts[0].name: False}
    if event.operator != "&":
        return None
    left, right = (literals(part) for part in event.parts)
    if left is None or right is None or any(left[a] != right[a] for a in left.keys() & right.keys()):
        return None
    return left | right
