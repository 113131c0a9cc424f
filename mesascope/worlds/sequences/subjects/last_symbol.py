"""Predicts that the last symbol occurs again: a reflex to the observation."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.sequences.subjects.bayes_predictor import require_symbols

CHECK_FAMILY = "beta_bernoulli:trials=12"


class LastSymbol(ScriptedSubject):
    """Predicts the last symbol; the carry is empty, because the observation shows this symbol."""

    lapse: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Predicts the last symbol; guesses on the first trial."""
        last = jax.nn.one_hot(percept.observation[:, 0].astype(jnp.int32), 2)
        return carry, choose(
            key, compute_log_probs_with_lapses(jnp.where(percept.first[:, None], 0.5, last), self.lapse)
        )


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0) -> LastSymbol:
    """Predicts that the last symbol occurs again.

    Args:
        family: a family of sequences of the symbols 0 and 1.
        lapse: the probability of predicting a uniformly random symbol.
    """
    require_symbols(family)
    return LastSymbol(jnp.asarray(lapse, jnp.float32))
