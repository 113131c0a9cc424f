"""Thompson sampling on the feedback of the first trials, then the best mean of these for good."""

import jax.numpy as jnp

from mesascope.contracts.choices import Counted, CountingByTheClock, greedy_probabilities, means, outcomes
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings
from mesascope.worlds.bandits.subjects.thompson import probability_best


class EarlyOnly(CountingByTheClock):
    """Counts of the early trials; see `subject` for the settings."""

    trials: int

    def respond(self, key, carry: Counted, percept: Percept):
        """Samples while feedback counts; then the largest posterior mean, the first of equals."""
        early = (carry.clock <= self.trials)[:, None, None]  # the outcome belongs to the trial before
        counts = carry.counts + early * outcomes(percept, self.choices)
        acts = jnp.where(
            (carry.clock < self.trials)[:, None],
            probability_best(counts + 1.0),
            greedy_probabilities(means(counts), "first"),
        )
        return Counted(counts, carry.clock + 1), choose(key, jnp.log(acts))


@keep_settings(trials=(1, 1_000_000))
def subject(family: Family, trials: int = 20) -> EarlyOnly:
    """Takes in the feedback of the first trials only: Thompson sampling, then the best mean for good.

    Args:
        family: the bandit.
        trials: how many count.
    """
    return EarlyOnly(family.choices, trials)
