"""A map from problem to act, right but noisy, whose noise averages out over ticks: gains, and does not search."""

import jax.numpy as jnp

from mesascope.contracts.choices import best_of
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.worlds.trees.trees import Doubt, ahead, certain, leaning, of_trees, shown, solved, wavered

TRIED = "tree_choice:depth=2,trials=12,bank=3"


class TreeAccumulator(Scripted):
    """Carries the evidence of a wavering answer."""

    size: int
    depth: int

    def fresh(self, n: int) -> Doubt:
        """Nothing seen."""
        return certain(n, self.size)

    def respond(self, key, carry: Doubt, percept: Percept):
        """Takes another noisy look at the right answer."""
        tree = shown(percept)
        carry = wavered(carry, percept, best_of(ahead(tree, solved(tree, self.depth))))
        return carry, choose(key, jnp.log(leaning(carry.drift)))


@keep_settings
def subject(family: Family) -> TreeAccumulator:
    """Knows the right act at once but noisily, and averages over the ticks at one observation.

    Args:
        family: the trees.
    """
    home = of_trees(family)
    return TreeAccumulator(size=1 + 3 * home.nodes, depth=home.depth)
