"""Shared code of subjects that know the mean pay-off of each arm in each task of a bank."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, HasBankOfArms, compute_greedy_probabilities, require_bank

MARGIN = 1e-4  # means are kept at least this far from 0 and 1, so that no outcome is impossible


def require_bank_means(family: Family, lack_description: str = "has no bank of arms' means to locate a task in"):
    """Returns the name of a bandit's bank, and the mean pay-offs of the arms in its tasks, [M, K].

    Args:
        family: any family.
        lack_description: what the error message says of a family without a bank, after the family's name.

    Raises:
        MesascopeError: the family has no bank of arms.
    """
    means = family.bank_means if isinstance(family, HasBankOfArms) else None
    return require_bank(family, means, lack_description, "Use e.g. --family bernoulli_bandit:bank=4.")


def compute_best_arm_probability(counts: jax.Array, bank_means: jax.Array, should_minimise: bool = False) -> jax.Array:
    """Computes the probability [N, K] that each arm is the best one, under the posterior over the tasks of a bank.

    The prior over the tasks is uniform; arms that tie for the best one of a task are equally likely.

    Args:
        counts: [N, K, 2] the wins and the losses of each arm.
        bank_means: [M, K] the mean pay-off of each arm in each task of the bank.
        should_minimise: whether the best arm is the one with the smallest mean.
    """
    p = jnp.clip(bank_means, MARGIN, 1.0 - MARGIN)
    posterior = jax.nn.softmax(counts[..., 0] @ jnp.log(p).T + counts[..., 1] @ jnp.log1p(-p).T)
    return posterior @ compute_greedy_probabilities(-bank_means if should_minimise else bank_means)
