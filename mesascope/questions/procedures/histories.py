"""Recorded lifetimes as a procedure observes them before each trial, for the metrics that fit procedures."""

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
    """Wraps a function of a history and settings, so that its results are cached in the history."""

    @functools.wraps(function)
    def cached(history: History, *settings: Any, **named: Any) -> Any:
        key = (function, *settings, *named.items())
        if key not in history.memo:
            history.memo[key] = function(history, *settings, **named)
        return history.memo[key]

    return cached  # pyright: ignore[reportReturnType]


def decayed_sums(x: np.ndarray, keep: float) -> np.ndarray:
    """[N, T, …] Sums over the trials so far; each trial first multiplies the previous sum by `keep`."""
    return np.asarray(lfilter([1.0], [1.0, -keep], x, axis=1), np.float32)


@dataclasses.dataclass(frozen=True)
class History:
    """Actions and pay-offs of N lifetimes of T trials.

    Attributes:
        action: [N, T] the action; -1 if the trial is missing.
        paid: [N, T] the feedback scaled to [0, 1]; 0 if it is missing.
        choices: K, the number of choices.
        every: slow procedures predict only every `every`-th trial; 1 for all trials.
        lifetimes: [N] the indices of the lifetimes in the data set.
        memo: the cached results (see `memoise`).
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
        """The same history, except that slow procedures predict only a quarter as many trials."""
        return self.take(np.arange(len(self.action)), 4 * self.every)

    @property
    def trials(self) -> int:
        """T, the number of trials."""
        return self.action.shape[1]

    @functools.cached_property
    def present(self) -> np.ndarray:
        """[N, T] Whether the trial is present."""
        return self.action >= 0

    @functools.cached_property
    def binary(self) -> bool:
        """Whether every pay-off is 0 or 1."""
        return bool(np.isin(self.paid, (0.0, 1.0)).all())

    @functools.cached_property
    def chosen(self) -> np.ndarray:
        """[N, T, K] One for the choice made, zero for the others."""
        return (self.action[..., None] == np.arange(self.choices)).astype(np.float32)

    @functools.cached_property
    def answered(self) -> np.ndarray:
        """[N, T] Whether slow procedures predict the trial."""
        rows = np.arange(len(self.action))[:, None] + np.arange(self.trials)
        return self.present & (rows % self.every == 0)

    @staticmethod
    def before(x: np.ndarray) -> np.ndarray:
        """Shifts values [N, T, …] one trial later, so each trial has the value of the previous one; the first has 0."""
        return np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], 1)

    @functools.cached_property
    def last(self) -> np.ndarray:
        """[N, T, K] One for the previous choice, zero for the others; all zero on the first trial."""
        return self.before(self.chosen)

    @functools.cached_property
    def won(self) -> np.ndarray:
        """[N, T] Whether the previous trial paid more than one half."""
        return self.before(self.paid) > 0.5

    @functools.cached_property
    def outcomes(self) -> np.ndarray:
        """[N, T, K, 2] What the previous trial added to the counts of wins and losses."""
        paid = self.before(self.paid)[..., None]
        return np.stack([self.last * paid, self.last * (1 - paid)], -1)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """[N, T, K, 2] The counts of wins and losses so far."""
        return self.outcomes.cumsum(1)

    @memoise
    def decayed_counts(self, discount: float) -> np.ndarray:
        """[N, T, K, 2] The counts of wins and losses so far, multiplied by the discount before each new outcome."""
        return self.counts if discount == 1 else decayed_sums(self.outcomes, discount)

    def means(self, a: float = 1.0, b: float = 1.0) -> np.ndarray:
        """[N, T, K] The posterior means under Beta(a, b)."""
        return (self.counts[..., 0] + a) / (self.counts.sum(-1) + a + b)


def history(trials: xr.Dataset, label: str = "intact", lifetimes: int | None = None) -> History:
    """The history of the first lifetimes of a data set; feedback outside [0, 1] is rescaled to [0, 1].

    Raises:
        DoesNotApply: the actions are real numbers.
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
    """K, the number of choices, which the data set states or its largest action implies."""
    count = trials.attrs.get("choices") or trials.sizes.get("choice") or trials.sizes.get("arm")
    return max(int(count or 0), int(trials.action.max()) + 1, 2)
