"""Helpers of scripted subjects of `tree_choice`: they read observations, compute values, and add noise to answers."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Family, require_family
from mesascope.contracts.percept import Percept
from mesascope.worlds.trees.families.tree_choice import TreeChoice

NOISE = 1.5  # standard deviation of one noisy look at an answer; the signal is 1


class Tree(NamedTuple):
    """What an observation shows of a tree.

    Attributes:
        node: [N] the present node.
        child: [N, M, 2] the node that each action leads to.
        pays: [N, M] the pay-off of each node.
        ends: [N, M] whether the node is a leaf.
        arrays: [N, 3M] the observation without the present node.
    """

    node: jax.Array
    child: jax.Array
    pays: jax.Array
    ends: jax.Array
    arrays: jax.Array


def read_tree(percept: Percept) -> Tree:
    """Reads the tree from an observation."""
    arrays = percept.observation[:, 1:]
    first, second, pays = jnp.split(arrays, 3, axis=-1)
    child = jnp.stack([first, second], -1).astype(jnp.int32)
    ends = child[..., 0] == jnp.arange(child.shape[1])
    return Tree(percept.observation[:, 0].astype(jnp.int32), child, pays, ends, arrays)


def value_leaves(tree: Tree) -> jax.Array:
    """[N, M] the pay-off at each leaf, and the mean over all leaves at other nodes."""
    mean = (tree.pays * tree.ends).sum(-1) / jnp.maximum(tree.ends.sum(-1), 1)
    return jnp.where(tree.ends, tree.pays, mean[:, None])


def sweep_values(tree: Tree, value: jax.Array) -> jax.Array:
    """[N, M] the values after one sweep of value iteration."""
    rows = jnp.arange(len(value))[:, None, None]
    return jnp.where(tree.ends, tree.pays, value[rows, tree.child].max(-1))


def value_moves(tree: Tree, value: jax.Array) -> jax.Array:
    """[N, 2] the values of the nodes that the two actions lead to."""
    rows = jnp.arange(len(value))
    return value[rows[:, None], tree.child[rows, tree.node]]


def solve_values(tree: Tree, depth: int) -> jax.Array:
    """[N, M] the exact values of a tree of this depth."""
    return jax.lax.fori_loop(0, depth, lambda i, v: sweep_values(tree, v), value_leaves(tree))


def require_trees(family: Family) -> TreeChoice:
    """Returns the family if it shows trees.

    Raises:
        MesascopeError: the family does not show trees.
    """
    return require_family(family, TreeChoice, "shows no tree", "Take --family tree_choice.")


class Evidence(NamedTuple):
    """The evidence from noisy looks.

    Attributes:
        drift: [N] the evidence for the second action.
        ticks: [N] the number of ticks so far at this observation.
        observation: [N, D] the observation.
    """

    drift: jax.Array
    ticks: jax.Array
    observation: jax.Array


def make_evidence(n: int, size: int) -> Evidence:
    """Returns the evidence before any observation."""
    return Evidence(jnp.zeros(n), jnp.zeros(n, jnp.int32), jnp.full((n, size), -1.0))


def add_noisy_look(
    evidence: Evidence, percept: Percept, answer: jax.Array, signal: jax.Array | float = 1.0, steady: Any = False
) -> Evidence:
    """The evidence after one more noisy look at the answer.

    The noise is a hash of the observation, the trial and the tick, so it does not depend on a lifetime's place in the
    batch.

    Args:
        evidence: the evidence so far.
        percept: what the subject observes.
        answer: [N, 2] the answer as probabilities of the two actions.
        signal: the size of what one look adds, one number or [N]; the standard deviation of its noise is `NOISE`.
        steady: whether only the first look at an observation is noisy, so that later ones outweigh the noise sooner.
    """
    observation = percept.observation
    is_same = (observation == evidence.observation).all(-1)
    drift, ticks = jnp.where(is_same, evidence.drift, 0.0), jnp.where(is_same, evidence.ticks, 0)
    hashed = observation @ jnp.sin(1.0 + jnp.arange(observation.shape[-1])) + 0.7548 * percept.trial + 1.3247 * ticks
    uniform = jnp.mod(jnp.sin(12.9898 * hashed) * 43758.547, 1.0)
    noise = jax.scipy.special.ndtri(jnp.clip(uniform, 1e-4, 1.0 - 1e-4))
    noise = jnp.where(steady & (ticks > 0), 0.0, NOISE * noise)
    return Evidence(drift + signal * (answer[:, 1] - answer[:, 0]) + noise, ticks + 1, observation)


def act_probabilities(drift: jax.Array) -> jax.Array:
    """[N, 2] probability 1 for the action that the evidence [N] supports."""
    second = (drift > 0).astype(jnp.float32)
    return jnp.stack([1.0 - second, second], -1)
