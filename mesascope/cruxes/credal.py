"""Credal networks: one person's claims as a Bayesian network whose entries are intervals.

The answer to a question is then a range of probabilities, or a sample of probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesascope.cruxes.bounds import Constraint, Polytope, Rule
from mesascope.cruxes.language import SURE_EVENT, Event, conjoin, enumerate_worlds, find_literals
from mesascope.cruxes.networks import MIN_PROBABILITY, Net
from mesascope.errors import MesascopeError

MAX_PARENTS = 14
MAX_FREE_ENTRIES = 20
_CHUNK_SIZE = 2**14
_DRAWS_PER_CHUNK = 2**15  # another size would change the random draws
_USE_LP_REMEDY = "Ask with --engine lp, which needs no network."
INDEPENDENCE_NOTE = "each atom is independent of its non-descendants given the atoms in its claims' conditions"


@dataclass(frozen=True)
class Entry:
    """One number of a network, with its interval.

    Args:
        id: the id of the claim that states the number, or the name of a table row that no claim states.
        low, high: the ends of the interval.
        is_stated: whether a claim states the number.
    """

    id: str
    low: float
    high: float
    is_stated: bool


@dataclass(frozen=True)
class _Node:
    parents: tuple[str, ...]
    entry_numbers: np.ndarray  # the entry number of each row of the table, -1 if a rule fixes the row
    is_negated: np.ndarray  # whether the row's entry is the chance of 'no'
    fixed_values: np.ndarray  # the value, 0 or 1, of each row that a rule fixes


class CredalNet:
    """A person's claims as a Bayesian network; an entry that no claim states may be anything in [0, 1].

    Args:
        constraints: the claims. Each event is an atom or its negation, or a conjunction of one of these with the event
            of an earlier claim under the same condition. Each condition is a conjunction of atoms and negated atoms.
        rules: the bridges, of the form `atom <-> event`, `atom -> event` or `event -> atom` for an atom without claims.
            Where the bridges do not determine the atom, one unstated entry gives the atom's chance.

    The network assumes that each atom is independent of its non-descendants given the atoms in its claims' conditions.
    Claims that do not form a network raise `MesascopeError`, which recommends the engine 'lp'.
    """

    def __init__(self, constraints: Sequence[Constraint], rules: Sequence[Rule]):
        self.entries = [Entry(c.id, c.low, c.high, True) for c in constraints]
        self.nodes: dict[str, _Node] = {}
        # index of a conjunction's entry -> index of its divisor's entry, and whether the atom has the same sign in both
        self.ratios: dict[int, tuple[int, bool]] = {}
        rows: dict[str, list[tuple[dict[str, bool], bool, int]]] = {}
        for number, c in enumerate(constraints):
            condition = find_literals(c.condition)
            if condition is None:
                raise MesascopeError(f"The condition of {c.id!r}, {c.condition}, is not a conjunction.", _USE_LP_REMEDY)
            atom, sign = self._find_claimed_atom(number, condition, constraints)
            rows.setdefault(atom, []).append((condition, sign, number))
        self._add_definitions(rules, rows)
        for atom, claimed_rows in rows.items():
            self._add_table(atom, claimed_rows)

    @classmethod
    def build_for(cls, polytope: Polytope, *events: Event) -> CredalNet:
        """Builds the network of the statements connected to some events, with a node for every atom of the events."""
        atoms = conjoin(*events).atoms
        part = polytope.select_connected(atoms)
        if part.comparisons:
            raise MesascopeError(f"{part.comparisons[0].id!r} compares two chances.", _USE_LP_REMEDY)
        network = cls(part.constraints, part.rules)
        network.add_missing_nodes(atoms)
        return network

    def _add_unstated_entry(self, name: str) -> int:
        self.entries.append(Entry(name, 0.0, 1.0, False))
        return len(self.entries) - 1

    def _find_claimed_atom(
        self, number: int, condition: dict[str, bool], constraints: Sequence[Constraint]
    ) -> tuple[str, bool]:
        c = constraints[number]
        event = find_literals(c.event) or {}
        if len(event) == 1:
            ((atom, sign),) = event.items()
            if atom in condition:
                raise MesascopeError(f"{c.id!r} states {atom} under a condition with {atom}.", _USE_LP_REMEDY)
            return atom, sign
        for i, source in enumerate(constraints[:number]):
            first = find_literals(source.event) or {}
            new_atoms = event.keys() - first
            is_part = len(first) == len(new_atoms) == 1 and first.keys() <= event.keys()
            if is_part and find_literals(source.condition) == condition:
                if c.low != c.high or source.low != source.high:
                    raise MesascopeError(f"{c.id!r} states a conjunction as an interval.", _USE_LP_REMEDY)
                (atom,), (earlier,) = new_atoms, first
                condition[earlier] = event[earlier]
                self.ratios[number] = i, first[earlier] == event[earlier]
                return atom, event[atom]
        raise MesascopeError(f"The event of {c.id!r}, {c.event}, is neither an atom nor its negation.", _USE_LP_REMEDY)

    def _add_definitions(self, rules: Sequence[Rule], rows: dict) -> None:
        """Adds a node for each atom that the rules define; `rows` holds the atoms that claims state."""
        # per atom: events that it implies, events that imply it, and the ids of the rules
        definitions: dict[str, tuple[list[Event], list[Event], list[str]]] = {}
        for rule in rules:
            first, second = rule.event.parts if rule.event.operator in ("->", "<->") else (SURE_EVENT, SURE_EVENT)
            heads = [e for e in (second, first) if e.operator == "atom" and e.name not in rows]
            heads.sort(key=lambda e: e.name not in definitions)
            if not heads or heads[0].name in (first.atoms & second.atoms):
                raise MesascopeError(f"The bridge {rule.id!r} does not define an atom without claims.", _USE_LP_REMEDY)
            head, body = (heads[0], first) if heads[0] is second else (heads[0], second)
            implied, implying, ids = definitions.setdefault(head.name, ([], [], []))
            ids.append(rule.id)
            if rule.event.operator == "<->" or head is first:
                implied.append(body)
            if rule.event.operator == "<->" or head is second:
                implying.append(body)
        for name, (implied, implying, ids) in definitions.items():
            parents = tuple(sorted(frozenset().union(*(body.atoms for body in (*implied, *implying)))))
            _require_few_parents(name, parents)
            worlds = enumerate_worlds(parents)
            may_hold = np.logical_and.reduce(
                [body.evaluate(worlds) for body in implied] or [np.ones(2 ** len(parents), bool)]
            )
            must_hold = np.logical_or.reduce([body.evaluate(worlds) for body in implying] or [~may_hold & may_hold])
            if np.any(must_hold & ~may_hold):
                raise MesascopeError(f"The bridges {' and '.join(ids)} exclude some cases.", _USE_LP_REMEDY)
            index, shape = np.full(2 ** len(parents), -1), (2,) * len(parents)
            if np.any(may_hold & ~must_hold):
                index[may_hold & ~must_hold] = self._add_unstated_entry(f"{name} as far as {' and '.join(ids)} allow")
            node_tables = index.reshape(shape), np.zeros(shape, dtype=bool), must_hold.reshape(shape)
            self.nodes[name] = _Node(parents, *node_tables)

    def _add_table(self, atom: str, claimed_rows: list[tuple[dict[str, bool], bool, int]]) -> None:
        parents = tuple(sorted({a for condition, *_ in claimed_rows for a in condition}))
        _require_few_parents(atom, parents)
        shape = (2,) * len(parents)
        index, is_negated, condition_sizes = np.full(shape, -1), np.zeros(shape, dtype=bool), np.full(shape, -1)
        for condition, sign, number in sorted(claimed_rows, key=lambda x: len(x[0])):
            cells = tuple(int(condition[p]) if p in condition else slice(None) for p in parents)
            if np.any(index[cells] >= 0):
                same = np.any(condition_sizes[cells] == len(condition))
                conflict = f"state {atom} under the same condition" if same else f"overlap on {atom}"
                raise MesascopeError(f"{self.entries[number].id!r} and another claim {conflict}.", _USE_LP_REMEDY)
            index[cells], is_negated[cells], condition_sizes[cells] = number, not sign, len(condition)
        for row in map(tuple, np.argwhere(index < 0)):
            row_condition = " & ".join(p if v else f"!{p}" for p, v in zip(parents, row, strict=True))
            index[row] = self._add_unstated_entry(f"{atom} given {row_condition}")
        self.nodes[atom] = _Node(parents, index, is_negated, np.zeros(shape, dtype=bool))

    def add_missing_nodes(self, atoms: frozenset[str]) -> None:
        """Adds an unstated node for each of these atoms and each parent, unless the atom already has a node."""
        for atom in sorted(atoms | {p for node in self.nodes.values() for p in node.parents}):
            if atom not in self.nodes:
                number = np.array(self._add_unstated_entry(atom))
                self.nodes[atom] = _Node((), number, np.array(False), np.array(False))

    def build_net(self, theta: np.ndarray) -> Net:
        """Builds one network from the entries' values [entries], or a batch of N networks from values [entries, N]."""
        values = np.array(theta, dtype=float)
        for number, (base, sign) in self.ratios.items():
            whole_event = values[base] if sign else 1 - values[base]
            values[number] = _divide_conjunction(values[number], whole_event, self.entries[number].id)
        tables = {}
        for name, node in self.nodes.items():
            yes = values[np.maximum(node.entry_numbers, 0)]
            shape = node.entry_numbers.shape + (1,) * (values.ndim - 1)
            yes = np.where(node.is_negated.reshape(shape), 1 - yes, yes)
            yes = np.where((node.entry_numbers < 0).reshape(shape), node.fixed_values.reshape(shape), yes)
            tables[name] = np.stack([1 - yes, yes], axis=len(node.parents))
        parents = {name: node.parents for name, node in self.nodes.items()}
        return Net({name: ("no", "yes") for name in self.nodes}, parents, tables)

    def evaluate(self, theta: np.ndarray, event: Event, condition: Event = SURE_EVENT) -> np.ndarray:
        """Computes P(event | condition) for each of N draws of the entry values.

        Args:
            theta: the draws of the entry values, [entries, N].
            event, condition: the two events of P(event | condition).

        Returns one exact answer per draw, [N]; the answer is NaN if the condition cannot happen in this draw.
        """
        atoms = sorted(event.atoms | condition.atoms)
        joint = self.build_net(theta).compute_marginal(tuple(atoms), {})
        worlds = {a: w.reshape((2,) * len(atoms)) for a, w in enumerate_worlds(atoms).items()}
        allowed = condition.evaluate(worlds)
        event_mass = joint[event.evaluate(worlds) & allowed].sum(axis=0)
        total = joint[allowed].sum(axis=0)
        event_mass, total = np.broadcast_to(event_mass, theta.shape[1:]), np.broadcast_to(total, theta.shape[1:])
        return np.where(total < MIN_PROBABILITY, np.nan, event_mass / np.where(total < MIN_PROBABILITY, 1.0, total))

    def list_intervals(self) -> np.ndarray:
        """Lists the lower and upper end of every entry, [entries, 2]."""
        return np.array([(e.low, e.high) for e in self.entries]).reshape(-1, 2)

    def find_relevant_entries(self, event: Event, condition: Event = SURE_EVENT) -> np.ndarray:
        """Tests whether P(event | condition) changes with each entry; returns booleans [entries].

        The test uses five points inside the intervals. Entries of a conjunction always count as relevant.
        """
        intervals, n_entries = self.list_intervals(), len(self.entries)
        rng = np.random.default_rng(20200818)
        ratio_entries = [i for number, (base, _) in self.ratios.items() for i in (number, base)]
        points = []
        for _ in range(5):
            base = intervals[:, 0] + (intervals[:, 1] - intervals[:, 0]) * rng.uniform(0.2, 0.8, n_entries)
            theta = np.repeat(base[:, None], 2 * n_entries, axis=1)  # two columns for each entry
            theta[np.arange(n_entries), 2 * np.arange(n_entries)] = 0.25
            theta[np.arange(n_entries), 2 * np.arange(n_entries) + 1] = 0.75
            theta[ratio_entries] = base[ratio_entries, None]  # because a conjunction must not exceed its part
            points.append(theta)
        values = self.evaluate(np.hstack(points), event, condition).reshape(5, n_entries, 2)
        changes = np.any(~(np.abs(values[..., 1] - values[..., 0]) < 1e-13), axis=0)
        changes[ratio_entries] = True
        return changes


def _divide_conjunction(value: np.ndarray, divisor: np.ndarray, name: str) -> np.ndarray:
    if np.any(divisor <= 0) or np.any(value > divisor + 1e-12):
        raise MesascopeError(f"{name!r} gives a conjunction a higher chance than one of its parts.", _USE_LP_REMEDY)
    return np.minimum(value / divisor, 1.0)


def _require_few_parents(name: str, parents: tuple[str, ...]) -> None:
    if len(parents) > MAX_PARENTS:
        problem = f"{name!r} depends on {len(parents)} atoms; a table allows at most {MAX_PARENTS}."
        raise MesascopeError(problem, _USE_LP_REMEDY)


@dataclass(frozen=True)
class Extremes:
    """The least and greatest probability over the vertices of a credal network.

    Args:
        low, high: the least and greatest value; None if the condition cannot happen at any vertex.
        is_exact: whether all vertices were visited; otherwise, coordinate ascent found an inner bound.
        free_entries: ids of the entries that can change the answer and whose intervals are not points.
    """

    low: float | None
    high: float | None
    is_exact: bool
    free_entries: tuple[str, ...]


def find_extremes(
    network: CredalNet, event: Event, condition: Event = SURE_EVENT, n_starts: int = 4, seed: int = 0
) -> Extremes:
    """Finds the range of P(event | condition) as every entry varies within its interval, independently of the others.

    Args:
        network: a network with interval entries.
        event, condition: the two events of P(event | condition).
        n_starts: the number of random vertices at which coordinate ascent starts, if more than 20 entries are free.
        seed: the seed of these vertices.

    P(event | condition) is a ratio of two multilinear functions. As a function of one entry θ, it is (aθ+b)/(cθ+d),
    which is monotone, so the extremes lie at vertices. If at most 20 entries are free, all vertices are visited, and
    the result is exact.
    """
    intervals = network.list_intervals()
    free = np.flatnonzero(network.find_relevant_entries(event, condition) & (intervals[:, 1] > intervals[:, 0]))
    ids, low_ends, high_ends = tuple(network.entries[i].id for i in free), intervals[free, 0], intervals[free, 1]

    def climb(sign: float) -> float | None:
        rng, best_value = np.random.default_rng(seed), None
        for _ in range(n_starts):
            theta = intervals.mean(axis=1)
            theta[free] = np.where(rng.integers(0, 2, len(free)), high_ends, low_ends)
            current_value = -np.inf
            while True:
                neighbours = np.repeat(theta[:, None], len(free), axis=1)
                neighbours[free, np.arange(len(free))] = np.where(theta[free] == low_ends, high_ends, low_ends)
                values = sign * np.nan_to_num(network.evaluate(neighbours, event, condition), nan=-sign * np.inf)
                if values.max() <= current_value + 1e-15:
                    break
                current_value = float(values.max())
                theta = neighbours[:, int(values.argmax())]
            if np.isfinite(current_value) and (best_value is None or current_value > best_value):
                best_value = current_value
        return None if best_value is None else sign * best_value

    if len(free) > MAX_FREE_ENTRIES:
        return Extremes(climb(-1.0), climb(1.0), False, ids)
    low, high = np.inf, -np.inf
    for start in range(0, 2 ** len(free), _CHUNK_SIZE):
        codes = np.arange(start, min(start + _CHUNK_SIZE, 2 ** len(free)))
        theta = np.repeat(intervals.mean(axis=1, keepdims=True), len(codes), axis=1)
        is_high = (codes >> np.arange(len(free))[:, None]) & 1
        theta[free] = np.where(is_high, high_ends[:, None], low_ends[:, None])
        values = network.evaluate(theta, event, condition)
        low, high = np.fmin.reduce(values, initial=low), np.fmax.reduce(values, initial=high)
    return Extremes(None, None, True, ids) if low > high else Extremes(float(low), float(high), True, ids)


@dataclass(frozen=True)
class SampledAnswers:
    """Second-order answers: one exact probability for each draw of the entries.

    Args:
        low, high: the least and greatest answer over the vertices in each draw, [draws]. They are equal if every entry
            has a distribution.
        vertex_entries: ids of the entries without a distribution, which take both ends of their intervals in each draw.
    """

    low: np.ndarray
    high: np.ndarray
    vertex_entries: tuple[str, ...]

    def compute_mean(self) -> tuple[float, float]:
        """Computes the mean probability, as an interval if some entries have no distribution."""
        return float(self.low.mean()), float(self.high.mean())

    def compute_quantiles(self) -> tuple[float, float]:
        """Computes the 5 % quantile of the lower ends, and the 95 % quantile of the upper ends."""
        return float(np.quantile(self.low, 0.05)), float(np.quantile(self.high, 0.95))


def draw_answers(
    network: CredalNet,
    betas: Sequence[tuple[float, float] | None],
    event: Event,
    condition: Event = SURE_EVENT,
    draws: int = 100_000,
    *,
    seed: int = 0,
) -> SampledAnswers | None:
    """Draws entries independently, and computes P(event | condition) exactly for each draw.

    Args:
        network: the network whose entries are drawn.
        betas: the Beta parameters (a, b) of each entry, or None for an entry without a distribution.
        event, condition: the two events of P(event | condition).
        draws, seed: the number of draws and the random seed.

    Returns `SampledAnswers`, or None if the condition cannot happen. Without a condition, the mean answer equals the
    answer at the mean entries, because the answer is multilinear in the entries. With a condition, the two differ.
    """
    intervals = network.list_intervals()
    is_relevant = network.find_relevant_entries(event, condition)
    is_open = is_relevant & (intervals[:, 1] > intervals[:, 0])
    interval_entries = [i for i in np.flatnonzero(is_open).tolist() if betas[i] is None]
    if len(interval_entries) > 10:
        problem = f"{len(interval_entries)} numbers have no distribution; sampling allows at most 10."
        raise MesascopeError(problem, "Ask with --engine credal.")
    rng = np.random.default_rng(seed)
    lows, highs = [], []
    for start in range(0, draws, _DRAWS_PER_CHUNK):
        n = min(_DRAWS_PER_CHUNK, draws - start)
        theta = np.repeat(intervals.mean(axis=1, keepdims=True), n, axis=1)
        for i, beta in enumerate(betas):
            if beta is not None and is_relevant[i]:
                theta[i] = rng.beta(*beta, n)
        low, high = np.full(n, np.inf), np.full(n, -np.inf)
        for code in range(2 ** len(interval_entries)):
            for j, i in enumerate(interval_entries):
                theta[i] = intervals[i, (code >> j) & 1]
            values = network.evaluate(theta, event, condition)
            low, high = np.fmin(low, values), np.fmax(high, values)
        lows.append(low)
        highs.append(high)
    low, high = np.concatenate(lows), np.concatenate(highs)
    return (
        SampledAnswers(low, high, tuple(network.entries[i].id for i in interval_entries))
        if np.isfinite(low).all()
        else None
    )
