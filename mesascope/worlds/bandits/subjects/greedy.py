"""Pulls the arm with the largest posterior mean: epsilon-greedy without the epsilon."""

from __future__ import annotations

from mesascope.contracts.choices import TIES
from mesascope.contracts.family import Family
from mesascope.contracts.settings import named, one_of
from mesascope.worlds.bandits.subjects.epsilon_greedy import EpsilonGreedy


def subject(family: Family, ties: str = "random", each_first: bool = False) -> EpsilonGreedy:
    """Pulls the arm with the largest posterior mean under Beta(1, 1).

    Args:
        family: the bandit.
        ties: random (shared evenly) or first.
        each_first: try every arm once, then compare the means as seen, without a prior.
    """
    one_of(TIES, ties=ties)
    return EpsilonGreedy(
        name=named(subject, ties=ties, each_first=each_first),
        choices=family.choices,
        epsilon=0.0,
        ties=ties,
        each_first=each_first,
    )
