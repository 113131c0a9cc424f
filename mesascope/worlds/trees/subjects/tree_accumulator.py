"""Maps a problem to an action with noise; it averages the noise over ticks, but does not search."""

import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.worlds.trees.trees import (
    Evidence,
    act_probabilities,
    add_noisy_look,
    make_evidence,
    read_tree,
    require_trees,
    solve_values,
    value_moves,
)

TRIED = "tree_choice:depth=2,trials=12,bank=3"


class TreeAccumulator(Scripted):
    """Carries the evidence from its noisy looks."""

    size: int
    depth: int

    def fresh(self, n: int) -> Evidence:
        """Returns a carry without evidence."""
        return make_evidence(n, self.size)

    def respond(self, key, carry: Evidence, percept: Percept):
        """Takes another noisy look at the right answer."""
        tree = read_tree(percept)
        carry = add_noisy_look(carry, percept, greedy_probabilities(value_moves(tree, solve_values(tree, self.depth))))
        return carry, choose(key, jnp.log(act_probabilities(carry.drift)))


@keep_settings
def subject(family: Family) -> TreeAccumulator:
    """Knows the right action at once but with noise, and averages over the ticks at one observation.

    Args:
        family: the family of trees, `tree_choice`.
    """
    home = require_trees(family)
    return TreeAccumulator(size=1 + 3 * home.nodes, depth=home.depth)
