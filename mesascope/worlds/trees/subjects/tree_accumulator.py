"""Maps a problem to an action with noise; it averages the noise over ticks, but does not search."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, as_arrays, choose, keep_settings
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
    """Carries the evidence from its noisy looks, and the number [N] of ticks since its last step."""

    size: int
    depth: int
    near: jax.Array
    fade: jax.Array
    steady: jax.Array
    waits: jax.Array

    def fresh(self, n: int) -> tuple[Evidence, jax.Array]:
        """Returns a carry without evidence."""
        return make_evidence(n, self.size), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry: tuple[Evidence, jax.Array], percept: Percept):
        """Takes another noisy look at the right answer."""
        evidence, clock = carry
        tree, ahead = read_tree(percept), self.depth - percept.step
        answer = greedy_probabilities(value_moves(tree, solve_values(tree, self.depth)))
        signal = self.near * self.fade ** (ahead - 1.0)
        evidence = add_noisy_look(evidence, percept, answer, signal, self.steady)
        new = (percept.action >= 0) | (percept.first > 0)  # further ticks do not show the last action
        clock = jnp.where(new, 0, clock) + 1
        withheld = jnp.where((clock >= ahead)[:, None], answer, 0.5)
        shares = jnp.where(self.waits, withheld, act_probabilities(evidence.drift))
        return (evidence, clock), choose(key, jnp.log(shares))


@keep_settings(near=(0.0, 1000.0), fade=(0.0, 1.0))
def subject(
    family: Family, near: float = 1.0, fade: float = 1.0, steady: bool = False, waits: bool = False
) -> TreeAccumulator:
    """Knows the right action at once but with noise, and averages over the ticks at one observation.

    Args:
        family: the family of trees, `tree_choice`.
        near: what one look adds to the evidence for the right action one step ahead of a leaf; the noise of a look has
            the standard deviation 1.5.
        fade: the factor by which that is less for every further step ahead.
        steady: whether only the first look is noisy, so that evidence grows with the ticks and not with their root.
        waits: whether it knows the action without noise, and acts at random until it has had as many ticks as there
            are steps ahead, whatever these ticks show.
    """
    home = require_trees(family)
    steadily, waiting = jnp.asarray(steady), jnp.asarray(waits)
    numbers = as_arrays(near=near, fade=fade)
    return TreeAccumulator(size=1 + 3 * home.nodes, depth=home.depth, steady=steadily, waits=waiting, **numbers)
