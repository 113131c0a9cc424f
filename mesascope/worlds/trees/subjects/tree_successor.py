"""Uses a successor representation (Dayan 1993): where its actions have led so far, times the pay-offs shown.

Only walking teaches it that steps have changed.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Family, Percept, Scripted, as_arrays, choose, keep_settings
from mesascope.worlds.trees.trees import read_tree, require_trees

TRIED = "tree_choice:depth=2,trials=12,bank=3"


class TreeSuccessor(Scripted):
    """Carries the leaf [N, M, 2, M] that each action at each node led to, and the node [N] of the last action."""

    nodes: int
    hope: jax.Array
    lapse: jax.Array

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        """Returns a carry in which no action has led anywhere."""
        return jnp.zeros((n, self.nodes, 2, self.nodes)), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Records where the last action led, then takes the better action; an untried one has the value `hope`."""
        occupancy, last = carry
        tree = read_tree(percept)
        rows, is_walking = jnp.arange(len(last)), (percept.action >= 0) & (percept.step > 0)
        has_ended = (percept.action >= 0) & (percept.step == 0)
        action = jnp.maximum(percept.action, 0)
        expected = jnp.einsum("nmae,ne->nma", occupancy, tree.pays)
        node_values = jnp.where(occupancy.sum(-1) > 0, expected, self.hope)
        better = node_values[rows, tree.node].argmax(-1)
        onwards = occupancy[rows, tree.node, better]
        # after a leaf the root is shown, so the pay-off received identifies the leaf
        end = jax.nn.one_hot(jnp.abs(tree.pays - percept.feedback[:, None]).argmin(-1), self.nodes)
        followed = jnp.where(has_ended[:, None], end, onwards)
        before = occupancy[rows, last, action]
        occupancy = occupancy.at[rows, last, action].set(jnp.where((is_walking | has_ended)[:, None], followed, before))
        expected = jnp.einsum("nae,ne->na", occupancy[rows, tree.node], tree.pays)
        values = jnp.where(occupancy[rows, tree.node].sum(-1) > 0, expected, self.hope)
        return (occupancy, tree.node), choose(key, mix_lapse(greedy_probabilities(values), self.lapse))


@keep_settings(hope=(0, 1), lapse=(0, 1))
def subject(family: Family, hope: float = 0.8, lapse: float = 0.0) -> TreeSuccessor:
    """Takes the action that leads to the better leaf, given the pay-offs shown and where its actions have led so far.

    Args:
        family: the family of trees, `tree_choice`.
        hope: the value of an action that it has never tried.
        lapse: the fraction of the choices that are random.
    """
    return TreeSuccessor(require_trees(family).nodes, **as_arrays(hope=hope, lapse=lapse))
