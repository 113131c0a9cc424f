"""Where a subject stands between the ideal locator of its bank and any learner."""

import numpy as np

ROLES = ("learner", "locator")
BANK_LIMIT = 0.98  # the share that an ideal locator may keep on fresh tasks before the bank cannot tell


def retention_shares(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ρ and λ: the shares of their gain that subject and locator keep on fresh tasks, relative to the learner.

    Args:
        means: gains [6, …] of subject, learner and locator on fresh tasks, then on seen tasks.
    """
    subject, learner, locator, seen, seen_learner, seen_locator = means
    scale = seen_learner / learner
    return subject / seen * scale, locator / seen_locator * scale


def position(means: np.ndarray) -> np.ndarray:
    """(ρ - λ) / (1 - λ) from gains [6, …] of subject, learner and locator on fresh, then on seen tasks."""
    rho, lam = retention_shares(means)
    return (rho - lam) / (1 - lam)
