"""Shared code of subjects of in-context regression whose predictions are linear in the past outcomes.

The subjects that fit weights apply a filter f to the eigenvalues λ of Σ x xᵀ = V diag(λ) Vᵀ: the fitted weights
are V f(λ) Vᵀ Σ x y. The procedures differ only in their parameters, so they share compiled code.
"""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, ScriptedSubject, convert_to_arrays, require_family
from mesascope.worlds.regression.families.linear_regression import LinearRegression

ZERO_TOLERANCE = 1e-5  # an eigenvalue below this fraction of the largest counts as 0
DEFAULT_PARAMETERS = {
    "penalty": 0.0,
    "steps": jnp.inf,
    "rate": 1.0,
    "correction": 0.0,
}  # the defaults of a filter's parameters
DEFAULT_PARAMETERS |= {"fit_weight": 1.0, "weight_of_mean": 0.0, "discount": 1.0}


class SpectralFilter(ScriptedSubject):
    """Predicts from sums over the past pairs of an input x and its outcome y; all parameters except D are arrays.

    The carry consists of Σ x xᵀ [N, D, D], Σ x y [N, D], Σ y [N] and the number of pairs [N].

    Attributes:
        dimension: D, the dimension of the inputs.
        penalty: the ridge penalty, added to every eigenvalue that is not 0; it has no effect if `steps` is finite.
        steps: the number of steps of gradient descent from zero; infinite for the limit, the least-squares or
            ridge fit.
        rate: the step size of gradient descent times the trace of Σ x xᵀ.
        correction: γ of GD++, the strength of preconditioning (von Oswald et al. 2023, arXiv 2212.07677).
        fit_weight: the weight of the fitted prediction: 1; 0 if it is not used; or -1 for the opposite prediction.
        weight_of_mean: the weight of the mean outcome in the prediction.
        discount: the factor by which the sums are multiplied on each trial.
    """

    dimension: int
    penalty: jax.Array
    steps: jax.Array
    rate: jax.Array
    correction: jax.Array
    fit_weight: jax.Array
    weight_of_mean: jax.Array
    discount: jax.Array

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        """Returns sums of 0."""
        d = self.dimension
        return jnp.zeros((n, d, d)), jnp.zeros((n, d)), jnp.zeros(n), jnp.zeros(n)

    def respond(self, key, carry, percept: Percept):
        """Adds the last pair to the sums, fits the weights, and predicts the outcome of the coming input."""
        x, y, has_pair, query = read_last_pair(percept, self.dimension)
        added = (x[:, :, None] * x[:, None], x * y[:, None], y, has_pair.astype(float))
        carry = jax.tree.map(lambda old, new: self.discount * old + new, carry, added)
        gram, cross, total, count = carry
        values, axes = jnp.linalg.eigh(gram)
        projected = jnp.einsum("nde,nd->ne", axes, cross)
        fitted = jnp.einsum("nde,ne->nd", axes, self.compute_filter(values) * projected)
        mean = total / jnp.maximum(count, 1e-9)
        prediction = self.fit_weight * (fitted * query).sum(-1) + self.weight_of_mean * mean
        return carry, Response(prediction, None)

    def compute_filter(self, eigenvalues: jax.Array) -> jax.Array:
        """Computes the filter f(λ) [N, D] of the eigenvalues λ [N, D]; f is 0 where λ is 0."""
        largest = eigenvalues.max(-1, keepdims=True)
        is_nonzero = eigenvalues > jnp.maximum(ZERO_TOLERANCE * largest, 1e-12)
        nonzero_eigenvalues = jnp.where(is_nonzero, eigenvalues, 1.0)
        trace = jnp.maximum(jnp.where(is_nonzero, eigenvalues, 0.0).sum(-1, keepdims=True), 1e-12)
        shrinkage = 1.0 - self.correction * nonzero_eigenvalues / trace
        preconditioned = nonzero_eigenvalues * jnp.square(shrinkage)
        remaining = jnp.power(jnp.clip(1.0 - self.rate * preconditioned / trace, 0.0, 1.0), self.steps)
        fraction_fitted = jnp.square(shrinkage) * (1.0 - remaining) / jnp.maximum(preconditioned, 1e-12)
        fitted = jnp.where(jnp.isinf(self.steps), 1.0 / (nonzero_eigenvalues + self.penalty), fraction_fitted)
        return jnp.where(is_nonzero, fitted, 0.0)


def read_last_pair(percept: Percept, dimension: int) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Reads the last pair and the coming input from a percept.

    Returns:
        The last input [N, D] and its outcome [N], both 0 on the first trial; whether the percept contains a pair [N];
        and the coming input [N, D].
    """
    has_pair = ~percept.first
    query, x = percept.observation[:, :dimension], percept.observation[:, dimension:]
    x, y = jnp.where(has_pair[:, None], x, 0.0), jnp.where(has_pair, percept.feedback, 0.0)
    return x, y, has_pair, query


def make_filter(family: Family, **parameters: float) -> SpectralFilter:
    """Makes a `SpectralFilter` with these parameters; with the default parameters it fits by least squares.

    Raises:
        MesascopeError: the family is not in-context regression.
    """
    return SpectralFilter(
        require_regression(family).dimension, **convert_to_arrays(**{**DEFAULT_PARAMETERS, **parameters})
    )


def require_regression(family: Family) -> LinearRegression:
    """Returns the family if it is in-context regression.

    Raises:
        MesascopeError: the family is not in-context regression.
    """
    remedy = "Take --family linear_regression."
    return require_family(family, LinearRegression, "has no inputs to regress on", remedy)
