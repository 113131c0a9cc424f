"""Plans for the posterior-mean MDP as if it were the true one; with a lapse, some actions are random.

Duan et al. (2016, arXiv 1611.02779) call this procedure greedy, and ε-greedy if it has a lapse.
"""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.mdp.planning import find_sizes
from mesascope.worlds.mdp.subjects.beb import BEB


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0) -> BEB:
    """Plans for the posterior-mean MDP as if it were the true one.

    Args:
        family: a family of episodic tabular MDPs, `tabular_mdp`.
        lapse: ε, the fraction of the actions that are random.
    """
    return BEB(find_sizes(family), bonus=0.0, lapse=lapse)
