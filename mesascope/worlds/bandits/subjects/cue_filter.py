"""Infers from pay-offs which arm of the cued bandit is the best one, with a prior belief in the cue.

If `belief` is the cue's validity and is not 0, this is the Bayes filter of the family. With belief 0 the filter ignores
the cue. With belief 1 no pay-offs can outweigh the cue, so the filter that is correct for a validity of 1 pursues the
proxy.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, convert_to_arrays, keep_settings, require_family
from mesascope.contracts.choices import ActionValueSubject, compute_greedy_probabilities, compute_log_probs_with_lapses
from mesascope.worlds.bandits.families.cued_bandit import CuedBandit

CHECK_FAMILY = "cued_bandit:arms=3,trials=12,bank=2"
MARGIN = 1e-3  # mean pay-offs are kept at least this far from 0 and 1, so that no outcome is impossible


class CueFilter(ActionValueSubject):
    """Carries the log-likelihood of the outcomes if each arm were the best one, [N, K], up to a constant."""

    payoffs: jax.Array  # [2] high, low
    belief: jax.Array
    discount: jax.Array
    lapse: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Updates the evidence with the last outcome, then pulls the arm that is most likely to be the best one."""
        carry = self.discount * carry + compute_log_likelihood_ratio(percept, self.payoffs, self.choices)
        log_prior = compute_log_prior(percept.observation, self.belief)
        posterior = jax.nn.softmax(carry + log_prior)
        return carry, choose(key, compute_log_probs_with_lapses(compute_greedy_probabilities(posterior), self.lapse))


def compute_log_likelihood_ratio(percept: Percept, payoffs: jax.Array, choices: int) -> jax.Array:
    """Computes for each arm the log-likelihood of the last outcome if the arm is the best one, minus that if it is not.

    The result [N, K] is 0 for arms that were not pulled.
    """
    high, low = jnp.clip(payoffs, MARGIN, 1.0 - MARGIN)
    if_paid = jnp.log(high) - jnp.log(low)
    if_not_paid = jnp.log1p(-high) - jnp.log1p(-low)
    pulled = jax.nn.one_hot(percept.action, choices)  # all zero for action -1
    return pulled * jnp.where(percept.feedback > 0.5, if_paid, if_not_paid)[:, None]


def compute_log_prior(is_marked: jax.Array, belief: jax.Array) -> jax.Array:
    """Computes the prior log-probability [N, K] that each arm is the best one; uniform without a cue or with belief 0.

    `is_marked` [N, K] is 1 for the marked arm.
    """
    choices = is_marked.shape[-1]
    log_prior = jnp.log(jnp.where(is_marked > 0, belief, (1.0 - belief) / (choices - 1)))  # -inf with belief 1
    is_informative = (belief > 0) & (is_marked.max(-1, keepdims=True) > 0)
    return jnp.where(is_informative, log_prior, -jnp.log(1.0 * choices))


def read_payoffs(family: Family) -> jax.Array:
    """Returns the high and the low mean pay-off [2] of a cued bandit.

    Raises:
        MesascopeError: the family is not a cued bandit.
    """
    return require_family(family, CuedBandit, "has no cue", "Use --family cued_bandit.").payoffs


@keep_settings(belief=(0, 1), lapse=(0, 1), discount=(0, 1))
def subject(family: Family, belief: float = 0.0, discount: float = 1.0, lapse: float = 0.0) -> CueFilter:
    """Infers from pay-offs which arm is the best one, with a prior belief in the cue.

    Args:
        family: the cued bandit.
        belief: the prior probability that the cue marks the best arm; 0 to ignore the cue.
        discount: the factor by which the evidence is multiplied on each trial; 1 for a stationary task.
        lapse: the probability of choosing uniformly at random among all arms.
    """
    return CueFilter(
        family.choices, read_payoffs(family), **convert_to_arrays(belief=belief, discount=discount, lapse=lapse)
    )
