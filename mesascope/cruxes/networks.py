"""Exact inference in discrete Bayesian networks: by a joint table if it is small, otherwise by variable elimination."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mesascope.errors import MesascopeError, require, require_known_name

MAX_JOINT_SIZE = 2**20
MAX_FACTOR_SIZE = 2**24
MIN_PROBABILITY = 1e-300

Factor = tuple[tuple[str, ...], np.ndarray]
"""The names of some nodes, and a table with one axis per node."""


@dataclass(frozen=True)
class Undefined:
    """The answer to a question whose condition has a probability below 1e-300."""

    reason: str


class Net:
    """A Bayesian network.

    Args:
        states: the state names of every node; the nodes may be in any order.
        parents: the parents of every node; nodes without parents may be left out.
        tables: the table P(node | parents) of every node, with one axis per parent, in the order of `parents`, and then
            an axis over the node's own states. An optional last axis [N] is a batch of N draws of the tables; every
            question then has N answers.

    Tables must sum to one over the node's states within 1e-6; the graph must be acyclic.
    """

    def __init__(
        self,
        states: Mapping[str, Sequence[str]],
        parents: Mapping[str, Sequence[str]],
        tables: Mapping[str, np.ndarray],
    ):
        self.states = {name: tuple(labels) for name, labels in states.items()}
        self.parents = {name: tuple(parents.get(name, ())) for name in states}
        for name, node_parents in self.parents.items():
            for parent in node_parents:
                require_known_name(f"parent of {name}", parent, self.parents)
        self.order, cyclic_nodes = sort_nodes(self.parents)
        require(not cyclic_nodes, f"The nodes {', '.join(cyclic_nodes)} form a cycle.", "Remove an arc.")
        self.tables = {name: np.asarray(tables[name], dtype=float) for name in self.order}
        self.sizes = tuple(len(self.states[name]) for name in self.order)
        self.batch_shape: tuple[int, ...] = ()
        for name in self.order:
            table, expected_shape = self.tables[name], tuple(len(self.states[p]) for p in (*self.parents[name], name))
            n_axes = len(expected_shape)
            if table.shape[:n_axes] != expected_shape or table.ndim > n_axes + 1:
                problem = f"The table of {name!r} has shape {table.shape}; its parents require {expected_shape}."
                raise MesascopeError(problem, "The axes are the parents in order, then the node's states.")
            if not np.isfinite(table).all() or table.min() < 0 or np.abs(table.sum(n_axes - 1) - 1).max() > 1e-6:
                raise MesascopeError(f"The table of {name!r} does not sum to one.", "Make each row sum to 1.")
            if table.ndim > n_axes:
                self.batch_shape = table.shape[-1:]

    @cached_property
    def _broadcast_tables(self) -> list[np.ndarray]:
        axis_of_node = {name: i for i, name in enumerate(self.order)}
        tables = []
        for name in self.order:
            axes = [axis_of_node[p] for p in (*self.parents[name], name)]
            table, extra = self.tables[name], self.tables[name].ndim - len(axes)
            table = table.transpose([*np.argsort(axes), *range(len(axes), table.ndim)])
            shape = [1] * len(self.order) + [1] * (len(self.batch_shape) - extra) + list(table.shape[len(axes) :])
            for axis in axes:
                shape[axis] = self.sizes[axis]
            tables.append(np.ascontiguousarray(table).reshape(shape))
        return tables

    def compute_joint(self) -> np.ndarray:
        """Computes P(all nodes), which sums to one, with one axis per node in `order`; a batch axis comes last."""
        if np.prod(self.sizes, dtype=float) > MAX_JOINT_SIZE:
            raise MesascopeError("The joint table would have more than a million entries.", "Ask for marginals.")
        joint = self._broadcast_tables[0]
        for table in self._broadcast_tables[1:]:
            joint = joint * table
        return joint

    def compute_marginals(self) -> dict[str, np.ndarray]:
        """Computes P(node) for every node, as an array over the node's states; a batch axis comes last."""
        if self.batch_shape or np.prod(self.sizes, dtype=float) > MAX_JOINT_SIZE:
            return {name: self.compute_marginal((name,), {}) for name in self.order}
        joint, marginals, n_before = self.compute_joint(), {}, 1
        for name, size in zip(self.order, self.sizes, strict=True):
            marginals[name] = joint.reshape(n_before, size, -1).sum(axis=(0, 2))
            n_before *= size
        return marginals

    def compute_posterior(
        self, nodes: str | Sequence[str], evidence: Mapping[str, str] | None = None
    ) -> np.ndarray | Undefined:
        """Computes P(nodes | evidence).

        Args:
            nodes: one node, or several nodes for their joint distribution.
            evidence: the name of the observed state, for each observed node; by default no node is observed.

        Returns an array that sums to one, with one axis per node in the order of `nodes`, and the batch axis last. If
        the evidence has a probability below 1e-300 (in any draw of a batch), an `Undefined` is returned instead.
        """
        nodes = (nodes,) if isinstance(nodes, str) else tuple(nodes)
        observed = {name: self._find_state(name, label) for name, label in (evidence or {}).items()}
        unobserved = tuple(require_known_name("node", name, self.order) for name in nodes if name not in observed)
        joint = self.compute_marginal(unobserved, observed)
        total = joint.sum(axis=tuple(range(len(unobserved))))
        if np.min(total) < MIN_PROBABILITY:
            return Undefined(f"The evidence {dict(evidence or {})} cannot happen.")
        posterior = joint / total
        for axis, name in enumerate(nodes):
            if name in observed:  # the observed state of this node has probability 1
                others = np.zeros_like(posterior)
                states = range(len(self.states[name]))
                posterior = np.stack([posterior if i == observed[name] else others for i in states], axis=axis)
        return posterior

    def _find_state(self, name: str, label: str) -> int:
        labels = self.states[require_known_name("node", name, self.order)]
        return labels.index(require_known_name(f"state of {name}", label, labels))

    def compute_marginal(self, nodes: tuple[str, ...], observed_states: Mapping[str, int]) -> np.ndarray:
        """Computes P(nodes, observed states), as an array over the states of nodes that are not observed."""
        needed_nodes, stack = set(), [*nodes, *observed_states]
        while stack:  # find all ancestors of the nodes in the question; the tables of the other nodes sum to one
            name = stack.pop()
            if name not in needed_nodes:
                needed_nodes.add(name)
                stack.extend(self.parents[name])
        factors: list[Factor] = []
        for name in self.order:
            if name in needed_nodes:
                names = (*self.parents[name], name)
                table = self.tables[name][tuple(observed_states.get(n, slice(None)) for n in names)]
                factors.append((tuple(n for n in names if n not in observed_states), table))
        hidden_nodes = needed_nodes - set(nodes) - set(observed_states)
        while hidden_nodes:
            costs = {name: self._measure_factor(name, factors) for name in hidden_nodes}
            cheapest_node = min(sorted(hidden_nodes), key=costs.__getitem__)
            hidden_nodes.remove(cheapest_node)
            touching_factors = [f for f in factors if cheapest_node in f[0]]
            factors = [f for f in factors if cheapest_node not in f[0]]
            kept_nodes = tuple(dict.fromkeys(v for f in touching_factors for v in f[0] if v != cheapest_node))
            factors.append((kept_nodes, self._multiply(touching_factors, kept_nodes)))
        return self._multiply(factors, nodes)

    def _measure_factor(self, name: str, factors: Iterable[Factor]) -> float:
        neighbours = {v for f in factors if name in f[0] for v in f[0]}
        return float(np.prod([len(self.states[v]) for v in neighbours], dtype=float))

    def _multiply(self, factors: Sequence[Factor], kept_nodes: tuple[str, ...]) -> np.ndarray:
        names = list(dict.fromkeys(v for f in factors for v in f[0]))
        if np.prod([len(self.states[v]) for v in names], dtype=float) > MAX_FACTOR_SIZE or len(names) > 40:
            raise MesascopeError("This network is too densely connected for exact inference.", "Remove arcs.")
        axis_of_node = {name: i for i, name in enumerate(names)}
        operands: list[Any] = []
        for factor_nodes, table in factors:
            operands += [table, [*(axis_of_node[v] for v in factor_nodes), Ellipsis]]
        operands.append([*(axis_of_node[v] for v in kept_nodes), Ellipsis])
        return np.einsum(*operands, optimize=len(factors) > 2 and "greedy")


def sort_nodes(parents: Mapping[str, Collection[str]]) -> tuple[tuple[str, ...], list[str]]:
    """Sorts a graph's nodes, parents first; also returns the nodes that are on a cycle or descend from a cycle."""
    sorted_nodes: list[str] = []
    pending_nodes = dict(parents)
    while ready_nodes := [name for name, above in pending_nodes.items() if not pending_nodes.keys() & above]:
        sorted_nodes += ready_nodes
        for name in ready_nodes:
            del pending_nodes[name]
    return tuple(sorted_nodes), sorted(pending_nodes)
