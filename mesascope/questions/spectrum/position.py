"""Computes where a subject stands between the ideal locator of its bank and any learner."""

import numpy as np

MAX_LOCATOR_RETENTION = (
    0.98  # if its locator keeps this share on fresh tasks, a bank cannot distinguish locating from acquiring
)


def compute_retention_shares(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes ρ and λ, the shares of their gain on seen tasks that subject and locator keep on fresh tasks.

    Both are divided by the share that the learner keeps.

    Args:
        means: [6, …] the gains of subject, learner and locator on fresh tasks, then on seen tasks.
    """
    subject, learner, locator, seen, seen_learner, seen_locator = means
    scale = seen_learner / learner
    return subject / seen * scale, locator / seen_locator * scale


def compute_position(means: np.ndarray) -> np.ndarray:
    """Computes the position (ρ - λ) / (1 - λ), from gains [6, …] as in `compute_retention_shares`."""
    rho, lam = compute_retention_shares(means)
    return (rho - lam) / (1 - lam)
