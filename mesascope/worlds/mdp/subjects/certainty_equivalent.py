"""Plans for the posterior mean process as if it were certain; with a lapse it sometimes acts at random.

Duan et al. (2016, arXiv 1611.02779) call it greedy, and ε-greedy if it has a lapse.
"""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.mdp.planning import find_shape
from mesascope.worlds.mdp.subjects.beb import BEB


@keep_settings(lapse=(0, 1))
def subject(family: Family, lapse: float = 0.0) -> BEB:
    """Plans for the posterior mean process as if it were certain.

    Args:
        family: a family of episodes in a process with few states.
        lapse: ε, the fraction of its actions that are random.
    """
    return BEB(find_shape(family), bonus=0.0, lapse=lapse)
