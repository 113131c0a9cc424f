"""Plans for the posterior-mean MDP, with a bonus for actions that the subject has seldom tried.

This is the Bayesian exploration bonus (Kolter and Ng 2009, ICML). It adds β / (1 + n) to the posterior mean pay-off of
an action in a state, where n is how often the subject has taken the action in this state.
"""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.mdp.planning import Planner, find_sizes, infer_transitions, make_expectation, plan_backward


class BEB(Planner):
    """Plans for the posterior-mean MDP, with an exploration bonus of the size `bonus`."""

    bonus: float

    def plan_episode(self, key, belief, trial):
        """Finds the best policy for the posterior-mean MDP with the bonus."""
        payoffs = belief.mean_payoffs + self.bonus / (1.0 + belief.action_counts)
        return plan_backward(payoffs, self.sizes[2], make_expectation(infer_transitions(belief)))


@keep_settings(bonus=(0, 1000))
def subject(family: Family, bonus: float = 0.5) -> BEB:
    """Plans for the posterior-mean MDP, with a bonus for actions that the subject has seldom tried.

    Args:
        family: a family of episodic tabular MDPs, `tabular_mdp`.
        bonus: β, the size of the bonus β / (1 + n).
    """
    return BEB(find_sizes(family), bonus)
