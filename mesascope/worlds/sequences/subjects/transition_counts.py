"""Counts the transitions and predicts with the posterior predictive probability under the Dirichlet prior."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_greedy_probabilities, convert_to_arrays, keep_settings
from mesascope.errors import MesascopeError
from mesascope.worlds.sequences.transitions import TransitionSubject, require_chain


class TransitionCounts(TransitionSubject):
    """Carries counts [N, K, K] of transitions; the counts are multiplied by `discount` on each trial.

    All settings except K are arrays, so that subjects with different settings share compiled code.
    """

    concentration: jax.Array
    discount: jax.Array
    is_greedy: jax.Array
    should_minimise: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Counts the last transition, then predicts from the posterior predictive distribution, as the settings say."""
        carry = self.discount * carry + self.count_transition(percept)
        weight = self.take_current_row(carry, percept) + self.concentration
        weight = jnp.where(self.should_minimise, 1.0 / weight, weight)
        predictive = weight / weight.sum(-1, keepdims=True)
        return carry, choose(
            key, jnp.log(jnp.where(self.is_greedy, compute_greedy_probabilities(predictive), predictive))
        )


@keep_settings(concentration=(0, 1e6))
def subject(
    family: Family,
    concentration: float = 0.0,
    discount: float = 1.0,
    greedy: bool = False,
    should_minimise: bool = False,
) -> TransitionCounts:
    """Counts the transitions and predicts each symbol with its posterior probability.

    Args:
        family: the family `markov_chain`.
        concentration: α, the concentration of the Dirichlet prior; 0 for that of the family.
        discount: the factor by which the counts are multiplied on each trial; 1 for tasks that do not change.
        greedy: whether the subject always predicts the most probable symbol and breaks ties at random.
        should_minimise: whether the subject predicts symbols in proportion to 1 / probability, the rarest symbol most
            often.
    """
    chain = require_chain(family)
    if not 0 < discount <= 1:
        raise MesascopeError(f"discount={discount} is out of range.", "Give a number above 0 and at most 1.")
    parameters = convert_to_arrays(concentration=concentration or chain.concentration, discount=discount)
    return TransitionCounts(
        chain.choices, **parameters, is_greedy=jnp.asarray(greedy), should_minimise=jnp.asarray(should_minimise)
    )
