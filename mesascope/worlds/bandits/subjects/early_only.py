"""Thompson sampling during the first trials, then always the arm with the best mean in those trials."""

import jax.numpy as jnp

from mesascope.contracts.choices import Counted, CountingByTheClock, greedy_probabilities, means, outcomes
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.subjects.thompson import compute_best_probability


class EarlyOnly(CountingByTheClock):
    """Carries the counts of the early trials; see `subject` for the settings."""

    trials: int

    def respond(self, key, carry: Counted, percept: Percept):
        """Samples an arm in the early trials, then takes the largest posterior mean (the first arm if tied)."""
        is_early = (carry.clock <= self.trials)[:, None, None]  # the outcome is that of the previous trial
        counts = carry.counts + is_early * outcomes(percept, self.choices)
        explore, exploit = compute_best_probability(counts + 1.0), greedy_probabilities(means(counts), "first")
        probabilities = jnp.where((carry.clock < self.trials)[:, None], explore, exploit)
        return Counted(counts, carry.clock + 1), choose(key, jnp.log(probabilities))


@keep_settings(trials=(1, 1_000_000))
def subject(family: Family, trials: int = 20) -> EarlyOnly:
    """Learns from the first trials only: Thompson sampling, then always the arm with the best mean.

    Args:
        family: the bandit.
        trials: the number of trials that it learns from.
    """
    return EarlyOnly(family.choices, trials)
