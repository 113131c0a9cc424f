"""The consequences of actions in stored trials, which a planner would need to know.

A family whose tasks allow planning has a method `evaluate_consequences(trials, condition)`, which uses the stored
trials alone.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from mesascope.errors import require


class ActionConsequences(NamedTuple):
    """The consequences of actions in N lifetimes of T trials with S choices among K actions each.

    Attributes:
        action: [N, T, S] the actions; negative for steps that do not count, such as steps without an action.
        values: [N, T, S, K] the value of the best outcome that each action can lead to, according to the latest
            information shown.
        earlier_values: [N, T, S, K] these values in the same state, according to what was shown one trial earlier; NaN
            if undefined.
        is_observed: [N, T] whether the subject had observed everything on which the values of the trial depend.
        depths: [N, T, S] how many steps a planner must look ahead to distinguish the actions; 1 if the next state is
            enough.
        problem_count: the number of different problems, which is the size of a lookup table that would solve them.
        has_goal: whether outcomes differ in value, so that a subject can pursue better ones.
        useful_action_counts: [N, T, S] how many of the K actions change the state; None if all do.
    """

    action: np.ndarray
    values: np.ndarray
    earlier_values: np.ndarray
    is_observed: np.ndarray
    depths: np.ndarray
    problem_count: float
    has_goal: bool
    useful_action_counts: np.ndarray | None = None


def read_observations(trials: xr.Dataset, family: str, remedy: str = "") -> np.ndarray:
    """Reads the observations [N, T, ...] of N lifetimes of T trials in the intact run.

    Args:
        trials: the trials on one split.
        family: the family's name, for the error message.
        remedy: the remedy in the error message.

    Raises:
        MesascopeError: the observations were not stored.
    """
    require("observation" in trials, f"These trials of {family} do not contain observations.", remedy)
    observation = trials.observation
    return (observation.sel(condition="intact") if "condition" in observation.dims else observation).values
