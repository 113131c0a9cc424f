"""Filters what the arms of the restless bandit pay, on a grid, and pulls the best: a Bayes filter that knows the rates.

It knows both rates, the length of the blocks and that they take turns, and infers which came first. With two coupled
arms every pull tells as much, so the larger posterior mean is the exact optimum, up to the grid; jumps between two
levels need no grid.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from mesascope.contracts.choices import greedy_probabilities
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings, require_family
from mesascope.worlds.bandits.families.restless_bandit import RestlessBandit

TRIED = "restless_bandit:trials=12,bank=2"


class Belief(NamedTuple):
    """mass [N, 2, A, G] of each filtered arm's mean, if slow (0) or fast (1) came first; weight [N, 2]; trial [N]."""

    mass: jax.Array
    weight: jax.Array
    trial: jax.Array


class DriftFilter(Choosing):
    """One arm is filtered where the two are coupled, else each; its grid and kernels are data."""

    coupled: bool
    block: int
    grid: jax.Array  # [G]
    prior: jax.Array  # [G]
    kernels: jax.Array  # [2, G, G], slow and fast, rows sum to 1
    minimise: jax.Array

    def fresh(self, n: int) -> Belief:
        """The prior; either kind of block as likely to come first."""
        arms = 1 if self.coupled else self.choices
        mass = jnp.tile(self.prior, (n, 2, arms, 1))
        return Belief(mass, jnp.full((n, 2), 0.5), jnp.zeros(n, jnp.int32))

    def respond(self, key, carry: Belief, percept: Percept):
        """Takes in the last outcome, lets the means change, pulls the arm of the largest posterior mean."""
        belief = self.learn(carry, percept)
        mean = self.means(belief)
        probabilities = greedy_probabilities(jnp.where(self.minimise, -mean, mean))
        return belief._replace(trial=belief.trial + 1), choose(key, jnp.log(probabilities))

    def learn(self, carry: Belief, percept: Percept) -> Belief:
        """Bayes' rule for the last outcome, then one step of change at each block's rate; nothing before the first."""
        seen = (percept.action >= 0)[:, None, None]
        won = percept.feedback[:, None, None]
        if self.coupled:
            pays = jnp.where(percept.action[:, None, None] == 0, self.grid, 1.0 - self.grid)
        else:
            seen = jax.nn.one_hot(percept.action, self.choices, dtype=bool)[..., None]
            pays = jnp.broadcast_to(self.grid, (len(won), self.choices, len(self.grid)))
        likelihood = jnp.where(seen, won * pays + (1.0 - won) * (1.0 - pays), 1.0)  # [N, A, G]
        mass = carry.mass * likelihood[:, None]
        evidence = jnp.clip(mass.sum(-1), 1e-12)
        weight = carry.weight * evidence.prod(-1)
        mass = mass / evidence[..., None]
        fast = ((carry.trial // self.block)[:, None] + jnp.arange(2)) % 2  # [N, 2]
        slowly, quickly = mass @ self.kernels[0], mass @ self.kernels[1]
        moved = jnp.where((fast == 1)[..., None, None], quickly, slowly)
        mass = jnp.where((carry.trial > 0)[:, None, None, None], moved, mass)
        return Belief(mass, weight / weight.sum(-1, keepdims=True), carry.trial)

    def means(self, belief: Belief) -> jax.Array:
        """Posterior means [N, K] of what the arms pay now."""
        mean = (belief.weight[..., None] * (belief.mass @ self.grid)).sum(1)
        return jnp.concatenate([mean, 1.0 - mean], -1) if self.coupled else mean


def walk(rate: float, cells: int) -> np.ndarray:
    """[G, G] one step of a normal walk reflected at 0 and 1, from the middle of each cell to the cells."""
    if rate == 0:
        return np.eye(cells)
    edges = np.arange(cells + 1) / cells
    middle = (edges[:-1] + edges[1:]) / 2
    reach = int(np.ceil(4 * rate)) + 1
    images = np.concatenate([2 * m + sign * middle for m in range(-reach, reach + 1) for sign in (1, -1)])
    below = norm.cdf((edges - images[:, None]) / rate)
    kernel = np.diff(below, axis=-1).reshape(-1, cells, cells).sum(0)
    return kernel / kernel.sum(-1, keepdims=True)


@keep_settings(cells=(2, 4096))
def subject(family: Family, minimise: bool = False, cells: int = 32) -> DriftFilter:
    """Filters what the arms of the restless bandit pay and pulls the one that pays most; equal ones share evenly.

    Args:
        family: the restless bandit; its rates, blocks and coupling are known to it.
        minimise: pull the arm that pays least.
        cells: of the grid of means, where they walk.
    """
    remedy = "Take --family restless_bandit."
    home = require_family(family, RestlessBandit, "has no rates of change to filter with", remedy)
    rates = (home.slow, home.fast)
    if home.change == "drift":
        grid = (np.arange(cells) + 0.5) / cells
        kernels = np.stack([walk(rate, cells) for rate in rates])
    else:
        grid = np.asarray([1.0 - home.level, home.level])
        kernels = np.stack([[[1 - rate, rate], [rate, 1 - rate]] for rate in rates])
    return DriftFilter(
        choices=home.choices,
        coupled=home.coupled,
        block=home.block,
        grid=jnp.asarray(grid, jnp.float32),
        prior=jnp.full(len(grid), 1.0 / len(grid)),
        kernels=jnp.asarray(kernels, jnp.float32),
        minimise=jnp.asarray(minimise),
    )
