"""Splits: the distributions of tasks on which a family tests subjects."""

import dataclasses
from collections.abc import Callable
from typing import Any

SEEN, FRESH = "seen", "fresh"


DrawTasks = Callable[[Any, int], Any]  # draws n tasks with a JAX key: a pytree whose leaves have leading axis n


@dataclasses.dataclass(frozen=True)
class Split:
    """One distribution of tasks on which subjects are tested.

    Attributes:
        name: a kind, such as 'fresh', or a kind with a variant, such as 'shifted:low'.
        draw: the function that draws its tasks.
        trial_count: T, the number of trials in a lifetime.
        change_trial: the trial at which the task changes within the lifetime; None if the task does not change.
        is_counted: whether the placement uses the split; other splits are only reported.
        is_beyond_banks: whether no bank could contain its tasks, so that a gain from feedback on them means acquiring.
        part_count: the number of independent parts of a task, each with its own correct action; 0 if tasks have no
            parts. The latents 'part' and 'right' contain the part that occurs on each trial, and its correct action.
            The bits of information that actions contain about independent parts add up.
        digit_bases: the bases of the digits of each part's best first action, such as the row and column of a cell; ()
            if there are no digits. Digits must be independent and evenly distributed. Bits are then computed from
            transplants, digit by digit.
        is_drifting: whether the task changes gradually within the lifetime.
    """

    name: str
    draw: DrawTasks
    trial_count: int
    change_trial: int | None = None
    is_counted: bool = True
    is_beyond_banks: bool = False
    part_count: int = 0
    is_drifting: bool = False
    digit_bases: tuple[int, ...] = ()

    @property
    def is_changing(self) -> bool:
        """Whether the task changes within the lifetime, at one trial or gradually."""
        return self.is_drifting or self.change_trial is not None

    @property
    def kind(self) -> str:
        """The kind: 'seen', 'fresh', 'shifted', 'exchanged', 'restructured', or another one, which is never counted."""
        return get_split_kind(self.name)


def get_split_kind(name: str) -> str:
    """Returns the kind of a split from its name: 'shifted:low' is of kind 'shifted'."""
    return name.partition(":")[0]
