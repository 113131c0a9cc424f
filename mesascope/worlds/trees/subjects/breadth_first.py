"""Searches the tree that it is shown: each tick looks one step farther along every branch."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.worlds.trees.trees import child_values, mean_leaf_value, require_trees, shown, sweep_values

TRIED = "tree_choice:depth=2,trials=12,bank=3"


class BreadthFirst(Scripted):
    """Carries how many steps it has looked ahead from where it stands [N], and what it was shown then [N, D]."""

    size: int
    limit: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Nothing looked at."""
        return jnp.zeros(n, jnp.int32), jnp.full((n, self.size), -1.0)

    def respond(self, key, carry, percept: Percept):
        """Looks one step farther where nothing has changed, else starts anew; takes the branch that is best so far."""
        steps, before = carry
        same = (percept.observation == before).all(-1)
        steps = jnp.minimum(jnp.where(same, steps, 0) + 1, self.limit)
        tree = shown(percept)

        def farther(i, value):
            return jnp.where((i < steps - 1)[:, None], sweep_values(tree, value), value)

        value = jax.lax.fori_loop(0, steps.max() - 1, farther, mean_leaf_value(tree))
        return (steps, percept.observation), choose(
            key, jnp.log(greedy_probabilities(child_values(tree, value)))
        )


@keep_settings(depth=(0, 8))
def subject(family: Family, depth: int = 0) -> BreadthFirst:
    """Looks one step farther along every branch at each tick, and takes the branch whose end pays most.

    Args:
        family: the trees.
        depth: the farthest that it looks; 0 for as far as a tree is deep.
    """
    home = require_trees(family)
    return BreadthFirst(size=1 + 3 * home.nodes, limit=jnp.asarray(depth or home.depth, jnp.int32))
