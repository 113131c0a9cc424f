"""Samples each arm's mean from its Beta posterior and pulls the arm with the largest sample (Thompson 1933).

Choice probabilities are computed by quadrature, not by sampling: P(k) = ∫ f_k Π_{j≠k} F_j, with the posterior densities
f and distribution functions F of the arms. The grid is even in θ, where the mean is x = sin²(θ/2), because Beta
posteriors are about equally wide everywhere in θ. F at the midpoints is a running sum with the first Euler-Maclaurin
term. With 64 points, the error is at most 1e-4 for up to 100 pulls (.0025 at 500 pulls).
"""

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import CountingSubject, Family, HasArms, Percept, choose, count_last_outcome, keep_settings
from mesascope.errors import MesascopeError

GRID_SIZE = 64
ANGLES = (np.arange(GRID_SIZE) + 0.5) * np.pi / GRID_SIZE  # θ
GRID_MEANS = np.sin(ANGLES / 2) ** 2  # x
LOG_MEANS = np.stack([np.log(GRID_MEANS), np.log1p(-GRID_MEANS)]).astype(np.float32)
RUNNING_SUM_MATRIX = np.triu(np.ones((GRID_SIZE, GRID_SIZE)), 1) + np.eye(GRID_SIZE) / 2
EULER_MACLAURIN_CORRECTION = (np.eye(GRID_SIZE, k=1) - np.eye(GRID_SIZE, k=-1)) / 24
CUMULATION_MATRIX = (RUNNING_SUM_MATRIX + EULER_MACLAURIN_CORRECTION).astype(
    np.float32
)  # pdf @ CUMULATION_MATRIX is F at the grid points


class Thompson(CountingSubject):
    """Carries counts [N, K, 2], discounted before each outcome.

    Its settings are arrays, so subjects with other settings reuse the compiled code.
    """

    prior: jax.Array  # [K, 2]
    discount: jax.Array
    should_minimise: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, then samples an arm."""
        carry = self.discount * carry + count_last_outcome(percept, self.choices)
        shapes = carry + self.prior
        shapes = jnp.where(self.should_minimise, shapes[..., ::-1], shapes)
        return carry, choose(key, jnp.log(compute_best_probability(shapes)))


def compute_best_probability(shapes: jax.Array, is_optimistic: bool = False) -> jax.Array:
    """Computes the probability [N, K] that each arm's sample is the largest.

    Args:
        shapes: [N, K, 2] Beta shapes (a, b).
        is_optimistic: whether the posterior mean replaces every sample below it, as in optimistic Thompson sampling.
    """
    log_pdf = (shapes - 0.5) @ LOG_MEANS  # density in θ: the Jacobian is √(x(1-x))
    pdf = jnp.exp(log_pdf - log_pdf.max(-1, keepdims=True))
    pdf = pdf / pdf.sum(-1, keepdims=True)
    if not is_optimistic:
        return compute_largest_probability(pdf)
    others = _multiply_others(jnp.clip(pdf @ CUMULATION_MATRIX, 1e-30, 1.0))
    mean = shapes[..., 0] / shapes.sum(-1)
    largest_mean = mean.max(-1)[:, None, None]
    edges = np.sin(np.arange(GRID_SIZE + 1) * np.pi / GRID_SIZE / 2) ** 2
    # the part of each cell above the largest mean, which the largest sample cannot fall below
    share_above = jnp.clip((edges[1:] - largest_mean) / (edges[1:] - edges[:-1]), 0.0, 1.0)
    above = (pdf * others * share_above).sum(-1)
    below = jnp.clip((pdf * (1.0 - share_above)).sum(-1), 1e-30, 1.0).prod(-1, keepdims=True)
    is_top = (mean >= largest_mean[:, 0] - 1e-6).astype(jnp.float32)
    probability = above + below * is_top / is_top.sum(-1, keepdims=True)
    return probability / probability.sum(-1, keepdims=True)


def compute_largest_probability(masses: jax.Array) -> jax.Array:
    """Computes the probability [N, K] that each arm's draw is the largest.

    `masses` [N, K, GRID_SIZE] are the arms' probabilities at the grid points.
    """
    probability = (masses * _multiply_others(jnp.clip(masses @ CUMULATION_MATRIX, 1e-30, 1.0))).sum(-1)
    return probability / probability.sum(-1, keepdims=True)


def _multiply_others(x: jax.Array) -> jax.Array:
    """Multiplies x [N, K, G] over all other arms, for each arm; returns the products [N, K, G]."""
    before, after = [jnp.ones_like(x[:, 0])], [jnp.ones_like(x[:, 0])]
    for k in range(x.shape[1] - 1):
        before.append(before[-1] * x[:, k])
        after.append(after[-1] * x[:, -1 - k])
    return jnp.stack([b * a for b, a in zip(before, reversed(after), strict=True)], 1)


def choose_prior(family: Family, a: float, b: float) -> jax.Array:
    """Returns the arms' Beta shapes [K, 2]: those of the family if it has any and a = b = 1, else (a, b) for every arm.

    Raises:
        MesascopeError: a or b is not positive.
    """
    if a <= 0 or b <= 0:
        raise MesascopeError(f"Beta({a}, {b}) is not a prior.", "Give positive a and b.")
    shapes = family.shapes if isinstance(family, HasArms) else None
    if shapes is None or (a, b) != (1.0, 1.0):
        shapes = ((a, b),) * family.choices
    return jnp.asarray(shapes, jnp.float32)


@keep_settings
def subject(
    family: Family, discount: float = 1.0, a: float = 1.0, b: float = 1.0, should_minimise: bool = False
) -> Thompson:
    """Samples each arm's mean from its Beta posterior and pulls the arm with the largest sample.

    Args:
        family: the bandit; if its arms have different Beta priors, these are used unless a or b differs from 1.
        discount: the factor by which the counts are multiplied on each trial; 1 for a stationary task.
        a: the first parameter of the Beta prior of every arm, its number of prior wins.
        b: the second parameter of the Beta prior of every arm, its number of prior losses.
        should_minimise: whether to pull the arm with the smallest sample, not the largest.
    """
    if not 0 < discount <= 1:
        raise MesascopeError(f"discount={discount} is out of range.", "Give a number above 0 and at most 1.")
    discounts = jnp.asarray(discount, jnp.float32)
    return Thompson(family.choices, choose_prior(family, a, b), discounts, jnp.asarray(should_minimise))
