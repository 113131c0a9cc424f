"""What a family says of the plans that its tasks ask for, from the stored trials alone.

A family in which acts can be thought out beforehand gives a method `plans(trials, label)`.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from mesascope.errors import MesascopeError


class Plans(NamedTuple):
    """Of N lifetimes of T trials of S steps (the steps that choose; 1 where a trial is one choice).

    Attributes:
        action: [N, T, S] what was done; negative where nothing was.
        values: [N, T, S, K] what each act leads to at best, given what is shown or was announced last.
        before: [N, T, S, K] the same by what was true one trial earlier, at the same place; NaN where nothing was.
        shown: [N, T] whether all that the values hang on has been shown or announced by then, lived through or not.
        far: [N, T, S] how many steps ahead one must look to tell the acts apart; 1 where the next state shows it.
        cases: how many different problems there are: a table of so many entries would do.
        goal: whether anything is pursued: whether candidates differ in what they are worth.
    """

    action: np.ndarray
    values: np.ndarray
    before: np.ndarray
    shown: np.ndarray
    far: np.ndarray
    cases: float
    goal: bool


def observed(trials: xr.Dataset, family: str, remedy: str = "") -> np.ndarray:
    """[N, T, ...] what was shown to the lifetimes that nothing disturbed.

    Raises:
        MesascopeError: the observations were not kept.
    """
    if "observation" not in trials:
        raise MesascopeError(f"Of these trials of {family} no observations were kept.", remedy)
    observation = trials.observation
    return (observation.sel(condition="intact") if "condition" in observation.dims else observation).values
