"""Searches the tree that it is shown by Monte Carlo tree search: some simulations at each tick (extra 'planning').

The Gumbel MuZero policy of mctx (Danihelka et al. 2022, 'Policy improvement by planning with Gumbel') without noise,
with the true tree for a model and even prior odds. What is not looked at yet is taken to be worth the mean of all ends.
The search of one problem goes on from tick to tick.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.condition import select
from mesascope.contracts.extras import require
from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings
from mesascope.errors import MesascopeError
from mesascope.worlds.trees.trees import Tree, require_trees, shown

TRIED = "tree_choice:depth=2,trials=12,bank=3"
MOST = 512


class TreeSearch(Scripted):
    """Carries the search tree [N, ...], how many simulations it has had [N], and what was shown then [N, D]."""

    size: int
    depth: int
    simulations: int
    budget: int

    def fresh(self, n: int) -> tuple[Any, jax.Array, jax.Array]:
        """No search."""
        seen = jnp.full((n, self.size), -1.0)
        zero = jnp.zeros(n, jnp.int32)
        blank = shown(Percept(seen, zero, zero, zero, zero, zero))
        tree = jax.eval_shape(lambda: self._searched(blank, None, zero, zero > 0)[0])
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), tree), zero, seen

    def respond(self, key, carry, percept: Percept):
        """Goes on where nothing has changed, else starts anew; acts by the mean worth of what was simulated."""
        before, done, seen = carry
        same = (percept.observation == seen).all(-1)
        searched, worth = self._searched(shown(percept), before, done, same)
        done = jnp.minimum(jnp.where(same, done, 0) + self.simulations, self.budget)
        return (searched, done, percept.observation), choose(key, jnp.log(greedy_probabilities(worth)))

    def _searched(self, tree: Tree, before: Any, done: jax.Array, same: jax.Array) -> tuple[Any, jax.Array]:
        """The search tree after this tick's simulations, and what both acts are worth by it [N, 2]."""
        mctx = require("mctx", "planning")
        n = len(tree.node)
        rows, even = jnp.arange(n), jnp.zeros((n, 2))
        mean = (tree.pays * tree.ends).sum(-1) / jnp.maximum(tree.ends.sum(-1), 1)

        def onward(params, rng, action, node):
            to = tree.child[rows, node, action]
            ends = tree.ends[rows, to]
            step = mctx.RecurrentFnOutput(
                reward=jnp.where(ends, tree.pays[rows, to], 0.0),
                discount=jnp.where(ends, 0.0, 1.0),
                prior_logits=even,
                value=jnp.where(ends, 0.0, mean),
            )
            return step, to

        def looped(low, high, body, begun):
            rng, new = begun
            held = new if before is None else select(same, before, new)
            start = jnp.where(same, done, 0)

            def one(i, held):
                left = start + i < self.budget
                return jax.lax.cond(
                    left.any(), lambda: select(left, body(start + i, (rng, held))[1], held), lambda: held
                )

            return rng, jax.lax.fori_loop(0, self.simulations, one, held)

        found = mctx.gumbel_muzero_policy(
            params=(),
            rng_key=jax.random.key(0),  # nothing is drawn: the noise has scale 0
            root=mctx.RootFnOutput(prior_logits=even, value=mean, embedding=tree.node),
            recurrent_fn=onward,
            num_simulations=self.budget,
            max_depth=self.depth,
            loop_fn=looped,
            gumbel_scale=0.0,
        )
        return found.search_tree, found.search_tree.summary().qvalues


@keep_settings(simulations=(2, MOST), budget=(2, MOST))
def subject(family: Family, simulations: int = 8, budget: int = 128) -> TreeSearch:
    """Runs so many simulations of Monte Carlo tree search at each tick, and takes the act that is worth most by them.

    Args:
        family: the trees.
        simulations: at each tick.
        budget: the most on one problem, over all ticks.
    """
    home = require_trees(family)
    if simulations > budget:
        raise MesascopeError(
            f"simulations={simulations} at one tick are more than the budget={budget}.",
            "Give a larger budget.",
        )
    require("mctx", "planning")
    return TreeSearch(1 + 3 * home.nodes, home.depth, simulations, budget)
