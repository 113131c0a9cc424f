"""Plans for the most favourable MDP within the confidence bounds.

This is UCRL2 (Jaksch et al. 2010, JMLR 11:1563) for episodes, with a new plan before every episode. It takes pay-offs
at the upper end of their confidence bounds, and moves transitions towards the best state up to their bounds (extended
value iteration, figure 2 of the paper). The bounds are those of the paper, √(7/2 · ln(2·S·A·t/δ) / n) for pay-offs and
√(14·S · ln(2·A·t/δ) / n) for transitions, each multiplied by `width`, because a hundred steps do not narrow the full
bounds enough. Here n is how often the action was taken in the state (at least 1), and t is the number of the episode's
first step, from 1.
"""

import jax.numpy as jnp

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.mdp.planning import Planner, find_sizes, infer_transitions, plan_backward


class UCRL2(Planner):
    """Plans for the most favourable MDP within the confidence bounds; see `subject` for the settings."""

    width: float
    delta: float

    def plan_episode(self, key, belief, trial):
        """Finds the best policy by extended value iteration."""
        states, actions, steps, _ = self.sizes
        counts = jnp.maximum(belief.action_counts, 1.0)
        t = (trial * steps + 1.0)[:, None, None]
        payoff_radius = self.width * jnp.sqrt(3.5 * jnp.log(2.0 * states * actions * t / self.delta) / counts)
        transition_radius = self.width * jnp.sqrt(14.0 * states * jnp.log(2.0 * actions * t / self.delta) / counts)
        transitions = infer_transitions(belief)

        def compute_optimistic_expectation(values):
            order = jnp.argsort(values, -1)  # from the state with the lowest value to the highest
            sorted_probabilities = jnp.take_along_axis(transitions, order[:, None, None, :], -1)
            sorted_values = jnp.take_along_axis(values, order, -1)[:, None, None, :]
            best = jnp.minimum(sorted_probabilities[..., -1] + transition_radius / 2.0, 1.0)
            # the other states lose this probability, from the state with the lowest value on
            excess = best - sorted_probabilities[..., -1]
            other_probabilities = sorted_probabilities[..., :-1]
            cumulative = jnp.cumsum(other_probabilities, -1)
            remaining = jnp.clip(cumulative - excess[..., None], 0.0) - jnp.clip(
                cumulative - other_probabilities - excess[..., None], 0.0
            )
            return (remaining * sorted_values[..., :-1]).sum(-1) + best * sorted_values[..., -1]

        return plan_backward(belief.mean_payoffs + payoff_radius, steps, compute_optimistic_expectation)


@keep_settings(width=(0, 100), delta=(1e-12, 1))
def subject(family: Family, width: float = 0.1, delta: float = 0.05) -> UCRL2:
    """Plans for the most favourable MDP within the confidence bounds (UCRL2).

    Args:
        family: a family of episodic tabular MDPs, `tabular_mdp`.
        width: the factor by which the confidence bounds of the paper are multiplied.
        delta: δ, the largest probability that the bounds of the paper fail.
    """
    return UCRL2(find_sizes(family), width, delta)
