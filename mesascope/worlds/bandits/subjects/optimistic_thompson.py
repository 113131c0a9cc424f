"""Thompson sampling that never samples below the posterior mean (May et al. 2012)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mesascope.contracts.capabilities import HasArms
from mesascope.contracts.choices import outcomes
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.settings import named
from mesascope.contracts.subject import Scripted, choose
from mesascope.errors import MesascopeError
from mesascope.worlds.bandits.subjects.thompson import probability_best


class OptimisticThompson(Scripted):
    """Counts [N, K, 2]."""

    name: str
    choices: int
    prior: jax.Array  # [K, 2]
    alpha: jax.Array

    def fresh(self, n: int) -> jax.Array:
        """No counts."""
        return jnp.zeros((n, self.choices, 2))

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, then samples."""
        carry = carry + outcomes(percept, self.choices)
        shapes = (carry + self.prior) / self.alpha
        return carry, choose(key, jnp.log(probability_best(shapes, optimistic=True)))


def subject(family: Family, a: float = 1.0, b: float = 1.0, alpha: float = 1.0) -> OptimisticThompson:
    """Thompson sampling with each sample replaced by the posterior mean where that is larger.

    Args:
        family: the bandit; unequal Beta priors are taken from it unless a or b is given.
        a: prior successes.
        b: prior failures.
        alpha: samples come from Beta(a / alpha, b / alpha): below 1 they scatter less ('posterior reshaping' of
            Chapelle and Li 2011, An empirical evaluation of Thompson sampling).
    """
    if a <= 0 or b <= 0:
        raise MesascopeError(f"The prior Beta({a}, {b}) does not exist.", "Give positive a and b.")
    if not 0.01 <= alpha <= 100:
        raise MesascopeError(f"alpha={alpha} is out of range.", "Give a number from 0.01 to 100.")
    shapes = family.shapes if isinstance(family, HasArms) else None
    if shapes is None or (a, b) != (1.0, 1.0):
        shapes = ((a, b),) * family.choices
    return OptimisticThompson(
        name=named(subject, a=a, b=b, alpha=alpha),
        choices=family.choices,
        prior=jnp.asarray(shapes, jnp.float32),
        alpha=jnp.asarray(alpha, jnp.float32),
    )
