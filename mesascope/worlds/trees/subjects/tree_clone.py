"""A table of what a planner does on the training trees: acts exactly like it there, and computes nothing new."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings, require_bank
from mesascope.worlds.trees.trees import (
    Doubt,
    act_probabilities,
    add_noisy_look,
    no_evidence,
    require_trees,
    shown,
    solve_values,
)

TRIED = "tree_choice:depth=2,trials=12,bank=3"


class TreeClone(Scripted):
    """Carries the evidence of a wavering answer; the table is data."""

    trees: jax.Array  # [B, 3M] as they are shown
    acts: jax.Array  # [B, M, 2] what the planner does at each node
    wavers: jax.Array

    def fresh(self, n: int) -> Doubt:
        """Nothing seen."""
        return no_evidence(n, 1 + self.trees.shape[1])

    def respond(self, key, carry: Doubt, percept: Percept):
        """Looks up the tree that is most like the one that is shown, and what belongs to the node there."""
        told, node = percept.observation[:, 1:], percept.observation[:, 0].astype(jnp.int32)
        which = jnp.square(told[:, None] - self.trees).sum(-1).argmin(-1)
        wanted = self.acts[which, node]
        carry = add_noisy_look(carry, percept, wanted)
        return carry, choose(key, jnp.log(jnp.where(self.wavers, act_probabilities(carry.drift), wanted)))


@keep_settings
def subject(family: Family, wavers: bool = False) -> TreeClone:
    """Acts by a table of what a planner does on the training trees, on the most similar of them.

    Args:
        family: the trees, with a bank.
        wavers: the answer is noisy at each tick and averaged over the ticks at one observation.
    """
    home = require_trees(family)
    remedy = "Take --family tree_choice:bank=8."
    bank, tasks = require_bank(home, home.bank_tasks, "has no training trees", remedy)
    child, pays = tasks.child[:, 0].astype(jnp.float32), tasks.pays[:, 0]
    trees = jnp.concatenate([child[..., 0], child[..., 1], pays], -1)
    born = jnp.zeros(len(trees), jnp.int32)
    seen = jnp.concatenate([born[:, None].astype(jnp.float32), trees], -1)
    tree = shown(Percept(seen, born, born, born, born, born))
    value = solve_values(tree, home.depth)
    acts = greedy_probabilities(value[jnp.arange(len(trees))[:, None, None], tree.child])
    return TreeClone(trees, acts, jnp.asarray(wavers), trained_on=bank)
