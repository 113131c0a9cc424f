"""Thompson sampling that never samples below the posterior mean (May et al. 2012)."""

import jax
import jax.numpy as jnp

from mesascope.contracts import CountingSubject, Family, Percept, choose, count_last_outcome, keep_settings
from mesascope.worlds.bandits.subjects.thompson import choose_prior, compute_best_probability


class OptimisticThompson(CountingSubject):
    """Carries counts of wins and losses, [N, K, 2]."""

    prior: jax.Array  # [K, 2]
    alpha: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, then samples an arm."""
        carry = carry + count_last_outcome(percept, self.choices)
        shapes = (carry + self.prior) / self.alpha
        return carry, choose(key, jnp.log(compute_best_probability(shapes, is_optimistic=True)))


@keep_settings(alpha=(0.01, 100))
def subject(family: Family, a: float = 1.0, b: float = 1.0, alpha: float = 1.0) -> OptimisticThompson:
    """Thompson sampling in which the posterior mean replaces every sample below it.

    Args:
        family: the bandit; if its arms have different Beta priors, these are used unless a or b differs from 1.
        a: the first parameter of the Beta prior of every arm, its number of prior wins.
        b: the second parameter of the Beta prior of every arm, its number of prior losses.
        alpha: what both shapes of each posterior are divided by; values below 1 make the samples vary less ('posterior
            reshaping' of Chapelle and Li 2011, An empirical evaluation of Thompson sampling).
    """
    return OptimisticThompson(family.choices, choose_prior(family, a, b), jnp.asarray(alpha, jnp.float32))
