"""What scripted subjects of `tree_choice` share: the tree that is shown, values on it, answers that waver."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Family, require_family
from mesascope.contracts.percept import Percept
from mesascope.worlds.trees.families.tree_choice import TreeChoice

NOISE = 1.5  # standard deviation of one look of a wavering answer, whose signal is 1


class Tree(NamedTuple):
    """node [N], child [N, M, 2], pays [N, M], ends [N, M] whether nothing follows; told [N, 3M] all but the node."""

    node: jax.Array
    child: jax.Array
    pays: jax.Array
    ends: jax.Array
    told: jax.Array


def shown(percept: Percept) -> Tree:
    """The tree in an observation."""
    told = percept.observation[:, 1:]
    left, right, pays = jnp.split(told, 3, axis=-1)
    child = jnp.stack([left, right], -1).astype(jnp.int32)
    ends = child[..., 0] == jnp.arange(child.shape[1])
    return Tree(percept.observation[:, 0].astype(jnp.int32), child, pays, ends, told)


def mean_leaf_value(tree: Tree) -> jax.Array:
    """[N, M] what the ends pay, and elsewhere the mean of all ends."""
    mean = (tree.pays * tree.ends).sum(-1) / jnp.maximum(tree.ends.sum(-1), 1)
    return jnp.where(tree.ends, tree.pays, mean[:, None])


def sweep_values(tree: Tree, value: jax.Array) -> jax.Array:
    """[N, M] one sweep of value iteration."""
    rows = jnp.arange(len(value))[:, None, None]
    return jnp.where(tree.ends, tree.pays, value[rows, tree.child].max(-1))


def child_values(tree: Tree, value: jax.Array) -> jax.Array:
    """[N, 2] the values of the nodes that both acts lead to."""
    rows = jnp.arange(len(value))
    return value[rows[:, None], tree.child[rows, tree.node]]


def solve_values(tree: Tree, depth: int) -> jax.Array:
    """[N, M] values after as many sweeps as it takes."""
    return jax.lax.fori_loop(0, depth, lambda i, v: sweep_values(tree, v), mean_leaf_value(tree))


def require_trees(family: Family) -> TreeChoice:
    """The family, where it shows trees.

    Raises:
        MesascopeError: another family.
    """
    return require_family(family, TreeChoice, "shows no tree", "Put it to tree_choice.")


class Doubt(NamedTuple):
    """drift [N] evidence for the second act, ticks [N] at this observation, shown [N, D] what it was."""

    drift: jax.Array
    ticks: jax.Array
    shown: jax.Array


def no_evidence(n: int, size: int) -> Doubt:
    """Nothing seen."""
    return Doubt(jnp.zeros(n), jnp.zeros(n, jnp.int32), jnp.full((n, size), -1.0))


def add_noisy_look(doubt: Doubt, percept: Percept, wanted: jax.Array) -> Doubt:
    """After one more noisy look at the answer `wanted` [N, 2], probabilities.

    The noise is a hash of what is seen and when: what a lifetime does never hangs on its place in the batch.
    """
    seen = percept.observation
    same = (seen == doubt.shown).all(-1)
    drift, ticks = jnp.where(same, doubt.drift, 0.0), jnp.where(same, doubt.ticks, 0)
    mixed = seen @ jnp.sin(1.0 + jnp.arange(seen.shape[-1])) + 0.7548 * percept.trial + 1.3247 * ticks
    even = jnp.mod(jnp.sin(12.9898 * mixed) * 43758.547, 1.0)
    noise = jax.scipy.special.ndtri(jnp.clip(even, 1e-4, 1.0 - 1e-4))
    return Doubt(drift + wanted[:, 1] - wanted[:, 0] + NOISE * noise, ticks + 1, seen)


def act_probabilities(drift: jax.Array) -> jax.Array:
    """[N, 2] the act that evidence [N] speaks for."""
    second = (drift > 0).astype(jnp.float32)
    return jnp.stack([1.0 - second, second], -1)
