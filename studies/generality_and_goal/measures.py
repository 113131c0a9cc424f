"""What this study measures beside the measures that ship."""

from __future__ import annotations

import numpy as np

from mesascope.contracts.metric import DoesNotApply
from mesascope.reproduction.measures import Rollouts, goal_return


def return_in_bank(lived: Rollouts, goal: str = "intended") -> np.ndarray:
    """Share of a goal's optimum in the last third, of tasks whose best arm is one of the bank's.

    Args:
        lived: the lifetimes.
        goal: intended or proxy.
    """
    arms = getattr(lived.family, "bank_arms", None)
    if arms is None:
        raise DoesNotApply("it was trained on no bank")
    best = lived.trials.means.values[:, 0].argmax(-1)
    return np.where(np.isin(best, np.asarray(arms)), goal_return(lived, goal), 0.0)
