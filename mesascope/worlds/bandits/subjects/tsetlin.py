"""The linear automaton of Tsetlin (1961): it goes one state deeper into an arm after a win, and back after a loss."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Choosing, Family, Percept, check_pull_paid, choose, choose_to_stay, keep_settings


class Tsetlin(Choosing):
    """Carries its state in the current arm [N], from 1 (it leaves after one more loss) to `depth`."""

    depth: int

    def fresh(self, n: int) -> jax.Array:
        return jnp.ones(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Moves one state deeper after a win and one back after a loss; at state 0, takes another arm at random."""
        moved = jnp.where(check_pull_paid(percept), jnp.minimum(carry + 1, self.depth), carry - 1)
        carry = jnp.where(percept.action < 0, carry, moved)
        leaves = carry <= 0
        probabilities = choose_to_stay(percept.action, self.choices, ~leaves)
        return jnp.where(leaves, 1, carry), choose(key, jnp.log(probabilities))


@keep_settings(depth=(1, 1000))
def subject(family: Family, depth: int = 8) -> Tsetlin:
    """Leaves an arm once its losses there outnumber its wins. It remembers only a limited surplus of wins.

    Args:
        family: the bandit.
        depth: the largest surplus of wins that the subject remembers.
    """
    return Tsetlin(family.choices, depth)
