"""Infers from pay-offs which arm of the cued bandit is the best one, believing the mark as far as it trusts it.

The exact Bayes filter of the family at belief = rho. With belief 0 it takes no notice of the mark; with belief 1
nothing that it sees can move it from the mark: the filter that is right for rho = 1 pursues the proxy.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import ActionValues, greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Family, Percept, as_arrays, choose, keep_settings, require_family
from mesascope.worlds.bandits.families.cued_bandit import CuedBandit

TRIED = "cued_bandit:arms=3,trials=12,bank=2"
EDGE = 1e-3  # pay-offs are kept this far from 0 and 1: no outcome is impossible


class CueFilter(ActionValues):
    """Carries [N, K] the log-likelihood of what it saw had each arm been the best; its numbers are data."""

    payoffs: jax.Array  # [2] high, low
    belief: jax.Array
    keep: jax.Array
    lapse: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Takes in the last outcome, then pulls the arm that is most likely the best one."""
        carry = self.keep * carry + evidence(percept, self.payoffs, self.choices)
        log_prior = prior_belief(percept.observation, self.belief)
        posterior = jax.nn.softmax(carry + log_prior)
        return carry, choose(key, mix_lapse(greedy_probabilities(posterior), self.lapse))


def evidence(percept: Percept, payoffs: jax.Array, choices: int) -> jax.Array:
    """[N, K] log-likelihood of the last outcome had each arm been the best, relative to its not having been pulled."""
    high, low = jnp.clip(payoffs, EDGE, 1.0 - EDGE)
    won = jnp.log(high) - jnp.log(low)
    lost = jnp.log1p(-high) - jnp.log1p(-low)
    pulled = jax.nn.one_hot(percept.action, choices)  # all zero for action -1
    return pulled * jnp.where(percept.feedback > 0.5, won, lost)[:, None]


def prior_belief(marked: jax.Array, belief: jax.Array) -> jax.Array:
    """[N, K] log-probability that each arm is the best one before anything is seen; with belief 0 without the mark."""
    choices = marked.shape[-1]
    rest = jnp.maximum((1.0 - belief) / (choices - 1), 1e-30)
    log_prior = jnp.where(marked > 0, jnp.log(jnp.maximum(belief, 1e-30)), jnp.log(rest))
    shown = (belief > 0) & (marked.max(-1, keepdims=True) > 0)
    return jnp.where(shown, log_prior, -jnp.log(1.0 * choices))


def payoffs_of(family: Family) -> jax.Array:
    """[2] the high and the low pay-off of a cued bandit.

    Raises:
        MesascopeError: another family.
    """
    return require_family(family, CuedBandit, "has no mark", "Put it to cued_bandit.").payoffs


@keep_settings(belief=(0, 1), lapse=(0, 1), keep=(0, 1))
def subject(family: Family, belief: float = 0.0, keep: float = 1.0, lapse: float = 0.0) -> CueFilter:
    """Infers from pay-offs which arm is the best one, believing the mark beforehand as far as it trusts it.

    Args:
        family: the cued bandit.
        belief: the probability that the mark lies on the best arm; 0 for taking no notice of it.
        keep: what is kept of the evidence at each trial; 1 for a stationary world.
        lapse: part of the choices that is even over all arms.
    """
    return CueFilter(family.choices, payoffs_of(family), **as_arrays(belief=belief, keep=keep, lapse=lapse))
