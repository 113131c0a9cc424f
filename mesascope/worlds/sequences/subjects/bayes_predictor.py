"""Counts the symbols and predicts with the Bayes mixture, the posterior predictive probability under Beta(a, b)."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, compute_greedy_probabilities, keep_settings
from mesascope.errors import MesascopeError

CHECK_FAMILY = "beta_bernoulli:trials=12"


class BayesPredictor(ScriptedSubject):
    """Carries counts [N, 2] of the symbols 0 and 1; the counts are multiplied by `discount` on each trial.

    All settings are arrays, so that subjects with different settings share compiled code.
    """

    prior: jax.Array  # [2] the parameters b and a of the Beta prior
    discount: jax.Array
    is_greedy: jax.Array
    should_minimise: jax.Array

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns counts of 0."""
        return jnp.zeros((n, 2))

    def respond(self, key, carry, percept: Percept):
        """Counts the observed symbol, then predicts from the posterior predictive distribution, as the settings say."""
        carry = self.discount * carry + jax.nn.one_hot(percept.observation[:, 0].astype(jnp.int32), 2)
        weight = carry + self.prior
        predictive = weight / weight.sum(-1, keepdims=True)
        predictive = jnp.where(self.should_minimise, predictive[:, ::-1], predictive)
        probabilities = jnp.where(self.is_greedy, compute_greedy_probabilities(predictive), predictive)
        return carry, choose(key, jnp.log(probabilities))


def require_symbols(family: Family) -> None:
    """Raises `MesascopeError` if percepts of the family do not show which action would have been correct."""
    if type(family).read_target is Family.read_target:
        raise MesascopeError(f"{family.name} shows no symbol to predict.", "Take --family beta_bernoulli.")


@keep_settings(a=(0, 1e6), b=(0, 1e6))
def subject(
    family: Family,
    *,
    a: float = 0.0,
    b: float = 0.0,
    discount: float = 1.0,
    greedy: bool = False,
    should_minimise: bool = False,
) -> BayesPredictor:
    """Counts the symbols and predicts each with its posterior probability.

    Args:
        family: a family of sequences of the symbols 0 and 1.
        a: the parameter of the Beta prior for symbol 1; 0 for the `a` of the family.
        b: the parameter of the Beta prior for symbol 0; 0 for the `b` of the family.
        discount: the factor by which the counts are multiplied on each trial; 1 for tasks that do not change.
        greedy: whether the subject always predicts the more probable symbol and breaks ties at random.
        should_minimise: whether the subject predicts the opposite symbol.
    """
    require_symbols(family)
    if not 0 < discount <= 1:
        raise MesascopeError(f"discount={discount} is out of range.", "Give a number above 0 and at most 1.")
    prior = jnp.asarray((b or getattr(family, "b", 1.0), a or getattr(family, "a", 1.0)), jnp.float32)
    return BayesPredictor(prior, jnp.asarray(discount, jnp.float32), jnp.asarray(greedy), jnp.asarray(should_minimise))
