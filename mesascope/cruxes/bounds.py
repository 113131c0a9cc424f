"""Sharp bounds on probabilities without independence: linear programs over worlds (de Finetti 1937, Nilsson 1986)."""

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
        id: the id of the claim.
        event, condition: the events of the probability.
        low, high: the ends of the interval; equal for a single number.
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


class IntervalResult:
    """A result with the two ends of an interval, either of which may be None."""

    low: float | None
    high: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval; None if either end is None."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Bounds(IntervalResult):
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
        self.statements = (*self.constraints, *self.rules)

    def bound(self, event: Event, condition: Event = SURE, evidence: tuple[Event, float] | None = None) -> Bounds:
        """Finds the least and greatest P(event | condition): sharp bounds that assume no independence.

        Args:
            event, condition: the question.
            evidence: an event, and the likelihood ratio of an observation that depends on this event alone.

        Only distributions with P(condition) above zero count.
        """
        about, ratio = evidence or (SURE, 1.0)
        connected = self.select_connected(conjoin(event, condition, about).atoms)
        codes, (event_row, condition_row, about_row) = connected.merge_worlds(
            [conjoin(event, condition), condition, about]
        )
        weights = np.where(about_row > 0, ratio, 1.0)
        event_row, condition_row = event_row * weights, condition_row * weights
        inequalities, equalities = connected.make_rows(codes)
        ends = []
        for sign in (1.0, -1.0):
            result = _minimise(sign * event_row, inequalities, equalities, condition_row)
            if result is None:
                return Bounds("undefined" if connected.is_feasible else "incoherent")
            ends.append(min(1.0, max(0.0, sign * float(result.fun))))
        low, high = sorted(_round(x) for x in ends)
        return Bounds("bounded", low, high)

    def find_vertices(
        self, events: Sequence[Event], condition: Event = SURE, directions: int = 24, seed: int = 0
    ) -> np.ndarray:
        """Finds some vertices of the set of possible vectors (P(e1 | condition), P(e2 | condition), …).

        Args:
            events: the events e1, e2, ….
            condition: the condition.
            directions: the number of directions to search, first both ways along each coordinate, then at random.
            seed: the seed of the random directions.

        Returns [vertices, events]. Each row belongs to a distribution that agrees with the statements; if there
        is no such distribution, there are no rows.
        """
        connected = self.select_connected(conjoin(condition, *events).atoms)
        events = [conjoin(event, condition) for event in events]
        codes, (condition_row, *event_rows) = connected.merge_worlds([condition, *events])
        inequalities, equalities = connected.make_rows(codes)
        table = np.array(event_rows)
        axes = np.concatenate([np.eye(len(events)), -np.eye(len(events))])
        random = np.random.default_rng(seed).normal(size=(max(0, directions - len(axes)), len(events)))
        vertices = []
        for direction in np.concatenate([axes, random]):
            result = _minimise(direction @ table, inequalities, equalities, condition_row)
            if result is not None:
                vertices.append(table @ np.asarray(result.x))
        return np.clip(np.array(vertices).reshape(-1, len(events)), 0, 1)

    @cached_property
    def is_feasible(self) -> bool:
        """Whether any distribution agrees with all statements."""
        return all(component._is_feasible() for component in self._components())

    def _is_feasible(self) -> bool:
        codes, _ = self.merge_worlds([])
        ones = np.ones(codes.shape[1])
        return _minimise(0 * ones, *self.make_rows(codes), ones) is not None

    def find_repair(self) -> dict[str, float]:
        """Finds the smallest repair: by how much each statement must change so that all agree.

        The repair has the least total change (L1 norm) of joint probabilities. It is empty if the statements already
        agree, or if the rules alone contradict each other.
        """
        changes: dict[str, float] = {}
        for component in self._components():
            changes |= component._repair()
        return changes

    def _repair(self) -> dict[str, float]:
        codes, _ = self.merge_worlds([])
        n_worlds, n_statements = codes.shape[1], len(self.constraints)
        if not n_worlds or not n_statements:
            return {}
        upper_rows, lower_rows = self.make_inequalities(codes)
        allowed_change = np.eye(n_statements)
        inequalities = np.block([[upper_rows, -allowed_change], [lower_rows, -allowed_change]])
        is_change = np.repeat([0.0, 1.0], [n_worlds, n_statements])
        result = _minimise(is_change, inequalities, np.empty((0, len(is_change))), 1 - is_change)
        if result is None:
            return {}
        changes = zip(self.constraints, np.asarray(result.x)[n_worlds:], strict=True)
        return {constraint.id: float(change) for constraint, change in changes if change > 1e-8}

    def find_conflict(self) -> tuple[str, ...]:
        """Finds the ids of a minimal set of conflicting statements and rules, by deletion; () if nothing conflicts."""
        if self.is_feasible:
            return ()
        component = next(component for component in self._components() if not component._is_feasible())
        core: list[Constraint | Rule] = [*component.rules, *component.constraints]
        for statement in list(core):
            smaller_core = [x for x in core if x is not statement]
            if not _build_polytope(smaller_core).is_feasible:
                core = smaller_core
        return tuple(statement.id for statement in core)

    def drop(self, *ids: str) -> Polytope:
        """Makes the polytope without the statements and rules that have these ids."""
        return _build_polytope(statement for statement in self.statements if statement.id not in ids)

    def _components(self) -> list[Polytope]:
        groups: list[tuple[set[str], list[Constraint | Rule]]] = []
        for statement in self.statements:
            atoms, members = set(statement.atoms), [statement]
            for group in [g for g in groups if g[0] & statement.atoms]:
                groups.remove(group)
                atoms |= group[0]
                members = group[1] + members
            groups.append((atoms, members))
        return [_build_polytope(members) for _, members in groups]

    def select_connected(self, atoms: frozenset[str]) -> Polytope:
        """Makes the polytope of the statements that are connected to these atoms, directly or through shared atoms."""
        components = [component for component in self._components() if component.atoms & atoms]
        connected = {id(statement) for component in components for statement in component.statements}
        polytope = _build_polytope(statement for statement in self.statements if id(statement) in connected)
        polytope.__dict__["atoms"] = polytope.atoms | atoms
        return polytope

    @cached_property
    def atoms(self) -> frozenset[str]:
        """The atoms that the statements mention; in a polytope made for a query, also the atoms of the query."""
        return frozenset().union(*(statement.atoms for statement in self.statements))

    def merge_worlds(self, events: Sequence[Event]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Merges the worlds that all statements and events treat alike; n merged worlds are left.

        Returns the codes [statements, n], and for each event an array [n], which is 1 where the event happens. The code
        of a statement in a world is 0 if its condition fails, 1 if only its condition holds, and 2 if its event holds
        too.
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
        event_rows = [event.holds(worlds) for event in events]
        rows += [x.astype(np.int8) for x in event_rows]
        n_worlds = int(allowed.sum())
        key, size = np.zeros(n_worlds, dtype=np.int64), 1
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
        return codes, [x[first].astype(float) for x in event_rows]

    def _make_size_error(self, amount: str, limit: int) -> MesascopeError:
        ids = [statement.id for statement in self.statements]
        others = ", ".join(ids[1:4]) + (", …" if len(ids) > 4 else "")
        place = self.constraints[0].place if self.constraints else ""
        head = f"{place}: With {len(ids) - 1} more ({others}) it connects" if place else "These statements connect"
        problem = f"{head} {amount}; at most {limit} are possible."
        return MesascopeError(problem, "Remove atoms or bridges, or use --engine net.")

    def make_inequalities(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Makes two inequality rows per statement: event - high·condition <= 0 and low·condition - event <= 0."""
        condition, event = (codes > 0).astype(float), (codes == 2).astype(float)
        high = np.array([c.high for c in self.constraints]).reshape(-1, 1)
        low = np.array([c.low for c in self.constraints]).reshape(-1, 1)
        return event - high * condition, low * condition - event

    def make_rows(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Makes inequality rows (<= 0) of statements with intervals, and equality rows (= 0) of those with points."""
        upper_rows, lower_rows = self.make_inequalities(codes)
        point = np.array([c.low == c.high for c in self.constraints], dtype=bool)
        return np.concatenate([upper_rows[~point], lower_rows[~point]]), upper_rows[point]


def _build_polytope(statements: Iterable[Constraint | Rule]) -> Polytope:
    statements = list(statements)
    rules = [statement for statement in statements if isinstance(statement, Rule)]
    return Polytope([statement for statement in statements if isinstance(statement, Constraint)], rules)


def _minimise(cost: np.ndarray, inequalities: np.ndarray, equalities: np.ndarray, total_row: np.ndarray):
    """Minimises cost·x over x >= 0, total_row·x = 1, equalities·x = 0, inequalities·x <= 0; None if no x fits."""
    if not total_row.any():
        return None
    from scipy.optimize import linprog

    rows = np.vstack([total_row, equalities])
    right, limits = np.eye(len(rows))[0], np.zeros(len(inequalities))
    result = linprog(cost, inequalities, limits, rows, right, bounds=(0, None), method="highs", options=_SOLVER_OPTIONS)
    if result.status == 1:
        raise MesascopeError("The linear program did not finish in 4 seconds.", "Remove statements or bridges.")
    if result.status not in (0, 2):
        raise MesascopeError(f"The linear program failed: {result.message}", "Avoid values very close to 0 or 1.")
    return result if result.status == 0 else None


def _round(x: float) -> float:
    rounded = round(x, 10)
    return rounded if abs(rounded - x) < 1e-9 else x
