"""Maps an observation to the correct action with noise, and averages the noise over ticks, but does not search."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    ScriptedSubject,
    choose,
    compute_greedy_probabilities,
    convert_to_arrays,
    keep_settings,
)
from mesascope.worlds.trees.trees import Evidence, read_tree, require_trees


class TreeAccumulator(ScriptedSubject):
    """Carries the evidence from noisy looks at the correct action, and the number of ticks since the last step, [N]."""

    size: int
    depth: int
    signal: jax.Array
    signal_decay: jax.Array
    is_steady: jax.Array
    is_delayed: jax.Array

    def initialize_carry(self, n: int) -> tuple[Evidence, jax.Array]:
        """Returns a carry without evidence."""
        return Evidence.make_empty(n, self.size), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry: tuple[Evidence, jax.Array], percept: Percept):
        """Takes another noisy look at the correct action, and chooses the action that the evidence supports.

        If `is_delayed`, the choice does not use the evidence; see `subject`.
        """
        evidence, ticks = carry
        tree, steps_ahead = read_tree(percept.observation), self.depth - percept.step
        answer = compute_greedy_probabilities(tree.compute_action_values(tree.compute_exact_values(self.depth)))
        signal = self.signal * self.signal_decay ** (steps_ahead - 1.0)
        evidence = evidence.add_look(percept, answer, signal, self.is_steady)
        is_new = (percept.action >= 0) | (percept.first > 0)  # percepts of further ticks do not contain the last action
        ticks = jnp.where(is_new, 0, ticks) + 1
        delayed_answer = jnp.where((ticks >= steps_ahead)[:, None], answer, 0.5)
        probabilities = jnp.where(self.is_delayed, delayed_answer, evidence.compute_action_probabilities())
        return (evidence, ticks), choose(key, jnp.log(probabilities))


@keep_settings(signal=(0.0, 1000.0), signal_decay=(0.0, 1.0))
def subject(
    family: Family, signal: float = 1.0, signal_decay: float = 1.0, is_steady: bool = False, is_delayed: bool = False
) -> TreeAccumulator:
    """Knows the correct action at once but with noise, and averages the noise over the ticks at one observation.

    Args:
        family: the family of trees, `tree_choice`.
        signal: how much one look adds to the evidence for the correct action if this action leads to a leaf; the noise
            of a look has the standard deviation 1.5.
        signal_decay: the factor by which `signal` is multiplied once if two steps lead to a leaf, twice if three do,
            and so on.
        is_steady: whether only the first look is noisy. Then the ratio of signal to noise grows like the number of
            ticks, otherwise like the square root of this number.
        is_delayed: whether the subject knows the action without noise, but acts at random until the number of ticks
            reaches the number of steps to the leaf.
    """
    tree_family = require_trees(family)
    flags = {"is_steady": jnp.asarray(is_steady), "is_delayed": jnp.asarray(is_delayed)}
    return TreeAccumulator(
        size=1 + 3 * tree_family.nodes,
        depth=tree_family.depth,
        **flags,
        **convert_to_arrays(signal=signal, signal_decay=signal_decay),
    )
