"""The linear automaton of Tsetlin (1961): it goes one state deeper into an arm after a win, and back after a loss."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_stay_probabilities,
    has_last_pull_paid,
    keep_settings,
)


class Tsetlin(ChoosingSubject):
    """Carries its state in the current arm, [N], from 1 (it leaves after one more loss) to `depth`."""

    depth: int

    def initialize_carry(self, n: int) -> jax.Array:
        return jnp.ones(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Moves one state deeper after a win and one back after a loss; at state 0, takes another arm at random."""
        next_state = jnp.where(has_last_pull_paid(percept), jnp.minimum(carry + 1, self.depth), carry - 1)
        carry = jnp.where(percept.action < 0, carry, next_state)
        leaves = carry <= 0
        probabilities = compute_stay_probabilities(percept.action, self.choices, ~leaves)
        return jnp.where(leaves, 1, carry), choose(key, jnp.log(probabilities))


@keep_settings(depth=(1, 1000))
def subject(family: Family, depth: int = 8) -> Tsetlin:
    """Leaves an arm once its losses there outnumber its wins. It remembers only a limited surplus of wins.

    Args:
        family: the bandit.
        depth: the number of states in each arm; the subject remembers a surplus of at most depth - 1 wins.
    """
    return Tsetlin(family.choices, depth)
