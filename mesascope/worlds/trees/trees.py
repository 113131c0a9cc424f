"""Helpers for scripted subjects of `tree_choice`: they read trees, compute values, and add noise to answers."""

from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, require_family
from mesascope.worlds.trees.families.tree_choice import TreeChoice

NOISE_SD = 1.5  # the standard deviation of the noise of one look at an answer; the signal is 1 by default


class Tree(NamedTuple):
    """A tree and the present node, as an observation shows them.

    Attributes:
        node: [N] the present node.
        child: [N, M, 2] the node that each action leads to from each node.
        payoffs: [N, M] the pay-off of each node.
        is_leaf: [N, M] whether the node is a leaf.
        tree_observation: [N, 3M] the observation without the present node.
    """

    node: jax.Array
    child: jax.Array
    payoffs: jax.Array
    is_leaf: jax.Array
    tree_observation: jax.Array

    def average_leaves(self) -> jax.Array:
        """Computes the mean pay-off of all leaves, [N]."""
        return (self.payoffs * self.is_leaf).sum(-1) / jnp.maximum(self.is_leaf.sum(-1), 1)

    def compute_initial_values(self) -> jax.Array:
        """Returns initial values [N, M]: the pay-off at each leaf, and the mean over all leaves at other nodes."""
        return jnp.where(self.is_leaf, self.payoffs, self.average_leaves()[:, None])

    def sweep_values(self, values: jax.Array) -> jax.Array:
        """Computes the values [N, M] after one sweep of value iteration."""
        rows = jnp.arange(len(values))[:, None, None]
        return jnp.where(self.is_leaf, self.payoffs, values[rows, self.child].max(-1))

    def compute_exact_values(self, depth: int) -> jax.Array:
        """Computes the exact values of the nodes of a tree of this depth, [N, M]."""
        return jax.lax.fori_loop(0, depth, lambda i, values: self.sweep_values(values), self.compute_initial_values())

    def compute_action_values(self, values: jax.Array) -> jax.Array:
        """Returns the values of the nodes to which the two actions lead, [N, 2]."""
        rows = jnp.arange(len(values))
        return values[rows[:, None], self.child[rows, self.node]]


def read_tree(observation: jax.Array) -> Tree:
    """Reads the trees from observations [N, 1 + 3M]."""
    node, arrays = observation[:, 0].astype(jnp.int32), observation[:, 1:]
    first, second, payoffs = jnp.split(arrays, 3, axis=-1)
    child = jnp.stack([first, second], -1).astype(jnp.int32)
    return Tree(node, child, payoffs, child[..., 0] == jnp.arange(child.shape[1]), arrays)


def require_trees(family: Family) -> TreeChoice:
    """Returns the family if it shows trees.

    Raises:
        MesascopeError: the family does not show trees.
    """
    return require_family(family, TreeChoice, "shows no tree", "Take --family tree_choice.")


class Evidence(NamedTuple):
    """The evidence about an answer, which is one of two actions, from noisy looks at this answer.

    Attributes:
        second_action_evidence: [N] the evidence for the second action, negative if it favours the first.
        ticks: [N] the number of ticks so far at this observation.
        observation: [N, D] the observation to which the evidence belongs.
    """

    second_action_evidence: jax.Array
    ticks: jax.Array
    observation: jax.Array

    @classmethod
    def make_empty(cls, n: int, size: int) -> Self:
        """Makes the evidence before the first observation, for n lifetimes and observations of `size` numbers."""
        return cls(jnp.zeros(n), jnp.zeros(n, jnp.int32), jnp.full((n, size), -1.0))

    def add_look(
        self, percept: Percept, answer: jax.Array, signal: jax.Array | float = 1.0, is_steady: Any = False
    ) -> Self:
        """Returns the evidence after one more noisy look at the answer.

        The noise is a hash of the observation, the trial and the tick, so it does not depend on the position of a
        lifetime in its block.

        Args:
            percept: what the subject observes.
            answer: [N, 2] the answer as probabilities of the two actions.
            signal: how much one look adds to the evidence for the answer, one number or [N]; the noise of a look has
                the standard deviation `NOISE_SD`.
            is_steady: whether only the first look at an observation is noisy.
        """
        observation = percept.observation
        is_same = (observation == self.observation).all(-1)
        drift, ticks = jnp.where(is_same, self.second_action_evidence, 0.0), jnp.where(is_same, self.ticks, 0)
        weights = jnp.sin(1.0 + jnp.arange(observation.shape[-1]))
        hashed = observation @ weights + 0.7548 * percept.trial + 1.3247 * ticks
        uniform = jnp.mod(jnp.sin(12.9898 * hashed) * 43758.547, 1.0)
        noise = jax.scipy.special.ndtri(jnp.clip(uniform, 1e-4, 1.0 - 1e-4))
        noise = jnp.where(is_steady & (ticks > 0), 0.0, NOISE_SD * noise)
        return type(self)(drift + signal * (answer[:, 1] - answer[:, 0]) + noise, ticks + 1, observation)

    def compute_action_probabilities(self) -> jax.Array:
        """Returns action probabilities [N, 2]: 1 for the supported action (the first at a tie), 0 for the other."""
        return jax.nn.one_hot((self.second_action_evidence > 0).astype(jnp.int32), 2)
