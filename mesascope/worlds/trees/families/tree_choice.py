"""Binary trees: the subject sees the whole tree with the pay-offs of its leaves, and walks from the root to a leaf.

Only leaves pay, so the best choice at the root takes as many steps of look-ahead as the tree is deep. Nothing about
the task is hidden. A lifetime has one tree. Half-way through the lifetime, the pay-offs may change ('revalued:worth')
or actions may lead to other nodes ('revalued:map', 'exchanged:acts'). The observation shows the change at once.
"""

import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.contracts import ActionConsequences, Split, check_memory, keep_settings, read_observations
from mesascope.contracts.family import ConfiguredFamily, make_reference_roles
from mesascope.contracts.percept import Percept, make_first_percept, make_next_percept
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key, draw_permutations

MAX_DEPTH = 8  # with more than 511 nodes, the observations of a block do not fit into memory


class Tasks(NamedTuple):
    """N trees of M nodes; the second axis stands for the tree before and after the change.

    Attributes:
        child: [N, 2, M, 2] the node that each action leads to from each node; actions at a leaf do not leave it.
        payoffs: [N, 2, M] the pay-offs of leaves, 0 at other nodes.
        root: [N] the index of the root.
    """

    child: jax.Array
    payoffs: jax.Array
    root: jax.Array


class State(NamedTuple):
    """The trial, the step and the node of each lifetime, [N] each."""

    trial: jax.Array
    step: jax.Array
    node: jax.Array


class TreeChoice(ConfiguredFamily):
    """Walks down a tree; see `family` for the settings.

    An observation [N, 1 + 3M] consists of four parts: the present node; for every node, the node that the first action
    leads to; the same for the second action; and the pay-off of every node.
    """

    depth: int

    controls: ClassVar = {"learner": "tree_q", "lookalike": "tree_q:rate=0", "still": "uniform"}
    # the observation shows the whole tree, so a subject can acquire nothing
    references: ClassVar = make_reference_roles(
        "tree_q", "tree_q", "tree_clone", strongest="value_iteration:sweeps=9", against_setting=""
    )

    @property
    def steps(self) -> int:
        """The number of steps in a walk, which is the depth of the tree."""
        return self.depth

    @property
    def nodes(self) -> int:
        """M, the number of nodes."""
        return 2 ** (self.depth + 1) - 1

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen, fresh, similar pay-offs, exchanged actions, shared leaves, and three revalued splits.

        There is a split 'seen' only with a bank. On 'revalued:same', the control, nothing changes.
        """
        split, half = self.make_split, self.horizon // 2
        revalued_splits = (
            split(f"revalued:{change}", change_trial=half, is_counted=False, change=change)
            for change in ("worth", "map", "same")
        )
        return (
            *self.make_seen_split(),
            split("fresh"),
            split("shifted:close", has_similar_payoffs=True),
            split("exchanged:acts", change_trial=half, change="acts"),
            split("restructured:graph", shares_leaves=True),
            *revalued_splits,
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        has_similar_payoffs: bool = False,
        shares_leaves: bool = False,
        change: str = "",
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: the random key for all draws.
            n: the number of tasks.
            has_similar_payoffs: whether the pay-offs of all leaves are above 0.4 and at most 0.6.
            shares_leaves: whether several ways may lead to the same leaf.
            change: what changes half-way through the lifetime: 'acts' (the two actions are exchanged), 'worth' (new
                pay-offs) or 'map' (actions lead to other nodes); with any other text, nothing changes.
        """
        node_order = draw_permutations(derive_key(key, "slots"), n, self.nodes)
        rank = self._draw_payoffs(derive_key(key, "pays"), n)
        child, payoffs, root = self._link_nodes(node_order), self._place_payoffs(node_order, rank), node_order[:, 0]
        if has_similar_payoffs:
            payoffs = jnp.where(payoffs > 0, 0.4 + 0.2 * payoffs, 0.0)
        elif shares_leaves:
            child = self._share_leaves(derive_key(key, "graph"), node_order, child)
        later_child, later_payoffs = child, payoffs
        if change == "acts":
            later_child = child[..., ::-1]
        elif change == "worth":
            later_payoffs = self._place_payoffs(node_order, self._draw_payoffs(derive_key(key, "again"), n))
        elif change == "map":
            later_child = self._link_nodes(self._shuffle_levels(derive_key(key, "again"), node_order))
        return Tasks(jnp.stack([child, later_child], 1), jnp.stack([payoffs, later_payoffs], 1), root)

    def _draw_payoffs(self, key: jax.Array, n: int) -> jax.Array:
        """Draws the pay-offs of leaves, [n, leaves]: evenly spaced up to 1, in random order."""
        n_leaves = 2**self.depth
        return (draw_permutations(key, n, n_leaves) + 1.0) / n_leaves

    def _link_nodes(self, node_order: jax.Array) -> jax.Array:
        """Finds the node that each action leads to, [n, M, 2]; `node_order` [n, M] lists the nodes level by level."""
        n_inner = 2**self.depth - 1
        index = jnp.arange(n_inner)
        children = jnp.stack([node_order[:, 2 * index + 1], node_order[:, 2 * index + 2]], -1)
        rows = jnp.arange(len(node_order))[:, None]
        child = jnp.broadcast_to(jnp.arange(self.nodes)[None, :, None], (len(node_order), self.nodes, 2))
        return child.at[rows, node_order[:, :n_inner]].set(children)

    def _place_payoffs(self, node_order: jax.Array, leaf_payoffs: jax.Array) -> jax.Array:
        """Makes the pay-offs [n, M] of nodes: `leaf_payoffs` [n, leaves] at the leaves, 0 elsewhere."""
        rows = jnp.arange(len(node_order))[:, None]
        return jnp.zeros(node_order.shape).at[rows, node_order[:, 2**self.depth - 1 :]].set(leaf_payoffs)

    def _shuffle_levels(self, key: jax.Array, node_order: jax.Array) -> jax.Array:
        """Shuffles the nodes [n, M] within each level, so that actions lead to other nodes of the next level."""
        parts = []
        for level in range(self.depth + 1):
            nodes = node_order[:, 2**level - 1 : 2 ** (level + 1) - 1]
            keys = jax.random.split(derive_key(key, level), len(node_order))
            parts.append(jax.vmap(jax.random.permutation)(keys, nodes))
        return jnp.concatenate(parts, 1)

    def _share_leaves(self, key: jax.Array, node_order: jax.Array, child: jax.Array) -> jax.Array:
        """Returns `child` with the actions of the last step of a walk changed: each leads to a random leaf."""
        first, n_inner = 2 ** (self.depth - 1) - 1, 2**self.depth - 1
        leaf_index = jax.random.randint(key, (len(node_order), n_inner - first, 2), n_inner, self.nodes)
        rows = jnp.arange(len(node_order))[:, None]
        return child.at[rows, node_order[:, first:n_inner]].set(
            jnp.take_along_axis(node_order[..., None], leaf_index, 1)
        )

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task, at the root of its tree."""
        zero = jnp.zeros(len(tasks.root), jnp.int32)
        state = State(zero, zero, tasks.root.astype(jnp.int32))
        return state, make_first_percept(self._observe(tasks, state))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """Moves one step down; a leaf pays, and after it the next trial begins at the root."""
        rows, phase = jnp.arange(len(action)), self._compute_phase(state.trial)
        node = tasks.child[rows, phase, state.node, action].astype(jnp.int32)
        is_last_step = state.step + 1 >= self.depth
        score = jnp.where(is_last_step, tasks.payoffs[rows, phase, node], 0.0)
        trial = state.trial + is_last_step
        step = jnp.where(is_last_step, 0, state.step + 1)
        state = State(trial, step, jnp.where(is_last_step, tasks.root, node).astype(jnp.int32))
        return state, make_next_percept(self._observe(tasks, state), action, score, trial, step), score

    def _compute_phase(self, trial: jax.Array) -> jax.Array:
        """Returns 0 for trials in the first half of the lifetime, and 1 for later trials."""
        return (trial >= self.horizon // 2).astype(jnp.int32)

    def _observe(self, tasks: Tasks, state: State) -> jax.Array:
        """Returns the observations of all lifetimes, [N, 1 + 3M]."""
        rows, phase = jnp.arange(len(state.trial)), self._compute_phase(state.trial)
        child = tasks.child[rows, phase].astype(jnp.float32)
        node = state.node[:, None].astype(jnp.float32)
        return jnp.concatenate([node, child[..., 0], child[..., 1], tasks.payoffs[rows, phase]], -1)

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents chance, best, worst and fixed, each [N, T].

        The observation shows the whole tree, so 'fixed' equals 'best'.
        """
        child, payoffs, root = (np.asarray(x) for x in tasks)
        phase = (np.arange(self.horizon) >= self.horizon // 2).astype(int)
        aggregates = {"chance": np.mean, "best": np.max, "worst": np.min}
        at_root = {
            k: compute_node_values(child, payoffs, self.depth, aggregate)[np.arange(len(root)), :, root]
            for k, aggregate in aggregates.items()
        }
        result = {k: np.ascontiguousarray(values[:, phase]) for k, values in at_root.items()}
        return {**result, "fixed": result["best"]}

    def evaluate_consequences(self, trials: xr.Dataset, condition: str = "intact") -> ActionConsequences:
        """Computes the best pay-off that each action can lead to, in the trees that the observations show.

        Raises:
            MesascopeError: the trials have no observations.
        """
        observations = read_observations(trials, self.name, "Take fewer trials or a shallower tree.")
        observations = observations if self.depth > 1 else observations[:, :, None]
        action = trials.action.sel(condition=condition).values.astype(int)
        action = action if self.depth > 1 else action[..., None]
        n, t = action.shape[:2]
        phases = observations[:, [0, self.horizon // 2], 0, 1:]  # a tree changes only once, half-way
        tree = phases.reshape(n, 2, 3, self.nodes)
        child, payoffs = np.moveaxis(tree[:, :, :2], 2, -1).astype(int), tree[:, :, 2]
        value = compute_node_values(child, payoffs, self.depth, np.max)
        i, j = np.ogrid[:n, :t]
        node = observations[:, :, 0, 0].astype(int)
        values, earlier_values = np.empty((2, *action.shape, 2))
        phase, last_phase = ((x >= self.horizon // 2).astype(int) for x in (j, j - 1))
        for s in range(self.depth):
            children = child[i, phase, node]
            values[:, :, s] = value[i[..., None], phase[..., None], children]
            earlier_values[:, :, s] = value[i[..., None], last_phase[..., None], child[i, last_phase, node]]
            node = np.take_along_axis(children, np.maximum(action[:, :, s : s + 1], 0), -1)[..., 0]
        earlier_values[:, 0] = np.nan
        depth = np.broadcast_to(self.depth - np.arange(self.depth), action.shape)
        size = math.factorial(self.nodes) * math.factorial(2**self.depth) / 2 ** (2**self.depth - 1)
        if str(trials.attrs["split"]) == "seen" and self.bank_tasks is not None:
            size = len(self.bank_tasks.root)
        is_observed = np.ones(action.shape[:2], bool)
        return ActionConsequences(action, values, earlier_values, is_observed, depth, float(size), has_goal=True)


def compute_node_values(child: np.ndarray, payoffs: np.ndarray, depth: int, aggregate: Any) -> np.ndarray:
    """Computes the pay-off [..., M] of a walk from each node, with values aggregated over the two actions of each step.

    Args:
        child: [..., M, 2] the node that each action leads to.
        payoffs: [..., M] the pay-off of each node.
        depth: the number of steps from the root to a leaf.
        aggregate: the function that aggregates the values of actions: the mean, maximum or minimum.
    """
    value, is_leaf = payoffs.astype(float), child[..., 0] == np.arange(child.shape[-2])
    flat = child.reshape(*child.shape[:-2], -1)
    for _ in range(depth):
        following = np.take_along_axis(value, flat, -1).reshape(child.shape)
        value = np.where(is_leaf, payoffs, aggregate(following, axis=-1))
    return value


@keep_settings(trials=(4, 100_000), bank=(0, 10_000))
def family(depth: int = 3, trials: int = 40, bank: int = 0, bank_seed: int = 0) -> TreeChoice:
    """The subject sees a whole tree with the pay-offs of its leaves; the best choice needs look-ahead to full depth.

    Args:
        depth: the number of steps from the root to a leaf, 1 to 8.
        trials: T, the number of walks in a lifetime, at least 4.
        bank: the number of training trees; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    if depth < 1:
        raise MesascopeError(f"With depth={depth} there is nothing to choose.", f"Give a depth from 1 to {MAX_DEPTH}.")
    if depth > MAX_DEPTH:
        raise MesascopeError(
            f"depth={depth}: {2 ** (depth + 1) - 1:,} nodes do not fit into an observation.",
            f"Give at most {MAX_DEPTH}.",
        )
    numbers = trials * depth * (3 * 2 ** (depth + 1) - 2)
    check_memory(numbers, f"{trials:,} walks of {depth} steps", "Give fewer trials or a smaller depth.")
    return TreeChoice(depth, choices=2, horizon=trials).with_fresh_bank(bank, bank_seed)
