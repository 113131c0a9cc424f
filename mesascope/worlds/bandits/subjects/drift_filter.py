"""Filters the means of the restless bandit by Bayes' rule, on a grid, and pulls the arm with the largest mean.

The filter knows both rates, the length of the blocks, and that slow and fast blocks alternate. It infers which kind of
block came first. With two coupled arms all pulls are equally informative, so this choice is optimal up to the
resolution of the grid. If the means jump between two levels, these levels are the grid, and the filter is exact.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_greedy_probabilities,
    keep_settings,
    require_family,
)
from mesascope.worlds.bandits.families.restless_bandit import RestlessBandit

CHECK_FAMILY = "restless_bandit:trials=12,bank=2"


class Belief(NamedTuple):
    """The belief about the means of A filtered arms, on G grid points.

    Attributes:
        mass: [N, 2, A, G] the posterior of each filtered arm's mean if a slow (0) or a fast (1) block came first.
        case_probability: [N, 2] the probability of each of these two cases.
        past_trials: [N] the number of past trials.
    """

    mass: jax.Array
    case_probability: jax.Array
    past_trials: jax.Array


class DriftFilter(ChoosingSubject):
    """Filters one arm if the two are coupled, otherwise every arm; see `subject` for the settings."""

    is_coupled: bool
    block_length: int
    grid: jax.Array  # [G]
    prior: jax.Array  # [G]
    kernels: jax.Array  # [2, G, G], slow and fast, rows sum to 1
    should_minimise: jax.Array

    def initialize_carry(self, n: int) -> Belief:
        """Returns the prior belief: both kinds of block are equally likely to come first."""
        arms = 1 if self.is_coupled else self.choices
        mass = jnp.tile(self.prior, (n, 2, arms, 1))
        return Belief(mass, jnp.full((n, 2), 0.5), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Belief, percept: Percept):
        """Updates the belief with the last outcome, then pulls the arm with the largest posterior mean."""
        belief = self.update_belief(carry, percept)
        mean = self.compute_means(belief)
        probabilities = compute_greedy_probabilities(jnp.where(self.should_minimise, -mean, mean))
        return belief._replace(past_trials=belief.past_trials + 1), choose(key, jnp.log(probabilities))

    def update_belief(self, carry: Belief, percept: Percept) -> Belief:
        """Updates the belief with the last outcome and, after the first trial, with a change at the block's rate."""
        is_pulled = (percept.action >= 0)[:, None, None]
        feedback = percept.feedback[:, None, None]
        if self.is_coupled:
            payoff = jnp.where(percept.action[:, None, None] == 0, self.grid, 1.0 - self.grid)
        else:
            is_pulled = jax.nn.one_hot(percept.action, self.choices, dtype=bool)[..., None]
            payoff = jnp.broadcast_to(self.grid, (len(feedback), self.choices, len(self.grid)))
        likelihood = jnp.where(is_pulled, feedback * payoff + (1.0 - feedback) * (1.0 - payoff), 1.0)  # [N, A, G]
        mass = carry.mass * likelihood[:, None]
        evidence = jnp.clip(mass.sum(-1), 1e-12)
        weight = carry.case_probability * evidence.prod(-1)
        mass = mass / evidence[..., None]
        is_fast = ((carry.past_trials // self.block_length)[:, None] + jnp.arange(2)) % 2  # [N, 2]
        after_slow, after_fast = mass @ self.kernels[0], mass @ self.kernels[1]
        changed_mass = jnp.where((is_fast == 1)[..., None, None], after_fast, after_slow)
        mass = jnp.where((carry.past_trials > 0)[:, None, None, None], changed_mass, mass)
        return Belief(mass, weight / weight.sum(-1, keepdims=True), carry.past_trials)

    def compute_means(self, belief: Belief) -> jax.Array:
        """Computes the posterior mean [N, K] of each arm on the current trial."""
        mean = (belief.case_probability[..., None] * (belief.mass @ self.grid)).sum(1)
        return jnp.concatenate([mean, 1.0 - mean], -1) if self.is_coupled else mean


def build_walk_kernel(rate: float, n_cells: int) -> np.ndarray:
    """Builds the transition matrix [G, G] of a Gaussian walk reflected at 0 and 1.

    Rows are the cells in whose middle a step starts, and columns the cells in which it ends. `rate` is the standard
    deviation of a step, and G = `n_cells`.
    """
    if rate == 0:
        return np.eye(n_cells)
    edges = np.arange(n_cells + 1) / n_cells
    middle = (edges[:-1] + edges[1:]) / 2
    reach = int(np.ceil(4 * rate)) + 1
    images = np.concatenate([2 * m + sign * middle for m in range(-reach, reach + 1) for sign in (1, -1)])
    below = ndtr((edges - images[:, None]) / rate)
    kernel = np.diff(below, axis=-1).reshape(-1, n_cells, n_cells).sum(0)
    return kernel / kernel.sum(-1, keepdims=True)


@keep_settings(cells=(2, 4096))
def subject(family: Family, should_minimise: bool = False, cells: int = 32) -> DriftFilter:
    """Filters the means of the restless bandit and pulls the arm with the largest mean; ties are equally likely.

    Args:
        family: the restless bandit; the filter knows its rates, blocks and coupling.
        should_minimise: whether to pull the arm with the smallest mean, not the largest.
        cells: the number of equal cells into which the range of means, 0 to 1, is divided if the means drift.
    """
    remedy = "Use --family restless_bandit."
    bandit = require_family(family, RestlessBandit, "has no rates of change to filter with", remedy)
    rates = (bandit.slow_rate, bandit.fast_rate)
    if bandit.change == "drift":
        grid = (np.arange(cells) + 0.5) / cells
        kernels = np.stack([build_walk_kernel(rate, cells) for rate in rates])
    else:
        grid = np.asarray([1.0 - bandit.level, bandit.level])
        kernels = np.stack([[[1 - rate, rate], [rate, 1 - rate]] for rate in rates])
    prior = jnp.full(len(grid), 1.0 / len(grid))
    arrays = (jnp.asarray(grid, jnp.float32), prior, jnp.asarray(kernels, jnp.float32), jnp.asarray(should_minimise))
    return DriftFilter(bandit.choices, bandit.is_coupled, bandit.block, *arrays)
