"""Predicts that a symbol in the observation of a Markov chain occurs again: a reflex to the observation."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.sequences.transitions import require_chain, split_symbols


class SymbolAgain(ChoosingSubject):
    """Predicts an observed symbol; the carry is empty, because the observation shows this symbol."""

    lapse: jax.Array
    is_earlier: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Predicts the present symbol or, with `is_earlier`, the one before it (a random symbol on the first trial)."""
        present, before = split_symbols(percept, self.choices)
        before = jnp.where(before.any(-1, keepdims=True), before, 1.0 / self.choices)
        return carry, choose(
            key, compute_log_probs_with_lapses(jnp.where(self.is_earlier, before, present), self.lapse)
        )


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0, is_earlier: bool = False) -> SymbolAgain:
    """Predicts that the present symbol, or the symbol before it, occurs again.

    Args:
        family: the family `markov_chain`.
        lapse: the probability of predicting a uniformly random symbol.
        is_earlier: whether the subject predicts the symbol before the present one, not the present one.
    """
    return SymbolAgain(require_chain(family).choices, jnp.asarray(lapse, jnp.float32), jnp.asarray(is_earlier))
