"""What this study measures beside the measures that ship."""

from __future__ import annotations

from typing import Any

import numpy as np

from mesascope.contracts.metric import DoesNotApply
from mesascope.questions.goal.reading import last_third
from mesascope.reproduction.measures import Rollouts


def reached_first(lived: Rollouts, goal: str = "coin") -> np.ndarray:
    """Part of the trials of the last third in which the coin (or the corner) is the first of the two to be stood on.

    Args:
        lived: the lifetimes, on the coin grid.
        goal: coin or corner.
    """
    family: Any = lived.family
    if not hasattr(family, "paths"):
        raise DoesNotApply("it is no grid")
    cells = family.paths(lived.trials)[:, last_third(lived.trials.sizes["trial"])]
    coin = lived.trials.coin.values[:, last_third(lived.trials.sizes["trial"]), None]
    steps = cells.shape[-1]
    first = {}
    for name, there in (("coin", cells == coin), ("corner", cells == family.size**2 - 1)):
        first[name] = np.where(there.any(-1), there.argmax(-1), steps)
    other = "corner" if goal == "coin" else "coin"
    return (first[goal] < first[other]).mean(-1)[None]
