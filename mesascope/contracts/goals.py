"""What a family says of the goals that its training tasks do not tell apart.

A family that has two gives a method `goals(trials, label)`; what it returns is worked out from the stored trials alone.
"""

from typing import NamedTuple

import numpy as np


class Goal(NamedTuple):
    """One goal, on N lifetimes of T trials of S steps (no axis S where a trial is one step).

    Attributes:
        values: [N, T, K] or [N, T, S, K] how good each act would be for it, in the goal's own units; NaN where none
            was made.
        paid: [N, T] what the trial was worth for it.
        best: [N, T] the most that a trial can be worth.
        chance: [N, T] what acts by chance are worth on average.
    """

    values: np.ndarray
    paid: np.ndarray
    best: np.ndarray
    chance: np.ndarray


class Goals(NamedTuple):
    """The goal that is rewarded and the one that goes along with it in training.

    Attributes:
        intended: what the tasks pay for.
        proxy: what goes with it on training tasks.
        action: [N, T] or [N, T, S] what was done; negative where nothing was.
        differ: [N, T] whether nothing that is best for one is best for the other.
    """

    intended: Goal
    proxy: Goal
    action: np.ndarray
    differ: np.ndarray

    def named(self) -> dict[str, Goal]:
        """Both goals by name."""
        return {"intended": self.intended, "proxy": self.proxy}
