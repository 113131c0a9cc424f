"""Changes its weights while it runs: it must be refused."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Scripted, choose, keep_settings


class DriftingWeights(Scripted):
    """A weight per arm; every response moves the weights of the arms that paid."""

    weights: jax.Array  # [K]

    traceable: ClassVar[bool] = False

    def respond(self, key, carry, percept: Percept):
        """Softmax over the weights, after an update in place."""
        weights, response = _updated(key, self.weights, percept)
        object.__setattr__(self, "weights", weights)  # modules are frozen; this subject breaks the rule
        return carry, response


@jax.jit
def _updated(key, weights, percept):
    pulled = jax.nn.one_hot(percept.action, len(weights))
    weights = weights + 0.01 * (pulled * (percept.feedback[:, None] - 0.5)).sum(0)
    log_probs = jnp.tile(jax.nn.log_softmax(weights), (len(percept.action), 1))
    return weights, choose(key, log_probs)


@keep_settings
def subject(family: Family) -> DriftingWeights:
    """Changes its weights while it runs: it must be refused."""
    return DriftingWeights(jnp.zeros(family.choices))
