"""Learns the values of actions at nodes from the pay-offs of walks (Q-learning), and ignores the observed tree."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    ScriptedSubject,
    choose,
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    convert_to_arrays,
    keep_settings,
)
from mesascope.worlds.trees.trees import require_trees


class TreeQ(ScriptedSubject):
    """Carries the values [N, M, 2] of actions at nodes, and the node [N] of the last action."""

    n_nodes: int
    rate: jax.Array
    initial_value: jax.Array
    lapse: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns a carry in which all actions have the initial value."""
        return jnp.broadcast_to(self.initial_value, (n, self.n_nodes, 2)), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Moves the value of the last action towards the value that followed, then takes the better action."""
        values, last_node = carry
        node = percept.observation[:, 0].astype(jnp.int32)
        rows, action = jnp.arange(len(node)), jnp.maximum(percept.action, 0)
        target = jnp.where(percept.step == 0, percept.feedback, values[rows, node].max(-1))
        error = jnp.where(percept.action >= 0, target - values[rows, last_node, action], 0.0)
        values = values.at[rows, last_node, action].add(self.rate * error)
        return (values, node), choose(
            key, compute_log_probs_with_lapses(compute_greedy_probabilities(values[rows, node]), self.lapse)
        )


@keep_settings(rate=(0, 1), lapse=(0, 1))
def subject(family: Family, rate: float = 1.0, initial_value: float = 0.8, lapse: float = 0.0) -> TreeQ:
    """Learns the values of actions at nodes from the pay-offs of its walks (Q-learning).

    Args:
        family: the family of trees, `tree_choice`.
        rate: the learning rate, the fraction of the prediction error that is added to the value of the last action.
        initial_value: the initial value of every action at every node; higher values lead to more exploration.
        lapse: the fraction of the choices that are random.
    """
    return TreeQ(require_trees(family).nodes, **convert_to_arrays(rate=rate, initial_value=initial_value, lapse=lapse))
