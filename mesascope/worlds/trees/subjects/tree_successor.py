"""Uses a successor representation (Dayan 1993): the leaves that actions have led to, times the observed pay-offs.

If actions lead to other nodes after a change, the subject learns this only from its walks.
"""

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
from mesascope.worlds.trees.trees import read_tree, require_trees


class TreeSuccessor(ScriptedSubject):
    """Carries the leaf that each action at each node led to, one-hot [N, M, 2, M], and the last node [N]."""

    n_nodes: int
    untried_value: jax.Array
    lapse: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns a carry in which no action has led to a leaf yet."""
        return jnp.zeros((n, self.n_nodes, 2, self.n_nodes)), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Records the leaf that the last action led to or will lead to, then takes the action with the larger value."""
        occupancy, last_node = carry
        tree = read_tree(percept.observation)
        rows, action = jnp.arange(len(last_node)), jnp.maximum(percept.action, 0)

        def compute_action_values(occupancy):
            here = occupancy[rows, tree.node]
            return jnp.where(here.sum(-1) > 0, jnp.einsum("nae,ne->na", here, tree.payoffs), self.untried_value)

        expected_leaf = occupancy[rows, tree.node, compute_action_values(occupancy).argmax(-1)]
        # after a leaf, the observation shows the root, but the pay-off received identifies the leaf
        leaf = jax.nn.one_hot(jnp.abs(tree.payoffs - percept.feedback[:, None]).argmin(-1), self.n_nodes)
        reached_leaf = jnp.where((percept.step == 0)[:, None], leaf, expected_leaf)
        reached_leaf = jnp.where((percept.action >= 0)[:, None], reached_leaf, occupancy[rows, last_node, action])
        occupancy = occupancy.at[rows, last_node, action].set(reached_leaf)
        return (occupancy, tree.node), choose(
            key,
            compute_log_probs_with_lapses(compute_greedy_probabilities(compute_action_values(occupancy)), self.lapse),
        )


@keep_settings(untried_value=(0, 1), lapse=(0, 1))
def subject(family: Family, untried_value: float = 0.8, lapse: float = 0.0) -> TreeSuccessor:
    """Takes the action that led to the better leaf so far, according to the pay-offs that are shown now.

    Args:
        family: the family of trees, `tree_choice`.
        untried_value: the value of an action that the subject has never tried.
        lapse: the fraction of the choices that are random.
    """
    return TreeSuccessor(require_trees(family).nodes, **convert_to_arrays(untried_value=untried_value, lapse=lapse))
