"""Plans for the posterior mean of the process, with a bonus for actions that it has seldom tried.

This is the Bayesian exploration bonus (Kolter and Ng 2009, ICML). It adds β / (1 + n) to the posterior mean pay-off of
an action in a state, where n counts how often it has taken the action there.
"""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.mdp.planning import Planner, find_shape, infer_transitions, make_expectation, plan_backward


class BEB(Planner):
    """Plans for the posterior mean process with an exploration bonus."""

    bonus: float

    def plan_episode(self, key, belief, trial):
        """The best policy for the mean process with the bonus."""
        payoffs = belief.mean_payoffs + self.bonus / (1.0 + belief.action_counts)
        return plan_backward(payoffs, self.shape[2], make_expectation(infer_transitions(belief)))


@keep_settings(bonus=(0, 1000))
def subject(family: Family, bonus: float = 0.5) -> BEB:
    """Plans for the posterior mean process, with a bonus for actions that it has seldom tried.

    Args:
        family: a family of episodes in a process with few states.
        bonus: β, the size of the bonus β / (1 + n).
    """
    return BEB(find_shape(family), bonus)
