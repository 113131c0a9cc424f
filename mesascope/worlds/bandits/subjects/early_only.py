"""Thompson sampling during the first trials, then always the arm with the largest posterior mean after those trials."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.bandits.explore_then_exploit import ExploreThenExploit


@keep_settings(learning_trials=(1, 1_000_000))
def subject(family: Family, learning_trials: int = 20) -> ExploreThenExploit:
    """Learns from the first trials only: Thompson sampling, then always the arm with the largest posterior mean.

    Args:
        family: the bandit.
        learning_trials: the number of trials at the start that the subject learns from.
    """
    return ExploreThenExploit(family.choices, learning_trials, "thompson")
