"""Plans optimistically over several MDPs drawn from the posterior: each backup takes the largest of their values.

This is optimistic posterior sampling (Tiapkin et al. 2022, arXiv 2209.14414, algorithm 1; after Asmuth et al. 2009,
arXiv 1205.2664). Before every episode, the subject draws `draws` MDPs from the same posterior as `psrl`.
"""

from typing import ClassVar

import jax.numpy as jnp

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.mdp.planning import Planner, find_sizes, plan_backward, sample_posterior


class OPSRL(Planner):
    """Plans optimistically over `draws` sampled MDPs."""

    draws: int

    has_random_plans: ClassVar = True

    def plan_episode(self, key, belief, trial):
        """Finds the best policy if every action has the largest of its values under the sampled MDPs."""
        transitions, payoffs = sample_posterior(key, belief, self.draws)

        def compute_largest_values(values):
            return (payoffs + jnp.einsum("dnsap,np->dnsa", transitions, values)).max(0)

        return plan_backward(jnp.zeros_like(payoffs[0]), self.sizes[2], compute_largest_values)


@keep_settings(draws=(1, 100))
def subject(family: Family, draws: int = 2) -> OPSRL:
    """Draws several MDPs from the posterior before every episode, and plans with the largest of their values.

    Args:
        family: a family of episodic tabular MDPs, `tabular_mdp`.
        draws: the number of MDPs that the subject draws.
    """
    return OPSRL(find_sizes(family), draws)
