"""Recorded lifetimes as a procedure observes them before each trial; the metrics that fit procedures share them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from scipy.signal import lfilter

from mesascope.contracts.metric import require_choices

F = TypeVar("F", bound=Callable[..., Any])


def memoise(function: F) -> F:
    """The function of a history and settings, with its results cached in the history."""

    @functools.wraps(function)
    def cached(history: History, *settings: Any, **named: Any) -> Any:
        key = (function, *settings, *named.items())
        if key not in history.memo:
            history.memo[key] = function(history, *settings, **named)
        return history.memo[key]

    return cached  # pyright: ignore[reportReturnType]


def decayed_sums(x: np.ndarray, keep: float) -> np.ndarray:
    """[N, T, …] sums over the trials so far, multiplied by `keep` at every trial."""
    return np.asarray(lfilter([1.0], [1.0, -keep], x, axis=1), np.float32)


@dataclasses.dataclass(frozen=True)
class History:
    """Actions and pay-offs of N lifetimes of T trials.

    Attributes:
        action: [N, T], -1 where a trial is missing.
        paid: [N, T] feedback scaled to [0, 1], 0 where missing.
        choices: K.
        every: slow procedures predict only each `every`-th trial; 1 for all.
        lifetimes: [N] their indices in the data set.
        memo: cached results (see `memoise`).
    """

    action: np.ndarray
    paid: np.ndarray
    choices: int
    lifetimes: np.ndarray
    every: int = 1
    memo: dict[Any, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def take(self, rows: np.ndarray, every: int = 1) -> History:
        """The history of the given lifetimes."""
        return History(self.action[rows], self.paid[rows], self.choices, self.lifetimes[rows], every)

    @functools.cached_property
    def coarse(self) -> History:
        """The same history with a fourth of the trials answered by slow procedures."""
        return self.take(np.arange(len(self.action)), 4 * self.every)

    @property
    def trials(self) -> int:
        """T, the number of trials."""
        return self.action.shape[1]

    @functools.cached_property
    def present(self) -> np.ndarray:
        """[N, T] whether the trial is present."""
        return self.action >= 0

    @functools.cached_property
    def binary(self) -> bool:
        """Whether every pay-off is 0 or 1."""
        return bool(np.isin(self.paid, (0.0, 1.0)).all())

    @functools.cached_property
    def chosen(self) -> np.ndarray:
        """[N, T, K] one at the choice made, else zero."""
        return (self.action[..., None] == np.arange(self.choices)).astype(np.float32)

    @functools.cached_property
    def answered(self) -> np.ndarray:
        """[N, T] whether slow procedures predict the trial."""
        rows = np.arange(len(self.action))[:, None] + np.arange(self.trials)
        return self.present & (rows % self.every == 0)

    @staticmethod
    def before(x: np.ndarray) -> np.ndarray:
        """The values [N, T, …] shifted one trial later, with zeros at the first."""
        return np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], 1)

    @functools.cached_property
    def last(self) -> np.ndarray:
        """[N, T, K] one at the previous choice; all zero at the first trial."""
        return self.before(self.chosen)

    @functools.cached_property
    def won(self) -> np.ndarray:
        """[N, T] whether the previous trial paid more than one half."""
        return self.before(self.paid) > 0.5

    @functools.cached_property
    def outcomes(self) -> np.ndarray:
        """[N, T, K, 2] what the previous trial added to the counts of wins and losses."""
        paid = self.before(self.paid)[..., None]
        return np.stack([self.last * paid, self.last * (1 - paid)], -1)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """[N, T, K, 2] wins and losses so far."""
        return self.outcomes.cumsum(1)

    @memoise
    def decayed_counts(self, discount: float) -> np.ndarray:
        """[N, T, K, 2] wins and losses so far, multiplied by the discount before each new outcome."""
        return self.counts if discount == 1 else decayed_sums(self.outcomes, discount)

    def means(self, a: float = 1.0, b: float = 1.0) -> np.ndarray:
        """[N, T, K] posterior means under Beta(a, b)."""
        return (self.counts[..., 0] + a) / (self.counts.sum(-1) + a + b)


def history(trials: xr.Dataset, label: str = "intact", lifetimes: int | None = None) -> History:
    """The history of the first lifetimes of a data set; feedback outside [0, 1] is rescaled to [0, 1].

    Raises:
        DoesNotApply: actions are real numbers.
    """
    require_choices(trials)
    intact = trials.sel(condition=label)
    action = intact.action.values[:lifetimes].astype(np.int64)
    feedback = intact.feedback.values[:lifetimes].astype(np.float32)
    finite = feedback[np.isfinite(feedback)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    if low < 0 or high > 1:
        feedback = (feedback - low) / max(high - low, 1e-9)
    paid = np.where((action >= 0) & np.isfinite(feedback), feedback, 0.0).astype(np.float32)
    return History(action, paid, choices(trials), np.arange(len(action)))


def choices(trials: xr.Dataset) -> int:
    """K: as the data set says, else from the largest action that occurs."""
    count = trials.attrs.get("choices") or trials.sizes.get("choice") or trials.sizes.get("arm")
    return max(int(count or 0), int(trials.action.max()) + 1, 2)
