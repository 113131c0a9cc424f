"""Searches the observed tree by Monte Carlo tree search, with a few simulations per tick (extra 'planning').

The policy is the Gumbel MuZero policy of mctx (Danihelka et al. 2022, 'Policy improvement by planning with Gumbel')
without noise, with the true tree as the model and a uniform prior. The value of a node that is not yet expanded is the
mean pay-off of all leaves. While the observation stays the same, the search continues from tick to tick.
"""

from typing import Any

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    ScriptedSubject,
    choose,
    compute_greedy_probabilities,
    import_optional_package,
    keep_settings,
    select,
)
from mesascope.errors import MesascopeError
from mesascope.worlds.trees.trees import Tree, read_tree, require_trees

MAX_SIMULATIONS = 512  # the largest number of simulations at one observation


class TreeSearch(ScriptedSubject):
    """Carries the search tree [N, ...], the number [N] of simulations so far, and the observation [N, D]."""

    size: int
    depth: int
    simulations: int
    budget: int

    def initialize_carry(self, n: int) -> tuple[Any, jax.Array, jax.Array]:
        """Returns a carry with an empty search tree."""
        observation = jnp.full((n, self.size), -1.0)
        zero = jnp.zeros(n, jnp.int32)
        search = jax.eval_shape(lambda: self._search(read_tree(observation), None, zero, zero > 0)[0])
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), search), zero, observation

    def respond(self, key, carry, percept: Percept):
        """Continues the search, or starts again if the observation has changed; takes the better action."""
        last_search, past_simulations, last_observation = carry
        is_same = (percept.observation == last_observation).all(-1)
        continued_simulations = jnp.where(is_same, past_simulations, 0)
        search, values = self._search(read_tree(percept.observation), last_search, continued_simulations, is_same)
        past_simulations = jnp.minimum(continued_simulations + self.simulations, self.budget)
        return (search, past_simulations, percept.observation), choose(
            key, jnp.log(compute_greedy_probabilities(values))
        )

    def _search(
        self, tree: Tree, last_search: Any, past_simulations: jax.Array, is_same: jax.Array
    ) -> tuple[Any, jax.Array]:
        """Runs the simulations of one tick; returns the search tree and the values [N, 2] of the two actions in it.

        Args:
            tree: the observed tree.
            last_search: the search tree after the last tick; None for a new search.
            past_simulations: [N] the number of simulations so far.
            is_same: [N] whether the search continues from `last_search`.
        """
        mctx = import_optional_package("mctx", "planning")
        n = len(tree.node)
        rows, prior, mean = jnp.arange(n), jnp.zeros((n, 2)), tree.average_leaves()

        def expand_node(params, rng, action, node):
            child = tree.child[rows, node, action]
            is_leaf = tree.is_leaf[rows, child]
            step = mctx.RecurrentFnOutput(
                reward=jnp.where(is_leaf, tree.payoffs[rows, child], 0.0),
                discount=jnp.where(is_leaf, 0.0, 1.0),
                prior_logits=prior,
                value=jnp.where(is_leaf, 0.0, mean),
            )
            return step, child

        def continue_search(low, high, body, carry):
            rng, initial = carry
            state = initial if last_search is None else select(is_same, last_search, initial)

            def simulate(i, state):
                has_budget = past_simulations + i < self.budget
                return jax.lax.cond(
                    has_budget.any(),
                    lambda: select(has_budget, body(past_simulations + i, (rng, state))[1], state),
                    lambda: state,
                )

            return rng, jax.lax.fori_loop(0, self.simulations, simulate, state)

        result = mctx.gumbel_muzero_policy(
            params=(),
            rng_key=jax.random.key(0),  # the key has no effect, because the noise has scale 0
            root=mctx.RootFnOutput(prior_logits=prior, value=mean, embedding=tree.node),
            recurrent_fn=expand_node,
            num_simulations=self.budget,
            max_depth=self.depth,
            loop_fn=continue_search,
            gumbel_scale=0.0,
        )
        return result.search_tree, result.search_tree.summary().qvalues


@keep_settings(simulations=(2, MAX_SIMULATIONS), budget=(2, MAX_SIMULATIONS))
def subject(family: Family, simulations: int = 8, budget: int = 128) -> TreeSearch:
    """Runs a few simulations of Monte Carlo tree search per tick, and takes the action with the highest value.

    Args:
        family: the family of trees, `tree_choice`.
        simulations: the number of simulations per tick.
        budget: the largest number of simulations at one observation, over all ticks.
    """
    tree_family = require_trees(family)
    if simulations > budget:
        raise MesascopeError(
            f"simulations={simulations} per tick is more than the budget={budget}.", "Give a larger budget."
        )
    import_optional_package("mctx", "planning")
    return TreeSearch(1 + 3 * tree_family.nodes, tree_family.depth, simulations, budget)
