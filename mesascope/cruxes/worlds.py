"""Lists the worlds over many atoms as the worlds of small groups of atoms, which agree where the groups overlap.

The groups are the nodes of a junction tree (Lauritzen and Spiegelhalter 1988): every event that matters lies in one
group, and distributions over the groups that agree on their overlaps are the marginals of one distribution over all
atoms. So a linear program over the groups has the same bounds as one over all worlds, with far fewer variables.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mesascope.cruxes.language import SURE_EVENT, Event, enumerate_worlds
from mesascope.errors import MesascopeError

MAX_GROUP_ATOMS = 20
MAX_WORLDS = 2**16
_MAX_JOINT_ATOMS = 10  # up to this number of atoms, one group is fast enough
_MAX_WHOLE_EVENT_ATOMS = 3  # an event with more atoms may be replaced by events of two parts


@dataclass(frozen=True)
class Worlds:
    """The n kinds of world to which a linear program gives probabilities.

    Args:
        conditions, events: booleans [pairs, n]; for each pair of an event and a condition, `conditions` states whether
            the condition happens in each kind of world, and `events` whether both happen.
        rows: for each event of the question, 1 for the kinds of world in which it happens, otherwise 0, [events, n].
        links: the sparse equality rows (= 0) by which groups agree on their overlaps, [states of overlaps, n].
        total: 1 for the kinds of world whose probabilities must sum to one, otherwise 0, [n].
    """

    conditions: np.ndarray
    events: np.ndarray
    rows: np.ndarray
    links: Any
    total: np.ndarray


def list_worlds(pairs: Sequence[tuple[Event, Event]], rules: Sequence[Event], events: Sequence[Event]) -> Worlds:
    """Lists the kinds of world that some statements and questions distinguish.

    Args:
        pairs: the pair of an event and a condition of each statement.
        rules: events that are certain.
        events: the events of the question.

    Worlds of a group that all statements, questions and overlaps treat alike are one kind. More than `MAX_WORLDS`
    kinds, or a group of more than `MAX_GROUP_ATOMS` atoms, raise `MesascopeError`.
    """
    atoms = sorted(frozenset().union(*(e.atoms for pair in pairs for e in pair), *(e.atoms for e in (*rules, *events))))
    scopes = [event.atoms | condition.atoms for event, condition in pairs]
    scopes += [event.atoms for event in (*rules, *events)]
    if len(atoms) <= _MAX_JOINT_ATOMS:
        return _merge_worlds([frozenset(atoms)], [-1], pairs, rules, events)
    groups, parents = _build_junction_tree(scopes)
    if max(map(len, groups)) > _MAX_JOINT_ATOMS:
        gates = _PartNames()
        small_pairs = [(gates.shorten(event), gates.shorten(condition)) for event, condition in pairs]
        small_rules, small_events = [gates.shorten(rule) for rule in rules], [gates.shorten(event) for event in events]
        small_rules += gates.rules
        small_scopes = [event.atoms | condition.atoms for event, condition in small_pairs]
        small_scopes += [event.atoms for event in (*small_rules, *small_events)]
        small_groups, small_parents = _build_junction_tree(small_scopes)
        if sum(2 ** len(g) for g in small_groups) < sum(2 ** len(g) for g in groups):
            groups, parents, pairs, rules, events = small_groups, small_parents, small_pairs, small_rules, small_events
    largest = max(map(len, groups))
    if largest > MAX_GROUP_ATOMS:
        raise _make_size_error(f"groups of {largest} atoms", MAX_GROUP_ATOMS)
    return _merge_worlds(groups, parents, pairs, rules, events)


def _make_size_error(amount: str, limit: int) -> MesascopeError:
    problem = f"The statements are connected so densely that they need {amount}; at most {limit} are possible."
    return MesascopeError(problem, "Remove claims or bridges that join many atoms, or split the file.")


class _PartNames:
    """New atoms that stand for the parts of long events, with the rules that define these atoms."""

    def __init__(self):
        self.rules: list[Event] = []
        self._names: dict[Event, Event] = {}

    def shorten(self, event: Event) -> Event:
        """Makes an event of few atoms that is equivalent to a long event under the rules."""
        if len(event.atoms) <= _MAX_WHOLE_EVENT_ATOMS:
            return event
        parts = tuple(self._name_part(part) for part in event.parts)
        return Event(event.operator, parts)

    def _name_part(self, event: Event) -> Event:
        if len(event.atoms) <= 1:
            return event
        if event.operator == "!":
            return Event("!", (self._name_part(event.parts[0]),))
        if event not in self._names:
            parts = tuple(self._name_part(part) for part in event.parts)
            self._names[event] = Event("atom", name=f"part {len(self._names)}")
            self.rules.append(Event("<->", (self._names[event], Event(event.operator, parts))))
        return self._names[event]


def _build_junction_tree(scopes: Sequence[Collection[str]]) -> tuple[list[frozenset[str]], list[int]]:
    """Finds groups of atoms that contain every scope, and the parent of each group in a junction tree (-1: none).

    The atoms are eliminated one by one; each step eliminates an atom with the fewest neighbours.
    """
    neighbours: dict[str, set[str]] = {}
    for scope in scopes:
        for atom in scope:
            neighbours.setdefault(atom, set()).update(scope)
    groups: list[frozenset[str]] = []
    position: dict[str, int] = {}
    while neighbours:
        atom = min(neighbours, key=lambda a: (len(neighbours[a]), a))
        group = frozenset(neighbours.pop(atom)) | {atom}
        position[atom] = len(groups)
        groups.append(group)
        for other in group - {atom}:
            neighbours[other] |= group
            neighbours[other].discard(atom)
    parents = [min((position[a] for a in group if position[a] > i), default=-1) for i, group in enumerate(groups)]
    removed: set[int] = set()
    for i in range(len(groups)):  # a child replaces a parent group that it contains
        while i not in removed and (parent := parents[i]) >= 0 and groups[parent] <= groups[i]:
            parents[i] = parents[parent]
            parents = [i if p == parent and j != i else p for j, p in enumerate(parents)]
            removed.add(parent)
    kept = [i for i in range(len(groups)) if i not in removed]
    new_index = {old: new for new, old in enumerate(kept)} | {-1: -1}
    return [groups[i] for i in kept], [new_index[parents[i]] for i in kept]


def _merge_worlds(
    groups: Sequence[frozenset[str]],
    parents: Sequence[int],
    pairs: Sequence[tuple[Event, Event]],
    rules: Sequence[Event],
    events: Sequence[Event],
) -> Worlds:
    def find_group(atoms: frozenset[str]) -> int:
        return next(i for i, group in enumerate(groups) if atoms <= group)

    pair_groups = [find_group(event.atoms | condition.atoms) for event, condition in pairs]
    event_groups = [find_group(event.atoms) for event in events]
    overlaps = [(i, p, groups[i] & groups[p]) if p >= 0 else (i, 0, frozenset()) for i, p in enumerate(parents)]
    overlaps = [(i, p, shared) for i, p, shared in overlaps if i != p]
    blocks, n = [], 0
    for i, group in enumerate(groups):
        if len(group) > MAX_GROUP_ATOMS:
            raise _make_size_error(f"groups of {len(group)} atoms", MAX_GROUP_ATOMS)
        worlds = enumerate_worlds(sorted(group))
        allowed = np.ones(len(next(iter(worlds.values()))), dtype=bool)
        for rule in rules:
            if rule.atoms <= group:
                allowed &= rule.evaluate(worlds)
        worlds = {name: column[allowed] for name, column in worlds.items()}
        conditions = [c.evaluate(worlds) for (_, c), home in zip(pairs, pair_groups, strict=True) if home == i]
        both = [(e if c == SURE_EVENT else Event("&", (e, c))) for e, c in pairs]
        together = [b.evaluate(worlds) for b, home in zip(both, pair_groups, strict=True) if home == i]
        own_rows = [e.evaluate(worlds) for e, home in zip(events, event_groups, strict=True) if home == i]
        shared_atoms = sorted(frozenset().union(*(shared for a, b, shared in overlaps if i in (a, b))))
        shared_columns = [worlds[a] for a in shared_atoms]
        first = _find_kinds([*conditions, *together, *own_rows, *shared_columns], int(allowed.sum()))
        n += len(first)
        if n > MAX_WORLDS:
            raise _make_size_error(f"more than {MAX_WORLDS} kinds of world", MAX_WORLDS)
        pick = [[x[first] for x in columns] for columns in (conditions, together, own_rows, shared_columns)]
        blocks.append((*pick[:3], dict(zip(shared_atoms, pick[3], strict=True)), len(first)))
    starts = np.cumsum([0, *(block[4] for block in blocks)])

    def place_rows(group_numbers: Sequence[int], kind: int) -> np.ndarray:
        table, taken = np.zeros((len(group_numbers), n), dtype=bool), [0] * len(groups)
        for row, group_number in enumerate(group_numbers):
            table[row, starts[group_number] : starts[group_number + 1]] = blocks[group_number][kind][
                taken[group_number]
            ]
            taken[group_number] += 1
        return table

    from scipy.sparse import csr_array, vstack

    links = vstack([csr_array((0, n)), *(_link_groups(blocks, starts, overlap, n) for overlap in overlaps)], "csr")
    total = np.zeros(n)
    total[: starts[1]] = 1.0
    tables = place_rows(pair_groups, 0), place_rows(pair_groups, 1), place_rows(event_groups, 2).astype(float)
    return Worlds(*tables, links, total)


def _find_kinds(columns: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Finds the index of the first world of each kind among n worlds; worlds of one kind agree in all columns."""
    key, size = np.zeros(n, dtype=np.int64), 1
    for column in columns:
        if size > 2**60:
            _, key = np.unique(key, return_inverse=True)
            size = int(key.max(initial=0)) + 1
        key, size = key * 2 + column, size * 2
    return np.unique(key, return_index=True)[1]


def _link_groups(blocks: Sequence, starts: np.ndarray, overlap: tuple[int, int, frozenset[str]], n: int) -> Any:
    """Makes the sparse rows by which two groups give each state of their overlap the same probability."""
    from scipy.sparse import csr_array

    i, j, shared = overlap
    codes = []
    for group in (i, j):
        code = np.zeros(blocks[group][4], dtype=np.int64)
        for atom in sorted(shared):
            code = code * 2 + blocks[group][3][atom]
        codes.append(code)
    states = np.unique(np.concatenate(codes))
    rows = np.searchsorted(states, np.concatenate(codes))
    columns = np.concatenate([np.arange(starts[group], starts[group + 1]) for group in (i, j)])
    signs = np.repeat([1.0, -1.0], [len(code) for code in codes])
    return csr_array((signs, (rows, columns)), (len(states), n))
