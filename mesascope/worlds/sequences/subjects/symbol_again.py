"""Predicts that the present symbol of a Markov chain comes again, which is a reflex to the observation."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings
from mesascope.worlds.sequences.transitions import TRIED as TRIED
from mesascope.worlds.sequences.transitions import read_transition, require_chain


class SymbolAgain(Choosing):
    """Carries nothing, because the present symbol is in the observation."""

    lapse: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Predicts the present symbol."""
        return carry, choose(key, mix_lapse(read_transition(percept, self.choices).now, self.lapse))


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0) -> SymbolAgain:
    """Predicts that the present symbol comes again.

    Args:
        family: the family `markov_chain`.
        lapse: the fraction of the predictions that are random.
    """
    return SymbolAgain(require_chain(family).choices, jnp.asarray(lapse, jnp.float32))
