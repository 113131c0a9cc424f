"""Bounds that assume no independence, by linear programming over worlds (de Finetti, Nilsson, natural extension)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mesascope.cruxes.language import SURE, Event, conjoin, enumerate_worlds
from mesascope.errors import MesascopeError

MAX_ATOMS = 20
MAX_WORLDS = 2**16
_SOLVER_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "time_limit": 4.0}


@dataclass(frozen=True)
class Constraint:
    """A claim that P(event | condition) lies in [low, high].

    Args:
        place: the file, line and name of the claim, for messages.
    """

    id: str
    event: Event
    condition: Event
    low: float
    high: float
    place: str = field(default="", compare=False, repr=False)

    @property
    def atoms(self) -> frozenset[str]:
        """The atoms of the event and of the condition."""
        return self.event.atoms | self.condition.atoms


@dataclass(frozen=True)
class Rule:
    """An event that is certain; worlds in which it does not happen are excluded."""

    id: str
    event: Event

    @property
    def atoms(self) -> frozenset[str]:
        """The atoms of the event."""
        return self.event.atoms


class HasInterval:
    """A result with the two ends of an interval, either of which may be None."""

    low: float | None
    high: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval; None if either end is None."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Bounds(HasInterval):
    """The bounds on a probability.

    Args:
        status: 'bounded', 'undefined' (the condition cannot happen) or 'incoherent' (the statements contradict
            each other).
        low, high: the bounds; None unless the status is 'bounded'.
    """

    status: str
    low: float | None = None
    high: float | None = None


class Polytope:
    """All probability distributions that agree with some statements.

    Args:
        constraints: the statements with their intervals.
        rules: the events that are certain.

    Only the statements connected to a query through shared atoms enter its linear programs. Worlds that every
    statement and the query treat alike are merged into one variable; this does not change the bounds.
    """

    def __init__(self, constraints: Iterable[Constraint], rules: Iterable[Rule] = ()):
        self.constraints, self.rules = tuple(constraints), tuple(rules)
        self.items = (*self.constraints, *self.rules)

    def bound(self, event: Event, condition: Event = SURE, evidence: tuple[Event, float] | None = None) -> Bounds:
        """Find the least and greatest P(event | condition): sharp bounds that assume no independence.

        Args:
            event, condition: the question.
            evidence: an event, and the likelihood ratio of an observation that depends on this event alone.

        Only distributions with P(condition) above zero count.
        """
        about, ratio = evidence or (SURE, 1.0)
        part = self.select_connected(conjoin(event, condition, about).atoms)
        columns, (joint, premise, weighted) = part.merge_worlds([conjoin(event, condition), condition, about])
        weight = np.where(weighted > 0, ratio, 1.0)
        joint, premise = joint * weight, premise * weight
        matrix, points = part.make_rows(columns)
        ends = []
        for sign in (1.0, -1.0):
            result = _minimise(sign * joint, matrix, points, premise)
            if result is None:
                return Bounds("undefined" if part.is_feasible else "incoherent")
            ends.append(min(1.0, max(0.0, sign * float(result.fun))))
        low, high = sorted(_round(x) for x in ends)
        return Bounds("bounded", low, high)

    def find_vertices(
        self, events: Sequence[Event], condition: Event = SURE, directions: int = 24, seed: int = 0
    ) -> np.ndarray:
        """Find some vertices of the set of possible vectors (P(e1 | condition), P(e2 | condition), …).

        Args:
            events: the events e1, e2, ….
            condition: the condition.
            directions: the number of directions to search, first both ways along each coordinate, then at random.
            seed: the seed of the random directions.

        Returns [vertices, events]. Each row belongs to a distribution that agrees with the statements; if there
        is no such distribution, there are no rows.
        """
        part = self.select_connected(conjoin(condition, *events).atoms)
        columns, (premise, *joint) = part.merge_worlds([condition, *(conjoin(e, condition) for e in events)])
        matrix, points = part.make_rows(columns)
        table = np.array(joint)
        axes = np.concatenate([np.eye(len(events)), -np.eye(len(events))])
        random = np.random.default_rng(seed).normal(size=(max(0, directions - len(axes)), len(events)))
        vertices = []
        for direction in np.concatenate([axes, random]):
            result = _minimise(direction @ table, matrix, points, premise)
            if result is not None:
                vertices.append(table @ np.asarray(result.x))
        return np.clip(np.array(vertices).reshape(-1, len(events)), 0, 1)

    @cached_property
    def is_feasible(self) -> bool:
        """Whether any distribution agrees with all statements."""
        return all(part._is_feasible() for part in self._components())

    def _is_feasible(self) -> bool:
        columns, _ = self.merge_worlds([])
        ones = np.ones(columns.shape[1])
        return _minimise(0 * ones, *self.make_rows(columns), ones) is not None

    def find_repair(self) -> dict[str, float]:
        """The change of each statement in the repair with the least total change (L1, in joint probability).

        The result is empty if the statements already agree, or if the rules alone contradict each other.
        """
        slacks: dict[str, float] = {}
        for part in self._components():
            slacks |= part._repair()
        return slacks

    def _repair(self) -> dict[str, float]:
        columns, _ = self.merge_worlds([])
        n, m = columns.shape[1], len(self.constraints)
        if not n or not m:
            return {}
        upper_rows, lower_rows = self.make_inequalities(columns)
        matrix = np.block([[upper_rows, -np.eye(m)], [lower_rows, -np.eye(m)]])
        cost = np.concatenate([np.zeros(n), np.ones(m)])
        base = np.concatenate([np.ones(n), np.zeros(m)])
        result = _minimise(cost, matrix, np.empty((0, n + m)), base)
        if result is None:
            return {}
        slack = np.asarray(result.x)[n:]
        return {c.id: float(s) for c, s in zip(self.constraints, slack, strict=True) if s > 1e-8}

    def find_conflict(self) -> tuple[str, ...]:
        """Ids of a minimal set of conflicting statements and rules, found by deletion; empty if nothing conflicts."""
        if self.is_feasible:
            return ()
        part = next(part for part in self._components() if not part._is_feasible())
        core: list[Constraint | Rule] = [*part.rules, *part.constraints]
        for item in list(core):
            fewer = [x for x in core if x is not item]
            if not _build_polytope(fewer).is_feasible:
                core = fewer
        return tuple(item.id for item in core)

    def drop(self, *ids: str) -> Polytope:
        """The polytope without the statements and rules of these ids."""
        return _build_polytope(item for item in self.items if item.id not in ids)

    def _components(self) -> list[Polytope]:
        groups: list[tuple[set[str], list[Constraint | Rule]]] = []
        for item in self.items:
            atoms, members = set(item.atoms), [item]
            for group in [g for g in groups if g[0] & item.atoms]:
                groups.remove(group)
                atoms |= group[0]
                members = group[1] + members
            groups.append((atoms, members))
        return [_build_polytope(members) for _, members in groups]

    def select_connected(self, atoms: frozenset[str]) -> Polytope:
        """The polytope of only those statements connected to these atoms, directly or through shared atoms."""
        connected = [part for part in self._components() if part.atoms & atoms]
        item_ids = {id(item) for part in connected for item in part.items}
        merged = _build_polytope(item for item in self.items if id(item) in item_ids)
        merged.__dict__["atoms"] = merged.atoms | atoms
        return merged

    @cached_property
    def atoms(self) -> frozenset[str]:
        """Every atom that the statements mention; in a part made for a query, also the query's atoms."""
        return frozenset().union(*(item.atoms for item in self.items))

    def merge_worlds(self, events: Sequence[Event]) -> tuple[np.ndarray, list[np.ndarray]]:
        """The codes [statements, n] of n merged worlds, and for each given event an array [n], 1 where it happens.

        In a world, a statement's code is 0 if its condition fails, 1 if only the condition holds, and 2 if its event
        holds too.
        """
        if len(self.atoms) > MAX_ATOMS:
            raise self._make_size_error(f"{len(self.atoms)} atoms", MAX_ATOMS)
        worlds = enumerate_worlds(sorted(self.atoms))
        allowed = np.ones(len(next(iter(worlds.values()))), dtype=bool)
        for rule in self.rules:
            allowed &= rule.event.holds(worlds)
        worlds = {name: column[allowed] for name, column in worlds.items()}
        rows = []
        for c in self.constraints:
            condition = c.condition.holds(worlds)
            rows.append(condition.astype(np.int8) + (condition & c.event.holds(worlds)))
        extra = [event.holds(worlds) for event in events]
        rows += [x.astype(np.int8) for x in extra]
        n = int(allowed.sum())
        key, size = np.zeros(n, dtype=np.int64), 1
        for row in rows:
            if size > 2**58:
                _, key = np.unique(key, return_inverse=True)
                size = int(key.max(initial=0)) + 1
            key, size = key * 3 + row, size * 3
        _, first = np.unique(key, return_index=True)
        if len(first) > MAX_WORLDS:
            raise self._make_size_error(f"{len(first)} kinds of world", MAX_WORLDS)
        codes = np.array([row[first] for row in rows[: len(self.constraints)]], dtype=np.int8)
        codes = codes.reshape(len(self.constraints), len(first))
        return codes, [x[first].astype(float) for x in extra]

    def _make_size_error(self, amount: str, limit: int) -> MesascopeError:
        ids = [item.id for item in self.items]
        others = ", ".join(ids[1:4]) + (", …" if len(ids) > 4 else "")
        place = self.constraints[0].place if self.constraints else ""
        head = f"{place}: With {len(ids) - 1} more ({others}) it connects" if place else "These statements connect"
        problem = f"{head} {amount}; at most {limit} are possible."
        return MesascopeError(problem, "Remove atoms or bridges, or use --engine net.")

    def make_inequalities(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Two inequality rows per statement: event - high·condition <= 0 and low·condition - event <= 0."""
        condition, event = (codes > 0).astype(float), (codes == 2).astype(float)
        high = np.array([c.high for c in self.constraints]).reshape(-1, 1)
        low = np.array([c.low for c in self.constraints]).reshape(-1, 1)
        return event - high * condition, low * condition - event

    def make_rows(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inequality rows (<= 0) of statements with intervals, and the equality rows (= 0) of those with points."""
        upper_rows, lower_rows = self.make_inequalities(codes)
        point = np.array([c.low == c.high for c in self.constraints], dtype=bool)
        return np.concatenate([upper_rows[~point], lower_rows[~point]]), upper_rows[point]


def _build_polytope(items: Iterable[Constraint | Rule]) -> Polytope:
    items = list(items)
    return Polytope([x for x in items if isinstance(x, Constraint)], [x for x in items if isinstance(x, Rule)])


def _minimise(cost: np.ndarray, matrix: np.ndarray, points: np.ndarray, premise: np.ndarray):
    """Minimise cost·x over x >= 0 with base·x = 1, equal·x = 0 and matrix·x <= 0; None if no x satisfies them."""
    if not premise.any():
        return None
    from scipy.optimize import linprog

    rows = np.vstack([premise, points])
    right, limits = np.eye(len(rows))[0], np.zeros(len(matrix))
    result = linprog(cost, matrix, limits, rows, right, bounds=(0, None), method="highs", options=_SOLVER_OPTIONS)
    if result.status == 1:
        raise MesascopeError("The linear program did not finish in 4 seconds.", "Remove statements or bridges.")
    if result.status not in (0, 2):
        raise MesascopeError(f"The linear program failed: {result.message}", "Avoid values very close to 0 or 1.")
    return result if result.status == 0 else None


def _round(x: float) -> float:
    rounded = round(x, 10)
    return rounded if abs(rounded - x) < 1e-9 else x
