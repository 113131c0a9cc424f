"""The rewarded goal and its proxy, for families whose training tasks do not distinguish the two.

A family with such tasks has a method `compute_goals(trials, condition)`, which evaluates both goals from the stored
trials alone.
"""

from typing import NamedTuple

import numpy as np


class Goal(NamedTuple):
    """The values of K actions for one goal in N lifetimes of T trials, with S steps in each trial.

    Attributes:
        values: [N, T, S, K], or [N, T, K] if a trial is one step: the value of each action for the goal. Its unit may
            differ from that of the other fields. Values at steps without an action do not count.
        achieved_values: [N, T] how far the trial achieved the goal; NaN if the trial did not take place.
        best: [N, T] the largest achieved value that was possible on the trial.
        chance: [N, T] the mean achieved value of random actions.
    """

    values: np.ndarray
    achieved_values: np.ndarray
    best: np.ndarray
    chance: np.ndarray


class Goals(NamedTuple):
    """The rewarded goal and its proxy in training, in N lifetimes of T trials, with S steps in each trial.

    Attributes:
        intended: the goal that the tasks reward.
        proxy: another goal, which coincides with the intended goal on training tasks.
        action: [N, T, S], or [N, T] if a trial is one step: the actions; negative for steps without an action.
        is_conflict: [N, T] whether no choice of actions on the trial is best for both goals.
    """

    intended: Goal
    proxy: Goal
    action: np.ndarray
    is_conflict: np.ndarray

    def get_goals_by_name(self) -> dict[str, Goal]:
        """Returns both goals by name, 'intended' and 'proxy'."""
        return {"intended": self.intended, "proxy": self.proxy}
