"""Computes sharp bounds on probabilities by linear programs over worlds (de Finetti 1937, Nilsson 1986).

No independence is assumed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mesascope.cruxes.language import SURE_EVENT, Event, conjoin
from mesascope.cruxes.programs import Program, minimise
from mesascope.cruxes.statements import Comparison, Constraint, Rule, Statement
from mesascope.cruxes.worlds import list_worlds
from mesascope.errors import MesascopeError

POSSIBLE_PROBABILITY = 1e-9  # an event with at most this probability is taken as impossible
COMPARISON_WIDTH = 1e-4  # the search for a value between two compared chances stops at intervals of this width


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
        comparisons: the statements that one chance is at least as large as another.

    Only the statements connected to a query through shared atoms enter the linear programs for this query. Worlds that
    every statement and the query treat alike are merged into one variable, which does not change the bounds. A
    comparison of chances under two different conditions is not linear. A search therefore finds a value that lies
    between the two chances, to within `COMPARISON_WIDTH`, and the bounds can be slightly too wide for this reason.
    """

    def __init__(
        self, constraints: Iterable[Constraint], rules: Iterable[Rule] = (), comparisons: Iterable[Comparison] = ()
    ):
        self.constraints, self.rules, self.comparisons = tuple(constraints), tuple(rules), tuple(comparisons)
        self.statements = (*self.constraints, *self.rules, *self.comparisons)
        self._programs: dict[tuple[Event, ...], Program] = {}
        self._connected: dict[frozenset[str], Polytope] = {}

    def bound(self, event: Event, condition: Event = SURE_EVENT, evidence: tuple[Event, float] | None = None) -> Bounds:
        """Finds the least and greatest P(event | condition): sharp bounds that assume no independence.

        Args:
            event, condition: the two events of P(event | condition).
            evidence: an event, and the likelihood ratio of an observation that depends on this event alone; the bounds
                are then on P(event | condition) after the observation. By default, there is no observation.

        Only distributions with P(condition) above zero count.
        """
        about, ratio = evidence or (SURE_EVENT, 1.0)
        connected = self.select_connected(conjoin(event, condition, about).atoms)
        both = conjoin(event, condition)
        questions = [both, condition]
        if evidence:
            questions += [conjoin(both, about), conjoin(condition, about)]

        def find_end(sign: float) -> float | None:
            def find_value(polytope: Polytope) -> float | None:
                program = polytope.make_program(questions)
                event_row, condition_row = program.worlds.rows[:2]
                if evidence:  # worlds in which the event `about` happens count `ratio` times
                    event_row = event_row + (ratio - 1) * program.worlds.rows[2]
                    condition_row = condition_row + (ratio - 1) * program.worlds.rows[3]
                result = program.minimise(sign * event_row, condition_row)
                return None if result is None else float(result.fun)

            end = connected.search_minimum(find_value)
            return None if end is None else min(1.0, max(0.0, sign * end))

        ends = [find_end(sign) for sign in (1.0, -1.0)]
        if ends[0] is None or ends[1] is None:
            return Bounds("undefined" if connected.is_feasible else "incoherent")
        low, high = sorted(_round(x) for x in ends if x is not None)
        return Bounds("bounded", low, high)

    def search_minimum(self, find_value: Callable[[Polytope], float | None]) -> float | None:
        """Finds the least value of a function over this polytope, which may have comparisons under two conditions.

        Args:
            find_value: a function that takes a polytope without such comparisons, and returns a number, or None if no
                distribution agrees with the statements of that polytope.

        Returns None if no distribution agrees with the statements.
        """
        pending = [c for c in self.comparisons if not c.is_linear]
        linear = [c for c in self.comparisons if c.is_linear]

        def evaluate(box: tuple[tuple[float, float], ...]) -> float | None:
            if not pending:
                return find_value(self)
            pairs = [c.make_constraints(*span) for c, span in zip(pending, box, strict=True)]
            extra = [constraint for pair in pairs for constraint in pair]
            return find_value(Polytope([*self.constraints, *extra], self.rules, linear))

        whole = ((0.0, 1.0),) * len(pending)
        value = evaluate(whole)
        queue = [] if value is None else [(value, 1.0, whole)]
        while queue:
            value, _, box = heapq.heappop(queue)
            widths = [high - low for low, high in box]
            if max(widths, default=0.0) < COMPARISON_WIDTH:
                return value
            i = widths.index(max(widths))
            middle = sum(box[i]) / 2
            for span in ((box[i][0], middle), (middle, box[i][1])):
                part = (*box[:i], span, *box[i + 1 :])
                if (part_value := evaluate(part)) is not None:
                    heapq.heappush(queue, (part_value, max(high - low for low, high in part), part))
        return None

    def find_vertices(
        self, events: Sequence[Event], condition: Event = SURE_EVENT, n_directions: int = 24, seed: int = 0
    ) -> np.ndarray:
        """Finds some vertices of the set of possible vectors (P(e1 | condition), P(e2 | condition), …).

        Args:
            events: the events e1, e2, ….
            condition: the event on which all these probabilities are conditional.
            n_directions: the number of directions to search: first both directions of each coordinate, then random
                ones.
            seed: the seed of the random directions.

        Returns an array [vertices, events]. Each row contains the probabilities P(e | condition) under a distribution
        that agrees with all statements except comparisons under two conditions. If no distribution agrees with these
        statements, the array has no rows.
        """
        connected = self.select_connected(conjoin(condition, *events).atoms)
        program = connected.make_program([condition, *(conjoin(event, condition) for event in events)])
        condition_row, *event_rows = program.worlds.rows
        table = np.array(event_rows)
        axes = np.concatenate([np.eye(len(events)), -np.eye(len(events))])
        random = np.random.default_rng(seed).normal(size=(max(0, n_directions - len(axes)), len(events)))
        vertices = []
        for direction in np.concatenate([axes, random]):
            result = program.minimise(direction @ table, condition_row)
            if result is not None:
                vertices.append(table @ np.asarray(result.x))
        return _snap_to_ends(np.array(vertices).reshape(-1, len(events)))

    def list_linear_parts(self, n_parts: int = 16, seed: int = 0) -> list[Polytope]:
        """Lists some polytopes inside this polytope that have no comparisons under two conditions.

        In each part, every such comparison has a fixed value, which lies between its two chances. Parts without any
        distribution are left out. Without such comparisons, the only part is this polytope.
        """
        pending = [c for c in self.comparisons if not c.is_linear]
        if not pending:
            return [self]
        linear = [c for c in self.comparisons if c.is_linear]
        relaxed, rng, columns = Polytope(self.constraints, self.rules, linear), np.random.default_rng(seed), []
        for c in pending:
            least = relaxed.bound(c.lesser_event, c.lesser_condition).low
            greatest = relaxed.bound(c.event, c.condition).high
            ends = 0.0 if least is None else least, 1.0 if greatest is None else greatest
            columns.append(rng.permutation(np.linspace(*ends, n_parts)))
        parts = []
        for values in zip(*columns, strict=True):
            pairs = [c.make_constraints(float(v), float(v)) for c, v in zip(pending, values, strict=True)]
            extra = [constraint for pair in pairs for constraint in pair]
            parts.append(Polytope([*self.constraints, *extra], self.rules, linear))
        return [part for part in parts if part.is_feasible]

    @cached_property
    def is_feasible(self) -> bool:
        """Whether any distribution agrees with all statements."""
        return all(component._is_component_feasible for component in self._components)

    def is_possible(self, event: Event) -> bool:
        """Whether an event has a positive probability in some distribution that agrees with all statements."""
        connected = self.select_connected(event.atoms)
        for i, constraint in enumerate(connected.constraints):
            if constraint.condition == event and connected._example is not None:
                program, weights = connected._example
                if program.worlds.conditions[i] @ weights > POSSIBLE_PROBABILITY:
                    return True

        def find_value(polytope: Polytope) -> float | None:
            program = polytope.make_program([event])
            result = program.minimise(-program.worlds.rows[0], program.worlds.total)
            return None if result is None else float(result.fun)

        value = connected.search_minimum(find_value)
        return value is not None and -value > POSSIBLE_PROBABILITY

    @cached_property
    def _is_component_feasible(self) -> bool:
        if self._example is not None:
            return True

        def find_value(polytope: Polytope) -> float | None:
            program = polytope.make_program([])
            return None if program.minimise(0 * program.worlds.total, program.worlds.total) is None else 0.0

        return any(not c.is_linear for c in self.comparisons) and self.search_minimum(find_value) is not None

    @cached_property
    def _example(self) -> tuple[Program, np.ndarray] | None:
        """A distribution that agrees with all statements, with its program; None if none was found.

        Of the distributions that agree with all statements but the comparisons under two conditions, it is one with the
        greatest total probability of the statements' conditions. If it violates such a comparison, the result is None.
        """
        pending = [c for c in self.comparisons if not c.is_linear]
        bounds = [constraint for c in pending for constraint in c.make_constraints(0.0, 1.0)]
        polytope = Polytope([*self.constraints, *bounds], self.rules, [c for c in self.comparisons if c.is_linear])
        program = (polytope if pending else self).make_program([])
        result = program.minimise(-program.worlds.conditions.sum(axis=0), program.worlds.total)
        if result is None:
            return None
        weights, n = np.asarray(result.x), len(self.constraints)
        events, conditions = program.worlds.events[n:] @ weights, program.worlds.conditions[n:] @ weights
        are_both_possible = (conditions[::2] > 0) & (conditions[1::2] > 0)
        is_less = events[::2] * conditions[1::2] < events[1::2] * conditions[::2]
        return None if np.any(are_both_possible & is_less) else (program, weights)

    def find_repair(self) -> dict[str, float]:
        """Finds the smallest repair: by how much each claim must change so that all statements agree.

        The repair has the least total change (L1 norm) of joint probabilities.

        Returns the change of each claim that must change, by id. The result is empty if the statements already agree,
        or if the rules and comparisons alone contradict each other.
        """
        changes: dict[str, float] = {}
        for component in self._components:
            changes |= component._compute_repair()[0]
        return changes

    def find_repaired_values(self) -> dict[str, tuple[float, float]]:
        """Finds the interval of each claim, by id, that the smallest repair changes; see `find_repair`."""
        values: dict[str, tuple[float, float]] = {}
        for component in self._components:
            values |= component._compute_repair()[1]
        return values

    def _compute_repair(self) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
        program = self.make_program([])
        n_worlds, n_statements = len(program.worlds.total), len(self.constraints)
        if not n_worlds or not n_statements:
            return {}, {}
        upper_rows, lower_rows = program.make_inequalities()
        allowed_change = np.eye(n_statements)
        inequalities = np.block([[upper_rows, -allowed_change], [lower_rows, -allowed_change]])
        is_change = np.repeat([0.0, 1.0], [n_worlds, n_statements])
        total = np.concatenate([program.worlds.total, np.zeros(n_statements)])
        links = np.hstack([program.worlds.links.toarray(), np.zeros((program.worlds.links.shape[0], n_statements))])
        extra = np.hstack([program.comparison_rows, np.zeros((len(program.comparison_rows), n_statements))])
        result = minimise(is_change, np.vstack([inequalities, extra]), links, total)
        if result is None:
            return {}, {}
        weights, changes = np.split(np.asarray(result.x), [n_worlds])
        values = {}
        for i, constraint in enumerate(self.constraints):
            chance = float(weights @ program.worlds.conditions[i])
            if changes[i] > 1e-8 and chance > 1e-8:
                value = float(weights @ program.worlds.events[i]) / chance
                values[constraint.id] = min(constraint.low, value), max(constraint.high, value)
        ids = [constraint.id for constraint in self.constraints]
        return {i: float(change) for i, change in zip(ids, changes, strict=True) if change > 1e-8}, values

    def find_conflict(self) -> tuple[str, ...]:
        """Finds a minimal set of statements that contradict each other, by leaving out one statement after another.

        Returns the ids of these statements, or () if all statements agree.
        """
        if self.is_feasible:
            return ()
        component = next(component for component in self._components if not component._is_component_feasible)
        core: list[Statement] = [*component.rules, *component.comparisons, *component.constraints]
        for statement in list(core):
            smaller_core = [x for x in core if x is not statement]
            if not _build_polytope(smaller_core).is_feasible:
                core = smaller_core
        return tuple(statement.id for statement in core)

    def drop(self, *ids: str) -> Polytope:
        """Makes the polytope without the statements and rules that have these ids."""
        return _build_polytope(statement for statement in self.statements if statement.id not in ids)

    def replace_intervals(self, values: dict[str, tuple[float, float]]) -> Polytope:
        """Makes the polytope in which the claims with these ids have these intervals."""
        spans = [values.get(c.id, (c.low, c.high)) for c in self.constraints]
        claims = [replace(c, low=low, high=high) for c, (low, high) in zip(self.constraints, spans, strict=True)]
        return Polytope(claims, self.rules, self.comparisons)

    @cached_property
    def _components(self) -> list[Polytope]:
        """The parts of this polytope that share no atoms."""
        groups: list[tuple[set[str], list[Statement]]] = []
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
        if atoms not in self._connected:
            components = [component for component in self._components if component.atoms & atoms]
            connected = {id(statement) for component in components for statement in component.statements}
            polytope = _build_polytope(statement for statement in self.statements if id(statement) in connected)
            polytope.__dict__["atoms"] = polytope.atoms | atoms
            self._connected[atoms] = polytope
        return self._connected[atoms]

    @cached_property
    def atoms(self) -> frozenset[str]:
        """The atoms that the statements mention; in a polytope made for a query, also the atoms of the query."""
        return frozenset().union(*(statement.atoms for statement in self.statements))

    def make_program(self, events: Sequence[Event]) -> Program:
        """Makes the linear program of the statements, with a row for each of these events, and caches the program.

        Statements that are connected too densely raise `MesascopeError`, which names the first claim whose place in a
        file is known.
        """
        if tuple(events) in self._programs:
            return self._programs[tuple(events)]
        pairs = [(c.event, c.condition) for c in self.constraints]
        linear = [c for c in self.comparisons if c.is_linear]
        compared = [e for c in linear for e in (conjoin(c.event, c.condition), conjoin(c.lesser_event, c.condition))]
        try:
            worlds = list_worlds(pairs, [rule.event for rule in self.rules], [*events, *compared])
        except MesascopeError as error:
            place = next((c.place for c in self.constraints if c.place), "")
            raise MesascopeError(f"{place}: {error.problem}" if place else error.problem, error.remedy) from None
        rows = worlds.rows[len(events) :]
        comparison_rows = rows[1::2] - rows[::2]
        worlds = replace(worlds, rows=worlds.rows[: len(events)])
        self._programs[tuple(events)] = Program(worlds, self.constraints, comparison_rows)
        return self._programs[tuple(events)]


def _build_polytope(statements: Iterable[Statement]) -> Polytope:
    kinds: dict[type, list[Any]] = {Constraint: [], Rule: [], Comparison: []}
    for statement in statements:
        kinds[type(statement)].append(statement)
    return Polytope(*kinds.values())


def _round(x: float) -> float:
    rounded = round(x, 10)
    return rounded if abs(rounded - x) < 1e-9 else x


def _snap_to_ends(x: np.ndarray) -> np.ndarray:
    """Clips probabilities to [0, 1]; those within 1e-9 of 0 or 1 become 0 or 1, because their logs are needed."""
    return np.where(x < 1e-9, 0.0, np.where(x > 1 - 1e-9, 1.0, x))
