"""A binary tree is shown whole, its ends with what they pay; a walk from the root goes one step down at each act.

The next node shows nothing of what lies behind it, so choosing well at the root takes as many steps of look-ahead as
the tree is deep. Nothing has to be found out by living: the tree stays for a lifetime, and half-way it may change, in
what the ends pay ('revalued:worth') or in where the steps lead ('revalued:map'), which is shown at once.
"""

import math
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mesascope.contracts.configured import (
    Configured,
    Percept,
    Split,
    check_memory,
    first_percept,
    keep_settings,
    next_percept,
)
from mesascope.contracts.family import reference_roles
from mesascope.contracts.plans import Plans, observed
from mesascope.errors import MesascopeError
from mesascope.keys import address, random_orders

DEEPEST = 8  # 511 nodes: more do not fit into memory as observations of whole blocks


class Tasks(NamedTuple):
    """Before and after the change: child [N, 2, M, 2] the nodes that both acts lead to, an end to itself.

    pays [N, 2, M] of the ends, 0 elsewhere; root [N].
    """

    child: jax.Array
    pays: jax.Array
    root: jax.Array


class State(NamedTuple):
    """trial, step and node, each [N]."""

    trial: jax.Array
    step: jax.Array
    node: jax.Array


class TreeChoice(Configured):
    """Walks down a tree; see `family` for the settings.

    An observation [N, 1 + 3M]: the node; the nodes that the first and that the second act lead to from every node; what
    every node pays.
    """

    depth: int

    controls: ClassVar = {"learner": "tree_q", "lookalike": "tree_q:rate=0", "still": "uniform"}
    # whoever looks at the tree has nothing to acquire
    references: ClassVar = reference_roles(
        "tree_q", "tree_q", "tree_clone", strongest="value_iteration:sweeps=9", against=""
    )

    @property
    def steps(self) -> int:
        """The depth."""
        return self.depth

    @property
    def nodes(self) -> int:
        """M."""
        return 2 ** (self.depth + 1) - 1

    def splits(self) -> tuple[Split, ...]:
        """On the restructured split two ways may lead to one end."""
        split, half = self.varied, self.horizon // 2
        revalued = (
            split(f"revalued:{what}", changes_at=half, counted=False, later=what)
            for what in ("worth", "map", "same")
        )
        return (
            *self.seen(),
            split("fresh"),
            split("shifted:close", close=True),
            split("exchanged:acts", changes_at=half, later="acts"),
            split("restructured:graph", graph=True),
            *revalued,
        )

    def draw(
        self, key: jax.Array, n: int, *, close: bool = False, graph: bool = False, later: str = ""
    ) -> Tasks:
        """Draws n tasks.

        Args:
            key: of all draws.
            n: how many.
            close: whether pay-offs are near one another.
            graph: whether two ways may lead to one end.
            later: what is another half-way: 'acts', 'worth' or 'map'.
        """
        slots = random_orders(address(key, "slots"), n, self.nodes)
        rank = self._ranks(address(key, "pays"), n)
        child, pays, root = self._wired(slots), self._priced(slots, rank), slots[:, 0]
        if close:
            pays = jnp.where(pays > 0, 0.4 + 0.2 * pays, 0.0)
        elif graph:
            child = self._tangled(address(key, "graph"), slots, child)
        then, paid = child, pays
        if later == "acts":
            then = child[..., ::-1]
        elif later == "worth":
            paid = self._priced(slots, self._ranks(address(key, "again"), n))
        elif later == "map":
            then = self._wired(self._moved(address(key, "again"), slots))
        return Tasks(jnp.stack([child, then], 1), jnp.stack([pays, paid], 1), root)

    def _ranks(self, key: jax.Array, n: int) -> jax.Array:
        """[n, ends] pay-offs evenly spaced up to 1, in random order."""
        ends = 2**self.depth
        return (random_orders(key, n, ends) + 1.0) / ends

    def _wired(self, slots: jax.Array) -> jax.Array:
        """[n, M, 2] where both acts lead, of trees whose nodes, level by level, stand at slots [n, M]."""
        inner = 2**self.depth - 1
        at = jnp.arange(inner)
        there = jnp.stack([slots[:, 2 * at + 1], slots[:, 2 * at + 2]], -1)
        rows = jnp.arange(len(slots))[:, None]
        itself = jnp.broadcast_to(jnp.arange(self.nodes)[None, :, None], (len(slots), self.nodes, 2))
        return itself.at[rows, slots[:, :inner]].set(there)

    def _priced(self, slots: jax.Array, rank: jax.Array) -> jax.Array:
        """[n, M] what stands at each slot."""
        rows = jnp.arange(len(slots))[:, None]
        return jnp.zeros(slots.shape).at[rows, slots[:, 2**self.depth - 1 :]].set(rank)

    def _moved(self, key: jax.Array, slots: jax.Array) -> jax.Array:
        """The same slots in another order within each level: the same nodes, other steps between them."""
        parts = []
        for level in range(self.depth + 1):
            here = slots[:, 2**level - 1 : 2 ** (level + 1) - 1]
            split = jax.random.split(address(key, level), len(slots))
            parts.append(jax.vmap(jax.random.permutation)(split, here))
        return jnp.concatenate(parts, 1)

    def _tangled(self, key: jax.Array, slots: jax.Array, child: jax.Array) -> jax.Array:
        """The last steps lead to any two ends, also to one that another step leads to."""
        first, inner = 2 ** (self.depth - 1) - 1, 2**self.depth - 1
        pick = jax.random.randint(key, (len(slots), inner - first, 2), inner, self.nodes)
        rows = jnp.arange(len(slots))[:, None]
        return child.at[rows, slots[:, first:inner]].set(jnp.take_along_axis(slots[..., None], pick, 1))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one lifetime per task, at the root."""
        zero = jnp.zeros(len(tasks.root), jnp.int32)
        state = State(zero, zero, tasks.root.astype(jnp.int32))
        return state, first_percept(self._shown(tasks, state))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: jax.Array):
        """One step down; at an end it pays, and the next trial begins at the root."""
        rows, phase = jnp.arange(len(action)), self._phase(state.trial)
        node = tasks.child[rows, phase, state.node, action].astype(jnp.int32)
        ends = state.step + 1 >= self.depth
        paid = jnp.where(ends, tasks.pays[rows, phase, node], 0.0)
        trial = state.trial + ends
        step = jnp.where(ends, 0, state.step + 1)
        state = State(trial, step, jnp.where(ends, tasks.root, node).astype(jnp.int32))
        return state, next_percept(self._shown(tasks, state), action, paid, trial, step), paid

    def _phase(self, trial: jax.Array) -> jax.Array:
        return (trial >= self.horizon // 2).astype(jnp.int32)

    def _shown(self, tasks: Tasks, state: State) -> jax.Array:
        """[N, 1 + 3M]."""
        rows, phase = jnp.arange(len(state.trial)), self._phase(state.trial)
        child = tasks.child[rows, phase].astype(jnp.float32)
        where = state.node[:, None].astype(jnp.float32)
        return jnp.concatenate([where, child[..., 0], child[..., 1], tasks.pays[rows, phase]], -1)

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """chance, best, worst and fixed [N, T]; who cannot adapt still sees the tree, so 'fixed' is the best."""
        child, pays, root = (np.asarray(x) for x in tasks)
        late = (np.arange(self.horizon) >= self.horizon // 2).astype(int)
        rows = np.arange(len(root))
        ways = {"chance": np.mean, "best": np.max, "worst": np.min}
        out = {}
        for name, way in ways.items():
            ends = [walk_value(child[:, i], pays[:, i], self.depth, way)[rows, root] for i in (0, 1)]
            out[name] = np.stack(ends, 1)[:, late]
        return {**out, "fixed": out["best"]}

    def plans(self, trials: xr.Dataset, label: str = "intact") -> Plans:
        """What each act leads to at best, from the trees as they were shown.

        Raises:
            MesascopeError: the observations were not kept.
        """
        seen = observed(trials, self.name, "Take fewer trials or a shallower tree.")
        seen = seen if self.depth > 1 else seen[:, :, None]
        action = trials.action.sel(condition=label).values.astype(int)
        action = action if self.depth > 1 else action[..., None]
        n, t = action.shape[:2]
        phases = seen[:, [0, self.horizon // 2], 0, 1:]  # all trees that are ever shown
        tree = phases.reshape(n, 2, 3, self.nodes)
        child, pays = np.moveaxis(tree[:, :, :2], 2, -1).astype(int), tree[:, :, 2]
        value = walk_value(child, pays, self.depth, np.max)
        i, j = np.ogrid[:n, :t]
        node = seen[:, :, 0, 0].astype(int)
        values, before = np.empty((2, *action.shape, 2))
        now, earlier = ((x >= self.horizon // 2).astype(int) for x in (j, j - 1))
        for s in range(self.depth):
            there = child[i, now, node]
            values[:, :, s] = value[i[..., None], now[..., None], there]
            before[:, :, s] = value[i[..., None], earlier[..., None], child[i, earlier, node]]
            node = np.take_along_axis(there, np.maximum(action[:, :, s : s + 1], 0), -1)[..., 0]
        before[:, 0] = np.nan
        far = np.broadcast_to(self.depth - np.arange(self.depth), action.shape)
        size = math.factorial(self.nodes) * math.factorial(2**self.depth) / 2 ** (2**self.depth - 1)
        if str(trials.attrs["split"]) == "seen" and self.bank_tasks is not None:
            size = len(self.bank_tasks.root)
        shown = np.ones(action.shape[:2], bool)
        return Plans(action, values, before, shown, far, float(size), goal=True)

    def text(self, action: int, feedback: float) -> str:
        """One step in words."""
        return f"went {('left', 'right')[action]}, got {feedback:g}"


def walk_value(child: np.ndarray, pays: np.ndarray, depth: int, way: Any) -> np.ndarray:
    """[…, M] what a walk from each node brings, by the mean, the most or the least over both acts at each step."""
    value, ends = pays.astype(float), child[..., 0] == np.arange(child.shape[-2])
    flat = child.reshape(*child.shape[:-2], -1)
    for _ in range(depth):
        there = np.take_along_axis(value, flat, -1).reshape(child.shape)
        value = np.where(ends, pays, way(there, axis=-1))
    return value


@keep_settings(trials=(4, 100_000), bank=(0, 10_000))
def family(depth: int = 3, trials: int = 40, bank: int = 0, bank_seed: int = 0) -> TreeChoice:
    """A tree is shown whole, with what its ends pay; choosing well takes look-ahead as far as it is deep.

    Args:
        depth: the steps from the root to an end, at most 8.
        trials: T, walks in a lifetime, at least 4.
        bank: the number of training trees; 0 for unlimited.
        bank_seed: the seed that they are drawn from.
    """
    if depth < 1:
        raise MesascopeError(
            f"depth={depth}: there is nothing to choose.", f"Give a depth from 1 to {DEEPEST}."
        )
    if depth > DEEPEST:
        raise MesascopeError(
            f"depth={depth}: {2 ** (depth + 1) - 1:,} nodes are more than can be shown.",
            f"Give at most {DEEPEST}.",
        )
    shown = trials * depth * (3 * 2 ** (depth + 1) - 2)
    check_memory(shown, f"{trials:,} walks of {depth} steps", "Give fewer trials or a smaller depth.")
    return TreeChoice(depth, choices=2, horizon=trials).with_fresh_bank(bank, bank_seed)
