"""Draws an MDP from the posterior before every episode, and follows the best policy for this MDP in the episode.

This is posterior sampling (Strens 2000; Osband et al. 2013, arXiv 1306.0940). The prior is a flat Dirichlet for the
transitions of every state and action, and N(1, 1) for every mean pay-off.
"""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.mdp.planning import find_sizes
from mesascope.worlds.mdp.subjects.opsrl import OPSRL


@keep_settings(memory=(0, 1_000_000))
def subject(family: Family, memory: int = 0, should_minimise: bool = False) -> OPSRL:
    """Draws an MDP from the posterior before every episode, and follows the best policy for this MDP.

    Args:
        family: a family of episodic tabular MDPs, `tabular_mdp`.
        memory: the number of past episodes that the subject remembers; 0 for all.
        should_minimise: whether the subject minimises pay-off.
    """
    return OPSRL(find_sizes(family), draws=1, memory=memory, sign=-1.0 if should_minimise else 1.0)
