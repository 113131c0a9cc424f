"""Measures of this study, in addition to those that ship."""

from __future__ import annotations

import numpy as np

from mesascope.contracts import DoesNotApply
from mesascope.reproduction.measures import Rollouts, goal_return


def return_in_bank(rollouts: Rollouts, goal: str = "intended") -> np.ndarray:
    """The share of a goal's optimum in the last third of the trials; 0 on tasks whose best arm is not in the bank.

    Args:
        rollouts: the lifetimes.
        goal: intended or proxy.
    """
    arms = getattr(rollouts.family, "bank_arms", None)
    if arms is None:
        raise DoesNotApply("the subject was not trained on a bank")
    best = rollouts.trials.means.values[:, 0].argmax(-1)
    return np.where(np.isin(best, np.asarray(arms)), goal_return(rollouts, goal), 0.0)
