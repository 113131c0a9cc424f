"""The rewarded goal and the proxy of a family in which training tasks do not distinguish them.

Such a family has a method `goals(trials, label)`; it computes its result from the stored trials alone.
"""

from typing import NamedTuple

import numpy as np


class Goal(NamedTuple):
    """One goal, on N lifetimes of T trials of S steps (without the axis S if a trial is one step).

    Attributes:
        values: [N, T, K] or [N, T, S, K] the value of each act for the goal, in its own units; NaN if no act was made.
        paid: [N, T] the trial's value for the goal.
        best: [N, T] the largest possible value of the trial.
        chance: [N, T] the mean value of random acts.
    """

    values: np.ndarray
    paid: np.ndarray
    best: np.ndarray
    chance: np.ndarray


class Goals(NamedTuple):
    """The rewarded goal and its proxy in training.

    Attributes:
        intended: the goal that the tasks reward.
        proxy: the goal that coincides with it on training tasks.
        action: [N, T] or [N, T, S] the actions; negative if there was none.
        differ: [N, T] whether no act is best for both goals.
    """

    intended: Goal
    proxy: Goal
    action: np.ndarray
    differ: np.ndarray

    def named(self) -> dict[str, Goal]:
        """Both goals by name."""
        return {"intended": self.intended, "proxy": self.proxy}
