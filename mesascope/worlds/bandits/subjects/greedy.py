"""Pulls the arm with the largest posterior mean: epsilon-greedy with epsilon = 0."""

from mesascope.contracts import TIE_RULES, Family, keep_settings
from mesascope.worlds.bandits.subjects.epsilon_greedy import EpsilonGreedy


@keep_settings(ties=TIE_RULES)
def subject(family: Family, ties: str = "random", tries_each_first: bool = False) -> EpsilonGreedy:
    """Pulls the arm with the largest posterior mean under Beta(1, 1).

    Args:
        family: the bandit.
        ties: how ties between means are broken: 'random' (equally likely) or 'first' (the lowest index).
        tries_each_first: whether to try each arm once and then compare the observed means, without a prior.
    """
    return EpsilonGreedy(family.choices, 0.0, ties, tries_each_first)
