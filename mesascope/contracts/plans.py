"""What a planner would need to know about stored trials.

A family in which acts can be planned has a method `plans(trials, label)`; it uses the stored trials alone.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from mesascope.errors import MesascopeError


class Plans(NamedTuple):
    """Plans on N lifetimes of T trials of S steps (the steps with a choice; 1 if a trial is one choice).

    Attributes:
        action: [N, T, S] the actions; negative if there was none.
        values: [N, T, S, K] the best outcome that each act can lead to, given the latest information shown.
        before: [N, T, S, K] the same from the same state, by what was true one trial earlier; NaN if undefined.
        shown: [N, T] whether everything that the values depend on had been shown or announced by then.
        far: [N, T, S] how many steps one must look ahead to distinguish the acts; 1 if the next state shows it.
        cases: the number of different problems, so the size of a lookup table that would solve them.
        goal: whether there is anything to pursue: whether outcomes differ in value.
    """

    action: np.ndarray
    values: np.ndarray
    before: np.ndarray
    shown: np.ndarray
    far: np.ndarray
    cases: float
    goal: bool


def observed(trials: xr.Dataset, family: str, remedy: str = "") -> np.ndarray:
    """[N, T, ...] the observations of the intact run.

    Raises:
        MesascopeError: the observations were not stored.
    """
    if "observation" not in trials:
        raise MesascopeError(f"These trials of {family} do not contain observations.", remedy)
    observation = trials.observation
    return (observation.sel(condition="intact") if "condition" in observation.dims else observation).values
