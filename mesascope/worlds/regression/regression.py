"""What subjects of in-context regression share: pairs read from percepts, and predictions linear in the outcomes.

Every procedure that fits weights to sums of squares is a filter on the eigenvalues λ of Σ x xᵀ: its weights are
V f(λ) Vᵀ Σ x y. They differ in numbers only, so they share compiled code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Response, Scripted, require_family
from mesascope.worlds.regression.families.linear_regression import LinearRegression

TRIED = "linear_regression:trials=12,bank=2"
NOTHING = 1e-5  # an eigenvalue below this part of the largest is 0


class Sums(NamedTuple):
    """What was seen: gram [N, D, D] Σ x xᵀ, cross [N, D] Σ x y, total [N] Σ y, count [N]."""

    gram: jax.Array
    cross: jax.Array
    total: jax.Array
    count: jax.Array


class SpectralFilter(Scripted):
    """Predicts from sums over the pairs; all its numbers but D are data.

    Attributes:
        dimension: D.
        penalty: ridge's, added to every eigenvalue.
        steps: of gradient descent from zero; infinite for the limit.
        rate: a step's size times the trace of Σ x xᵀ.
        correction: of the curvature before the descent, GD++ (von Oswald et al. 2023, arXiv 2212.07677).
        weight: of the fitted weights in the prediction, 0 or 1, or -1 for the opposite.
        level: of the mean outcome in the prediction.
        discount: what is kept of the sums at each trial.
    """

    dimension: int
    penalty: jax.Array
    steps: jax.Array
    rate: jax.Array
    correction: jax.Array
    weight: jax.Array
    level: jax.Array
    discount: jax.Array

    def fresh(self, n: int) -> Sums:
        """Nothing was seen."""
        d = self.dimension
        return Sums(jnp.zeros((n, d, d)), jnp.zeros((n, d)), jnp.zeros(n), jnp.zeros(n))

    def respond(self, key, carry: Sums, percept: Percept):
        """Adds the last pair, fits, and predicts at the coming input."""
        pair = last_pair(percept, self.dimension)
        added = Sums(
            pair.x[:, :, None] * pair.x[:, None], pair.x * pair.y[:, None], pair.y, pair.there.astype(float)
        )
        carry = jax.tree.map(lambda old, new: self.discount * old + new, carry, added)
        values, axes = jnp.linalg.eigh(carry.gram)
        along = jnp.einsum("nde,nd->ne", axes, carry.cross)
        fitted = jnp.einsum("nde,ne->nd", axes, self.filter(values) * along)
        mean = carry.total / jnp.maximum(carry.count, 1e-9)
        told = self.weight * (fitted * pair.query).sum(-1) + self.level * mean
        return carry, Response(told, None)

    def filter(self, values: jax.Array) -> jax.Array:
        """f(λ) [N, D] from the eigenvalues [N, D]; 0 where λ is 0."""
        top = values.max(-1, keepdims=True)
        there = values > jnp.maximum(NOTHING * top, 1e-12)
        held = jnp.where(there, values, 1.0)
        trace = jnp.maximum(jnp.where(there, values, 0.0).sum(-1, keepdims=True), 1e-12)
        shrunk = 1.0 - self.correction * held / trace
        turned = held * jnp.square(shrunk)
        left = jnp.power(jnp.clip(1.0 - self.rate * turned / trace, 0.0, 1.0), self.steps)
        descended = jnp.square(shrunk) * (1.0 - left) / jnp.maximum(turned, 1e-12)
        fitted = jnp.where(jnp.isinf(self.steps), 1.0 / (held + self.penalty), descended)
        return jnp.where(there, fitted, 0.0)


class Pair(NamedTuple):
    """The last pair x [N, D], y [N], zeros where there is none; there [N]; query [N, D], the coming input."""

    x: jax.Array
    y: jax.Array
    there: jax.Array
    query: jax.Array


def last_pair(percept: Percept, dimension: int) -> Pair:
    """What a percept shows of the last trial, and what it asks."""
    there = ~percept.first
    shown = percept.observation
    return Pair(
        jnp.where(there[:, None], shown[:, dimension:], 0.0),
        jnp.where(there, percept.feedback, 0.0),
        there,
        shown[:, :dimension],
    )


def make_filter(
    family: Family,
    penalty: float = 0.0,
    steps: float = jnp.inf,
    rate: float = 1.0,
    *,
    correction: float = 0.0,
    weight: float = 1.0,
    level: float = 0.0,
    discount: float = 1.0,
) -> SpectralFilter:
    """A procedure with the given numbers, see `Filtered`."""
    told = (penalty, steps, rate, correction, weight, level, discount)
    return SpectralFilter(require_regression(family).dimension, *(jnp.asarray(x, jnp.float32) for x in told))


def require_regression(family: Family) -> LinearRegression:
    """The family, if it asks for in-context regression.

    Raises:
        MesascopeError: it does not.
    """
    remedy = "Take --family linear_regression."
    return require_family(family, LinearRegression, "has no inputs to regress on", remedy)
