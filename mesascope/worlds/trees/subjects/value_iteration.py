"""Computes the values of nodes of the observed tree by value iteration, with a few sweeps per tick."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, compute_greedy_probabilities, keep_settings
from mesascope.worlds.trees.trees import read_tree, require_trees


class ValueIteration(ScriptedSubject):
    """Carries the values [N, M] of nodes, and the tree [N, 3M] to which these nodes belong."""

    n_nodes: int
    sweeps: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns values of 0, which belong to no tree."""
        return jnp.zeros((n, self.n_nodes)), jnp.full((n, 3 * self.n_nodes), -1.0)

    def respond(self, key, carry, percept: Percept):
        """Runs the sweeps, from initial values if the tree has changed; acts on the values before the last sweep."""
        values, last_arrays = carry
        tree = read_tree(percept.observation)
        is_same = (tree.tree_observation == last_arrays).all(-1)[:, None]
        values = jnp.where(is_same, values, tree.compute_initial_values())
        values = jax.lax.fori_loop(0, self.sweeps - 1, lambda i, v: tree.sweep_values(v), values)
        response = choose(key, jnp.log(compute_greedy_probabilities(tree.compute_action_values(values))))
        return (tree.sweep_values(values), tree.tree_observation), response


@keep_settings(sweeps=(1, 64))
def subject(family: Family, sweeps: int = 1) -> ValueIteration:
    """Computes the values of nodes of the observed tree by value iteration, with a few sweeps per tick.

    Args:
        family: the family of trees, `tree_choice`.
        sweeps: the number of sweeps per tick; each sweep updates the values of all nodes once.
    """
    return ValueIteration(require_trees(family).nodes, jnp.asarray(sweeps, jnp.int32))
