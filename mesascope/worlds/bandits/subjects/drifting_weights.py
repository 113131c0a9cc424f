"""A faulty subject that changes its weights while it runs; mesascope must refuse it."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, keep_settings


class DriftingWeights(ScriptedSubject):
    """Has one weight per arm, shared by all lifetimes; each response changes the weights of the pulled arms."""

    weights: jax.Array  # [K]

    is_traceable: ClassVar[bool] = False

    def respond(self, key, carry, percept: Percept):
        """Updates the weights in place, then chooses by softmax over them."""
        weights, response = _update_and_choose(key, self.weights, percept)
        object.__setattr__(self, "weights", weights)  # modules are frozen, but this subject breaks that rule
        return carry, response


@jax.jit
def _update_and_choose(key, weights, percept):
    pulled_arm = jax.nn.one_hot(percept.action, len(weights))
    weights = weights + 0.01 * (pulled_arm * (percept.feedback[:, None] - 0.5)).sum(0)
    log_probs = jnp.tile(jax.nn.log_softmax(weights), (len(percept.action), 1))
    return weights, choose(key, log_probs)


@keep_settings
def subject(family: Family) -> DriftingWeights:
    """A faulty subject that changes its weights while it runs; mesascope must refuse it."""
    return DriftingWeights(jnp.zeros(family.choices))
