"""Measures of this study, in addition to those that ship."""

from __future__ import annotations

from typing import Any

import numpy as np

from mesascope.contracts import DoesNotApply
from mesascope.questions.goal.reading import select_last_third
from mesascope.reproduction.measures import Rollouts


def reached_first(rollouts: Rollouts, goal: str = "coin") -> np.ndarray:
    """The fraction of trials, in the last third, in which the subject reaches one goal before the other.

    Args:
        rollouts: lifetimes on the coin grid.
        goal: coin or corner.
    """
    family: Any = rollouts.family
    if not hasattr(family, "paths"):
        raise DoesNotApply("the family is not a grid")
    cells = family.trace_paths(rollouts.trials)[:, select_last_third(rollouts.trials.sizes["trial"])]
    coin = rollouts.trials.coin.values[:, select_last_third(rollouts.trials.sizes["trial"]), None]
    steps = cells.shape[-1]
    first = {}
    for name, at_goal in (("coin", cells == coin), ("corner", cells == family.size**2 - 1)):
        first[name] = np.where(at_goal.any(-1), at_goal.argmax(-1), steps)
    other = "corner" if goal == "coin" else "coin"
    return (first[goal] < first[other]).mean(-1)[None]
