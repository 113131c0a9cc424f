"""Predicts the symbol that followed the present one last time (induction; Olsson et al. 2022, arXiv 2209.11895)."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.worlds.sequences.transitions import TRIED as TRIED
from mesascope.worlds.sequences.transitions import count_transition, read_transition, require_chain, take_row


class Induction(Choosing):
    """Carries the last successor of each symbol as one-hot rows [N, K, K], zeros for a symbol without successor."""

    lapse: jax.Array

    def fresh(self, n: int) -> jax.Array:
        """Returns a carry without successors."""
        return jnp.zeros((n, self.choices, self.choices))

    def respond(self, key, carry, percept: Percept):
        """Records the last successor, then predicts that of the present symbol, or at random if there is none yet."""
        last = read_transition(percept, self.choices)
        carry = jnp.where(last.before[:, :, None] > 0, count_transition(last), carry)
        copied = take_row(carry, last)
        found = copied.sum(-1, keepdims=True) > 0
        return carry, choose(key, mix_lapse(jnp.where(found, copied, 1.0 / self.choices), self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0) -> Induction:
    """Predicts the symbol that followed the present one last time.

    Args:
        family: the family `markov_chain`.
        lapse: the fraction of the predictions that are random.
    """
    return Induction(require_chain(family).choices, jnp.asarray(lapse, jnp.float32))
