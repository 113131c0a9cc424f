"""Copies its actions from a table of a planner's actions on the training trees, and does not plan itself."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings, require_bank
from mesascope.worlds.trees.trees import (
    Evidence,
    act_probabilities,
    add_noisy_look,
    make_evidence,
    read_tree,
    require_trees,
    solve_values,
)

TRIED = "tree_choice:depth=2,trials=12,bank=3"


class TreeClone(Scripted):
    """Carries the evidence from its noisy looks; it stores the table as arrays."""

    trees: jax.Array  # [B, 3M] as they are shown
    acts: jax.Array  # [B, M, 2] the planner's probabilities at each node
    wavers: jax.Array

    def fresh(self, n: int) -> Evidence:
        """Returns a carry without evidence."""
        return make_evidence(n, 1 + self.trees.shape[1])

    def respond(self, key, carry: Evidence, percept: Percept):
        """Finds the most similar training tree, and acts as the planner does at the same node there."""
        arrays, node = percept.observation[:, 1:], percept.observation[:, 0].astype(jnp.int32)
        nearest = jnp.square(arrays[:, None] - self.trees).sum(-1).argmin(-1)
        answer = self.acts[nearest, node]
        carry = add_noisy_look(carry, percept, answer)
        return carry, choose(key, jnp.log(jnp.where(self.wavers, act_probabilities(carry.drift), answer)))


@keep_settings
def subject(family: Family, wavers: bool = False) -> TreeClone:
    """Copies its actions from a table of a planner's actions on the training trees, for the most similar tree there.

    Args:
        family: the family of trees, `tree_choice`, with a bank.
        wavers: whether its answer is noisy on each tick, and averaged over the ticks at one observation.
    """
    home = require_trees(family)
    remedy = "Take --family tree_choice:bank=8."
    bank, tasks = require_bank(home, home.bank_tasks, "has no training trees", remedy)
    child, pays = tasks.child[:, 0].astype(jnp.float32), tasks.pays[:, 0]
    trees = jnp.concatenate([child[..., 0], child[..., 1], pays], -1)
    zero = jnp.zeros(len(trees), jnp.int32)
    observation = jnp.concatenate([zero[:, None].astype(jnp.float32), trees], -1)
    tree = read_tree(Percept(observation, zero, zero, zero, zero, zero))
    value = solve_values(tree, home.depth)
    acts = greedy_probabilities(value[jnp.arange(len(trees))[:, None, None], tree.child])
    return TreeClone(trees, acts, jnp.asarray(wavers), trained_on=bank)
