"""One person's claims as a network whose entries are stated, or unstated and then anything in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes.bounds import Constraint, Rule
from mesascope.cruxes.language import SURE, Event, enumerate_worlds, literals
from mesascope.cruxes.networks import VANISHING, Net
from mesascope.errors import MesascopeError

MOST_PARENTS = 14
_USE_LP = "Ask with --engine lp, which needs no network."


@dataclass(frozen=True)
class Entry:
    """One uncertain number of a network: the claim it comes from (or the row left unstated) and its span."""

    id: str
    low: float
    high: float
    stated: bool


@dataclass(frozen=True)
class _Node:
    parents: tuple[str, ...]
    index: np.ndarray  # entry number per row of the table, -1 where the rule fixes the row
    flip: np.ndarray  # whether the entry is the chance of 'no'
    fixed: np.ndarray  # 0 or 1 for rows that a rule fixes
    scale: tuple[int, int] | None = None  # entry = this one divided by that one (a stated conjunction)


class Argument:
    """A person's claims as a Bayesian network.

    Args:
        constraints: claims; each event an atom, its negation, or a conjunction whose other part is claimed
            under the same condition; each condition a conjunction of atoms and negations.
        rules: bridges of the form `atom <-> event` for an atom without claims.

    Assumes that each atom is independent of its non-descendants given the atoms in its claims' conditions.
    Anything that is no network raises `MesascopeError` and points to the bounds engine.
    """

    def __init__(self, constraints: Sequence[Constraint], rules: Sequence[Rule]):
        self.entries: list[Entry] = []
        self.nodes: dict[str, _Node] = {}
        rows: dict[str, list[tuple[dict[str, bool], bool, int]]] = {}
        ratios: dict[int, int] = {}
        for c in constraints:
            given = literals(c.given)
            if given is None:
                raise MesascopeError(f"The condition of {c.id!r}, {c.given}, is no conjunction.", _USE_LP)
            atom, sign, base = self._head(c, given, constraints)
            number = self._add(Entry(c.id, c.low, c.high, True))
            if base is not None:
                ratios[number] = base
            rows.setdefault(atom, []).append((given, sign, number))
        for rule in rules:
            self._define(rule, rows)
        for atom, claimed in rows.items():
            self._tabulate(atom, claimed)
        self.ratios = ratios

    def _add(self, entry: Entry) -> int:
        self.entries.append(entry)
        return len(self.entries) - 1

    def _head(
        self, c: Constraint, given: dict[str, bool], constraints: Sequence[Constraint]
    ) -> tuple[str, bool, int | None]:
        event = literals(c.event)
        if event is None or not event:
            raise MesascopeError(
                f"The event of {c.id!r}, {c.event}, is neither an atom nor its negation.", _USE_LP
            )
        if len(event) == 1:
            ((atom, sign),) = event.items()
            if atom in given:
                raise MesascopeError(f"{c.id!r} states {atom} given {c.given}.", _USE_LP)
            return atom, sign, None
        for i, other in enumerate(self.entries):
            source = next(x for x in constraints if x.id == other.id)
            first = literals(source.event) or {}
            rest = {a: s for a, s in event.items() if a not in first}
            if (
                len(first) == 1
                and len(rest) == 1
                and literals(source.given) == given
                and first.keys() <= event.keys()
            ):
                if c.low != c.high or source.low != source.high:
                    raise MesascopeError(f"{c.id!r} states a conjunction as a set.", _USE_LP)
                ((atom, sign),) = rest.items()
                (joined,) = first
                given[joined] = event[joined]
                return atom, sign, i if first[joined] == event[joined] else -1 - i
        raise MesascopeError(
            f"The event of {c.id!r}, {c.event}, is neither an atom nor its negation.", _USE_LP
        )

    def _define(self, rule: Rule, rows: dict) -> None:
        event = rule.event
        left, right = event.parts if event.operator == "<->" else (SURE, SURE)
        if right.operator == "atom" and left.operator != "atom":
            left, right = right, left
        if (
            left.operator != "atom"
            or left.name in rows
            or left.name in self.nodes
            or left.name in right.atoms()
        ):
            raise MesascopeError(f"The bridge {rule.id!r} defines no atom that is free of claims.", _USE_LP)
        parents = tuple(sorted(right.atoms()))
        _require_narrow(left.name, parents)
        worlds = enumerate_worlds(parents) if parents else {"": np.ones(1, dtype=bool)}
        shape = (2,) * len(parents)
        self.nodes[left.name] = _Node(
            parents, np.full(shape, -1), np.zeros(shape, dtype=bool), right.holds(worlds).reshape(shape)
        )

    def _tabulate(self, atom: str, claimed: list[tuple[dict[str, bool], bool, int]]) -> None:
        parents = tuple(sorted({a for given, *_ in claimed for a in given}))
        _require_narrow(atom, parents)
        shape = (2,) * len(parents)
        index, flip, depth = np.full(shape, -1), np.zeros(shape, dtype=bool), np.full(shape, -1)
        for given, sign, number in sorted(claimed, key=lambda x: len(x[0])):
            where = tuple(int(given[p]) if p in given else slice(None) for p in parents)
            if np.any(np.asarray(depth[where]) == len(given)) and np.any(np.asarray(index[where]) != number):
                raise MesascopeError(
                    f"{self.entries[number].id!r} and another claim state {atom} under one condition.",
                    _USE_LP,
                )
            if np.any(np.asarray(index[where]) >= 0):
                raise MesascopeError(
                    f"{self.entries[number].id!r} and another claim overlap on {atom}.", _USE_LP
                )
            index[where], flip[where], depth[where] = number, not sign, len(given)
        for row in zip(*np.nonzero(index < 0), strict=True) if parents else ([()] if index < 0 else []):
            label = f"{atom} given " + " & ".join(
                p if v else f"!{p}" for p, v in zip(parents, row, strict=True)
            )
            index[row] = self._add(Entry(label, 0.0, 1.0, False))
        self.nodes[atom] = _Node(parents, index, flip, np.zeros(shape, dtype=bool))

    def close(self, atoms: frozenset[str]) -> None:
        """Add every atom that is asked about or conditioned on and has no claim, as wholly unstated."""
        for atom in sorted(atoms | {p for node in self.nodes.values() for p in node.parents}):
            if atom not in self.nodes:
                number = self._add(Entry(atom, 0.0, 1.0, False))
                self.nodes[atom] = _Node((), np.array(number), np.array(False), np.array(False))

    def net(self, theta: np.ndarray) -> Net:
        """The network for entries theta [number of entries] or [number of entries, N draws]."""
        values = np.array(theta, dtype=float)
        for number, base in self.ratios.items():
            under = values[base] if base >= 0 else 1 - values[-1 - base]
            values[number] = _divide(values[number], under, self.entries[number].id)
        tables = {}
        for name, node in self.nodes.items():
            yes = values[np.maximum(node.index, 0)]
            extra = (1,) * (values.ndim - 1)
            flip = node.flip.reshape(node.flip.shape + extra)
            rule = (node.index < 0).reshape(node.index.shape + extra)
            yes = np.where(flip, 1 - yes, yes)
            yes = np.where(rule, node.fixed.reshape(node.fixed.shape + extra), yes)
            tables[name] = np.stack([1 - yes, yes], axis=len(node.parents))
        return Net(
            {n: ("no", "yes") for n in self.nodes},
            {n: node.parents for n, node in self.nodes.items()},
            tables,
        )

    def evaluate(self, theta: np.ndarray, event: Event, given: Event = SURE) -> np.ndarray:
        """P(event | given) for entries theta [entries, N]; nan in draws where the condition cannot happen.

        Exact in every draw: no sampling is nested inside.
        """
        atoms = sorted(event.atoms() | given.atoms())
        joint = self.net(theta)._eliminate(tuple(atoms), {}, {})
        worlds = {a: w.reshape((2,) * len(atoms)) for a, w in enumerate_worlds(atoms).items()} or {
            "": np.ones((), dtype=bool)
        }
        condition = given.holds(worlds)
        inside = joint[event.holds(worlds) & condition].sum(axis=0)
        total = joint[condition].sum(axis=0)
        inside, total = np.broadcast_to(inside, theta.shape[1:]), np.broadcast_to(total, theta.shape[1:])
        return np.where(total < VANISHING, np.nan, inside / np.where(total < VANISHING, 1.0, total))

    def spans(self) -> np.ndarray:
        """The span of every entry, [entries, 2]."""
        return np.array([(e.low, e.high) for e in self.entries]).reshape(-1, 2)

    def relevant(self, event: Event, given: Event = SURE) -> np.ndarray:
        """Which entries can change P(event | given): tried from five interior points, [entries]."""
        spans, k = self.spans(), len(self.entries)
        rng = np.random.default_rng(20200818)
        changes = np.zeros(k, dtype=bool)
        for _ in range(5):
            base = spans[:, 0] + (spans[:, 1] - spans[:, 0]) * rng.uniform(0.2, 0.8, k)
            both = np.repeat(base[:, None], 2 * k, axis=1)
            both[np.arange(k), 2 * np.arange(k)] = 0.25
            both[np.arange(k), 2 * np.arange(k) + 1] = 0.75
            for number, under in self.ratios.items():  # a stated conjunction stays below what it is part of
                for fixed in (number, under if under >= 0 else -1 - under):
                    both[fixed] = base[fixed]
            values = self.evaluate(both, event, given)
            difference = np.abs(values[1::2] - values[::2])
            changes |= ~(difference < 1e-13)
        for number, under in self.ratios.items():
            changes[[number, under if under >= 0 else -1 - under]] = True
        return changes


def _divide(value: np.ndarray, under: np.ndarray, name: str) -> np.ndarray:
    if np.any(under <= 0) or np.any(value > under + 1e-12):
        raise MesascopeError(f"{name!r} states more for a conjunction than is stated for its part.", _USE_LP)
    return np.minimum(value / under, 1.0)


def _require_narrow(name: str, parents: tuple[str, ...]) -> None:
    if len(parents) > MOST_PARENTS:
        raise MesascopeError(
            f"{name!r} depends on {len(parents)} atoms; a table holds at most {MOST_PARENTS}.", _USE_LP
        )
