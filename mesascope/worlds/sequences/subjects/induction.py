"""Predicts the symbol that last followed the present symbol (induction; Olsson et al. 2022, arXiv 2209.11895)."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.sequences.transitions import TransitionSubject, require_chain


class Induction(TransitionSubject):
    """Carries the last successor of each symbol, one-hot [N, K, K]; the row of a symbol without successor is zero."""

    lapse: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Stores the last transition, then predicts the present symbol's stored successor; guesses if there is none."""
        transition = self.count_transition(percept)
        carry = jnp.where(transition.sum(-1, keepdims=True) > 0, transition, carry)
        successor = self.take_current_row(carry, percept)
        has_successor = successor.sum(-1, keepdims=True) > 0
        return carry, choose(
            key, compute_log_probs_with_lapses(jnp.where(has_successor, successor, 1.0 / self.choices), self.lapse)
        )


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0) -> Induction:
    """Predicts the symbol that last followed the present symbol.

    Args:
        family: the family `markov_chain`.
        lapse: the probability of predicting a uniformly random symbol.
    """
    return Induction(require_chain(family).choices, jnp.asarray(lapse, jnp.float32))
