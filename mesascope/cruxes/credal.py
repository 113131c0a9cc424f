"""Imprecise networks: one person's claims as a credal network, and the extremes of a query over its entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes.bounds import Constraint, Polytope, Rule
from mesascope.cruxes.language import SURE, Event, enumerate_worlds, join, literals
from mesascope.cruxes.networks import VANISHING, Net
from mesascope.errors import MesascopeError

MOST_PARENTS = 14
MOST_FREE = 20
_CHUNK = 2**14
_USE_LP = "Ask with --engine lp, which needs no network."
INDEPENDENCE = "each atom is independent of its non-descendants given the atoms in its claims' conditions"


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


class CredalNet:
    """A person's claims as a Bayesian network whose entries are stated, or unstated and then anything in [0, 1].

    Args:
        constraints: claims; each event an atom, its negation, or a conjunction whose other part is claimed
            under the same condition; each condition a conjunction of atoms and negations.
        rules: bridges of the form `atom <-> event` for an atom without claims.

    Assumes that each atom is independent of its non-descendants given the atoms in its claims' conditions.
    Anything that is no network raises `MesascopeError` and points to the bounds engine.
    """

    def __init__(self, constraints: Sequence[Constraint], rules: Sequence[Rule]):
        self.entries = [Entry(c.id, c.low, c.high, True) for c in constraints]
        self.nodes: dict[str, _Node] = {}
        # of each stated conjunction: which entry divides it, and its sign
        self.ratios: dict[int, tuple[int, bool]] = {}
        rows: dict[str, list[tuple[dict[str, bool], bool, int]]] = {}
        for number, c in enumerate(constraints):
            given = literals(c.given)
            if given is None:
                raise MesascopeError(f"The condition of {c.id!r}, {c.given}, is no conjunction.", _USE_LP)
            atom, sign = self._head(number, given, constraints)
            rows.setdefault(atom, []).append((given, sign, number))
        for rule in rules:
            self._define(rule, rows)
        for atom, claimed in rows.items():
            self._tabulate(atom, claimed)

    @classmethod
    def about(cls, polytope: Polytope, *events: Event) -> CredalNet:
        """The network of the statements that are connected with some events, with every atom in the events."""
        atoms = join(*events).atoms()
        part = polytope.part(atoms)
        network = cls(part.constraints, part.rules)
        network.close(atoms)
        return network

    def _add_unstated(self, name: str) -> int:
        self.entries.append(Entry(name, 0.0, 1.0, False))
        return len(self.entries) - 1

    def _head(
        self, number: int, given: dict[str, bool], constraints: Sequence[Constraint]
    ) -> tuple[str, bool]:
        c = constraints[number]
        event = literals(c.event) or {}
        if len(event) == 1:
            ((atom, sign),) = event.items()
            if atom in given:
                raise MesascopeError(f"{c.id!r} states {atom} given {c.given}.", _USE_LP)
            return atom, sign
        for i, source in enumerate(constraints[:number]):
            first = literals(source.event) or {}
            rest = event.keys() - first
            if (
                len(first) == len(rest) == 1
                and first.keys() <= event.keys()
                and literals(source.given) == given
            ):
                if c.low != c.high or source.low != source.high:
                    raise MesascopeError(f"{c.id!r} states a conjunction as a set.", _USE_LP)
                (atom,), (joined,) = rest, first
                given[joined] = event[joined]
                self.ratios[number] = i, first[joined] == event[joined]
                return atom, event[atom]
        raise MesascopeError(
            f"The event of {c.id!r}, {c.event}, is neither an atom nor its negation.", _USE_LP
        )

    def _define(self, rule: Rule, rows: dict) -> None:
        left, right = rule.event.parts if rule.event.operator == "<->" else (SURE, SURE)
        if right.operator == "atom" and left.operator != "atom":
            left, right = right, left
        if left.operator != "atom" or left.name in {*rows, *self.nodes, *right.atoms()}:
            raise MesascopeError(f"The bridge {rule.id!r} defines no atom that is free of claims.", _USE_LP)
        parents = tuple(sorted(right.atoms()))
        _require_narrow(left.name, parents)
        shape = (2,) * len(parents)
        fixed = right.holds(enumerate_worlds(parents)).reshape(shape)
        self.nodes[left.name] = _Node(parents, np.full(shape, -1), np.zeros(shape, dtype=bool), fixed)

    def _tabulate(self, atom: str, claimed: list[tuple[dict[str, bool], bool, int]]) -> None:
        parents = tuple(sorted({a for given, *_ in claimed for a in given}))
        _require_narrow(atom, parents)
        shape = (2,) * len(parents)
        index, flip, depth = np.full(shape, -1), np.zeros(shape, dtype=bool), np.full(shape, -1)
        for given, sign, number in sorted(claimed, key=lambda x: len(x[0])):
            where = tuple(int(given[p]) if p in given else slice(None) for p in parents)
            if np.any(index[where] >= 0):
                same = np.any(depth[where] == len(given))
                how = f"state {atom} under one condition" if same else f"overlap on {atom}"
                raise MesascopeError(f"{self.entries[number].id!r} and another claim {how}.", _USE_LP)
            index[where], flip[where], depth[where] = number, not sign, len(given)
        for row in map(tuple, np.argwhere(index < 0)):
            given = " & ".join(p if v else f"!{p}" for p, v in zip(parents, row, strict=True))
            index[row] = self._add_unstated(f"{atom} given {given}")
        self.nodes[atom] = _Node(parents, index, flip, np.zeros(shape, dtype=bool))

    def close(self, atoms: frozenset[str]) -> None:
        """Add every atom that is asked about or conditioned on and has no claim, as wholly unstated."""
        for atom in sorted(atoms | {p for node in self.nodes.values() for p in node.parents}):
            if atom not in self.nodes:
                number = np.array(self._add_unstated(atom))
                self.nodes[atom] = _Node((), number, np.array(False), np.array(False))

    def net(self, theta: np.ndarray) -> Net:
        """The network for entries theta [number of entries] or [number of entries, N draws]."""
        values = np.array(theta, dtype=float)
        for number, (base, sign) in self.ratios.items():
            under = values[base] if sign else 1 - values[base]
            values[number] = _divide(values[number], under, self.entries[number].id)
        tables = {}
        for name, node in self.nodes.items():
            yes = values[np.maximum(node.index, 0)]
            shape = node.index.shape + (1,) * (values.ndim - 1)
            yes = np.where(node.flip.reshape(shape), 1 - yes, yes)
            yes = np.where((node.index < 0).reshape(shape), node.fixed.reshape(shape), yes)
            tables[name] = np.stack([1 - yes, yes], axis=len(node.parents))
        parents = {name: node.parents for name, node in self.nodes.items()}
        return Net({name: ("no", "yes") for name in self.nodes}, parents, tables)

    def evaluate(self, theta: np.ndarray, event: Event, given: Event = SURE) -> np.ndarray:
        """P(event | given) for entries theta [entries, N]; nan in draws where the condition cannot happen.

        Exact in every draw: no sampling is nested inside.
        """
        atoms = sorted(event.atoms() | given.atoms())
        joint = self.net(theta).eliminate(tuple(atoms), {}, {})
        worlds = {a: w.reshape((2,) * len(atoms)) for a, w in enumerate_worlds(atoms).items()}
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
        tied = [i for number, (base, _) in self.ratios.items() for i in (number, base)]
        for _ in range(5):
            base = spans[:, 0] + (spans[:, 1] - spans[:, 0]) * rng.uniform(0.2, 0.8, k)
            both = np.repeat(base[:, None], 2 * k, axis=1)
            both[np.arange(k), 2 * np.arange(k)] = 0.25
            both[np.arange(k), 2 * np.arange(k) + 1] = 0.75
            both[tied] = base[tied, None]  # a stated conjunction stays below what it is part of
            values = self.evaluate(both, event, given)
            changes |= ~(np.abs(values[1::2] - values[::2]) < 1e-13)
        changes[tied] = True
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


@dataclass(frozen=True)
class Extremes:
    """The least and greatest value over the vertices.

    Args:
        low, high: the ends; None where the condition cannot happen at any vertex.
        exact: True where all vertices were visited; False for the inner bound by coordinate ascent.
        free: ids of the entries that the query depends on and that are not points.
    """

    low: float | None
    high: float | None
    exact: bool
    free: tuple[str, ...]


def find_extremes(
    network: CredalNet, event: Event, given: Event = SURE, starts: int = 4, seed: int = 0
) -> Extremes:
    """The range of P(event | given) when every entry varies in its interval, independently of the others.

    Args:
        network: a network with interval entries.
        event, given: the question.
        starts, seed: random vertices to climb from, where more than 20 entries are free.

    P(event | given) is a ratio of two multilinear functions, (aθ+b)/(cθ+d) in each entry, hence monotone in
    each: its extremes lie at vertices. With at most 20 free entries all 2^k vertices are visited: exact.
    """
    spans = network.spans()
    free = np.flatnonzero(network.relevant(event, given) & (spans[:, 1] > spans[:, 0]))
    names = tuple(network.entries[i].id for i in free)

    def climb(sign: float) -> float | None:
        rng, best = np.random.default_rng(seed), None
        for _ in range(starts):
            theta = spans.mean(axis=1)
            theta[free] = spans[free, rng.integers(0, 2, len(free))]
            current = -np.inf
            while True:
                trials = np.repeat(theta[:, None], len(free), axis=1)
                flipped = np.where(theta[free] == spans[free, 0], spans[free, 1], spans[free, 0])
                trials[free, np.arange(len(free))] = flipped
                values = sign * np.nan_to_num(network.evaluate(trials, event, given), nan=-sign * np.inf)
                if values.max() <= current + 1e-15:
                    break
                current = float(values.max())
                theta = trials[:, int(values.argmax())]
            if np.isfinite(current) and (best is None or current > best):
                best = current
        return None if best is None else sign * best

    if len(free) > MOST_FREE:
        return Extremes(climb(-1.0), climb(1.0), False, names)
    low, high = np.inf, -np.inf
    for start in range(0, 2 ** len(free), _CHUNK):
        codes = np.arange(start, min(start + _CHUNK, 2 ** len(free)))
        theta = np.repeat(spans.mean(axis=1, keepdims=True), len(codes), axis=1)
        theta[free] = np.where((codes >> np.arange(len(free))[:, None]) & 1, spans[free, 1:], spans[free, :1])
        values = network.evaluate(theta, event, given)
        low, high = np.fmin.reduce(values, initial=low), np.fmax.reduce(values, initial=high)
    return Extremes(None, None, True, names) if low > high else Extremes(float(low), float(high), True, names)
