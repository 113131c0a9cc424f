"""Pulls the arms in turn for some trials, then always the arm that paid best."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.bandits.explore_then_exploit import ExploreThenExploit


@keep_settings(pulls=(1, 1_000_000))
def subject(family: Family, pulls: int = 25) -> ExploreThenExploit:
    """Pulls the arms in turn for some trials, then always the arm that paid best.

    This is the arm with the largest posterior mean under Beta(1, 1) after those trials, the first if several tie.

    Args:
        family: the bandit.
        pulls: the number of trials in which the subject pulls the arms in turn.
    """
    return ExploreThenExploit(family.choices, pulls, "turn")
