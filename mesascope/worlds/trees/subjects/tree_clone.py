"""Copies actions from a table of a planner's actions on the training trees, without planning."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    ScriptedSubject,
    choose,
    compute_greedy_probabilities,
    keep_settings,
    require_bank,
)
from mesascope.worlds.trees.trees import Evidence, read_tree, require_trees


class TreeClone(ScriptedSubject):
    """Looks up a planner's actions in a table, and carries the evidence from noisy looks at these actions."""

    trees: jax.Array  # [B, 3M] the B training trees, as an observation shows them
    move_probabilities: jax.Array  # [B, M, 2] the planner's probabilities of the actions at each node
    is_noisy: jax.Array

    def initialize_carry(self, n: int) -> Evidence:
        """Returns a carry without evidence."""
        return Evidence.make_empty(n, 1 + self.trees.shape[1])

    def respond(self, key, carry: Evidence, percept: Percept):
        """Finds the most similar training tree, and acts as the planner does at the same node of that tree."""
        tree = read_tree(percept.observation)
        nearest = jnp.square(tree.tree_observation[:, None] - self.trees).sum(-1).argmin(-1)
        answer = self.move_probabilities[nearest, tree.node]
        carry = carry.add_look(percept, answer)
        return carry, choose(key, jnp.log(jnp.where(self.is_noisy, carry.compute_action_probabilities(), answer)))


@keep_settings
def subject(family: Family, is_noisy: bool = False) -> TreeClone:
    """Copies the actions that a planner takes on the most similar training tree, without planning.

    Args:
        family: the family of trees, `tree_choice`, with a bank.
        is_noisy: whether the looked-up action has noise on each tick; the subject averages this noise over the ticks at
            one observation.
    """
    tree_family = require_trees(family)
    remedy = "Take --family tree_choice:bank=8."
    bank, tasks = require_bank(tree_family, tree_family.bank_tasks, "has no training trees", remedy)
    child, payoffs = tasks.child[:, 0].astype(jnp.float32), tasks.payoffs[:, 0]
    trees = jnp.concatenate([child[..., 0], child[..., 1], payoffs], -1)
    tree = read_tree(jnp.pad(trees, ((0, 0), (1, 0))))
    values = tree.compute_exact_values(tree_family.depth)
    action_probabilities = compute_greedy_probabilities(values[jnp.arange(len(trees))[:, None, None], tree.child])
    return TreeClone(trees, action_probabilities, jnp.asarray(is_noisy), trained_on=bank)
