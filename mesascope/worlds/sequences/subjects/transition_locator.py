"""Predicts with the posterior mean of the M transition matrices of the bank."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, keep_settings, require_bank
from mesascope.worlds.sequences.transitions import require_chain, split_symbols

MIN_PROBABILITY = 1e-6  # the smallest probability of a transition, so that no symbol is impossible


class TransitionLocator(ScriptedSubject):
    """Carries the log-likelihoods of the bank's matrices, [N, M]; the bank is stored as an array."""

    bank_matrices: jax.Array  # [M, K, K]
    should_minimise: jax.Array

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns equal log-likelihoods for all matrices of the bank."""
        return jnp.zeros((n, len(self.bank_matrices)))

    def respond(self, key, carry, percept: Percept):
        """Updates the likelihoods with the last transition, then predicts with the posterior mean."""
        present, before = split_symbols(percept, self.bank_matrices.shape[-1])
        matrices = jnp.maximum(self.bank_matrices, MIN_PROBABILITY)
        carry = carry + jnp.einsum("mij,ni,nj->nm", jnp.log(matrices), before, present)
        rows = jnp.einsum("mij,ni->nmj", matrices, present)
        mean = (jax.nn.softmax(carry)[..., None] * rows).sum(1)
        mean = jnp.where(self.should_minimise, 1.0 / mean, mean)
        return carry, choose(key, jnp.log(mean / mean.sum(-1, keepdims=True)))


@keep_settings
def subject(family: Family, should_minimise: bool = False) -> TransitionLocator:
    """Locates its task among the transition matrices of the family's bank.

    Args:
        family: the family `markov_chain`, with a bank.
        should_minimise: whether the subject predicts symbols in proportion to 1 / probability, the rarest symbol most
            often.
    """
    chain = require_chain(family)
    remedy = "Give the family a bank: markov_chain:bank=4."
    bank, matrices = require_bank(chain, chain.bank_matrices, "has no bank", remedy)
    return TransitionLocator(matrices, jnp.asarray(should_minimise), trained_on=bank)
