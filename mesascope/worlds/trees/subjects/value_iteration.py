"""Value iteration over the tree that it is shown, some sweeps at each tick."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.worlds.trees.trees import child_values, mean_leaf_value, read_tree, require_trees, sweep_values

TRIED = "tree_choice:depth=2,trials=12,bank=3"


class ValueIteration(Scripted):
    """Carries values [N, M] and the tree that they belong to [N, 3M]."""

    nodes: int
    sweeps: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """No tree."""
        return jnp.zeros((n, self.nodes)), jnp.full((n, 3 * self.nodes), -1.0)

    def respond(self, key, carry, percept: Percept):
        """Starts again if the tree has changed; acts by the values before the last sweep of this tick."""
        value, before = carry
        tree = read_tree(percept)
        same = (tree.arrays == before).all(-1)[:, None]
        value = jnp.where(same, value, mean_leaf_value(tree))
        value = jax.lax.fori_loop(0, self.sweeps - 1, lambda i, v: sweep_values(tree, v), value)
        return (sweep_values(tree, value), tree.arrays), choose(
            key, jnp.log(greedy_probabilities(child_values(tree, value)))
        )


@keep_settings(sweeps=(1, 64))
def subject(family: Family, sweeps: int = 1) -> ValueIteration:
    """Iterates values over the tree that is shown, some sweeps at each tick.

    Args:
        family: the family of trees, `tree_choice`.
        sweeps: the sweeps of each tick.
    """
    return ValueIteration(require_trees(family).nodes, jnp.asarray(sweeps, jnp.int32))
