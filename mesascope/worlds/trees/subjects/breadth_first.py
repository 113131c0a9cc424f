"""Searches the observed tree breadth-first, and looks one step farther along every branch on each tick."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, compute_greedy_probabilities, keep_settings
from mesascope.worlds.trees.trees import read_tree, require_trees


class BreadthFirst(ScriptedSubject):
    """Carries the depth [N] of look-ahead so far, and the observation [N, D] from which it looked ahead."""

    size: int
    max_depth: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns a carry without look-ahead or observation."""
        return jnp.zeros(n, jnp.int32), jnp.full((n, self.size), -1.0)

    def respond(self, key, carry, percept: Percept):
        """Looks one step farther, or starts again if the observation has changed; takes the best branch so far."""
        depth, last_observation = carry
        is_same = (percept.observation == last_observation).all(-1)
        depth = jnp.minimum(jnp.where(is_same, depth, 0) + 1, self.max_depth)
        tree = read_tree(percept.observation)

        def look_farther(i, values):
            return jnp.where((i < depth - 1)[:, None], tree.sweep_values(values), values)

        values = jax.lax.fori_loop(0, depth.max() - 1, look_farther, tree.compute_initial_values())
        return (depth, percept.observation), choose(
            key, jnp.log(compute_greedy_probabilities(tree.compute_action_values(values)))
        )


@keep_settings(depth=(0, 8))
def subject(family: Family, depth: int = 0) -> BreadthFirst:
    """Looks one step farther along every branch on each tick, and takes the branch that looks best so far.

    Args:
        family: the family of trees, `tree_choice`.
        depth: the largest number of steps that the subject looks ahead; 0 for the depth of the tree.
    """
    tree_family = require_trees(family)
    return BreadthFirst(size=1 + 3 * tree_family.nodes, max_depth=jnp.asarray(depth or tree_family.depth, jnp.int32))
