"""Recorded lifetimes as a procedure sees them before each trial: shared by the metrics that fit procedures."""

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


def memoise(made: F) -> F:
    """The same function of a history and settings; what it gives is kept with the history."""

    @functools.wraps(made)
    def kept(history: History, *settings: Any, **named: Any) -> Any:
        key = (made, *settings, *named.items())
        if key not in history.memo:
            history.memo[key] = made(history, *settings, **named)
        return history.memo[key]

    return kept  # pyright: ignore[reportReturnType]


def decayed_sums(x: np.ndarray, keep: float) -> np.ndarray:
    """[N, T, …] sums over the trials so far, of which a part `keep` is left at every trial."""
    return np.asarray(lfilter([1.0], [1.0, -keep], x, axis=1), np.float32)


@dataclasses.dataclass(frozen=True)
class History:
    """What was done and paid in N lifetimes of T trials.

    Attributes:
        action: [N, T], -1 where a trial is missing.
        paid: [N, T] feedback scaled to [0, 1], 0 where missing.
        choices: K.
        every: slow procedures answer only each `every`-th trial; 1 for all.
        lifetimes: [N] their places in the data set.
        memo: what was computed before (see `once`).
    """

    action: np.ndarray
    paid: np.ndarray
    choices: int
    lifetimes: np.ndarray
    every: int = 1
    memo: dict[Any, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def take(self, rows: np.ndarray, every: int = 1) -> History:
        """Some of the lifetimes."""
        return History(self.action[rows], self.paid[rows], self.choices, self.lifetimes[rows], every)

    @functools.cached_property
    def coarse(self) -> History:
        """The same with a fourth of the trials asked."""
        return self.take(np.arange(len(self.action)), 4 * self.every)

    @property
    def trials(self) -> int:
        """T."""
        return self.action.shape[1]

    @functools.cached_property
    def known(self) -> np.ndarray:
        """[N, T] whether the trial is there."""
        return self.action >= 0

    @functools.cached_property
    def binary(self) -> bool:
        """Whether every pay-off is 0 or 1."""
        return bool(np.isin(self.paid, (0.0, 1.0)).all())

    @functools.cached_property
    def chosen(self) -> np.ndarray:
        """[N, T, K] one where the choice was taken."""
        return (self.action[..., None] == np.arange(self.choices)).astype(np.float32)

    @functools.cached_property
    def asked(self) -> np.ndarray:
        """[N, T] the trials that slow procedures answer."""
        rows = np.arange(len(self.action))[:, None] + np.arange(self.trials)
        return self.known & (rows % self.every == 0)

    @staticmethod
    def before(x: np.ndarray) -> np.ndarray:
        """The same one trial later, zeros first."""
        return np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], 1)

    @functools.cached_property
    def last(self) -> np.ndarray:
        """[N, T, K] one at the choice of the trial before; all zero at the first."""
        return self.before(self.chosen)

    @functools.cached_property
    def won(self) -> np.ndarray:
        """[N, T] whether the trial before paid more than half."""
        return self.before(self.paid) > 0.5

    @functools.cached_property
    def outcomes(self) -> np.ndarray:
        """[N, T, K, 2] what the trial before added to the counts of wins and losses."""
        paid = self.before(self.paid)[..., None]
        return np.stack([self.last * paid, self.last * (1 - paid)], -1)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """[N, T, K, 2] wins and losses so far."""
        return self.outcomes.cumsum(1)

    @memoise
    def faded(self, discount: float) -> np.ndarray:
        """[N, T, K, 2] wins and losses so far, all decayed by the discount before each outcome."""
        return self.counts if discount == 1 else decayed_sums(self.outcomes, discount)

    def means(self, a: float = 1.0, b: float = 1.0) -> np.ndarray:
        """[N, T, K] posterior means under Beta(a, b)."""
        return (self.counts[..., 0] + a) / (self.counts.sum(-1) + a + b)


def history(trials: xr.Dataset, label: str = "intact", lifetimes: int | None = None) -> History:
    """The first lifetimes of a data set; feedback outside of [0, 1] is scaled to its range.

    Raises:
        DoesNotApply: actions are real numbers.
    """
    require_choices(trials)
    lived = trials.sel(condition=label)
    action = lived.action.values[:lifetimes].astype(np.int64)
    feedback = lived.feedback.values[:lifetimes].astype(np.float32)
    seen = feedback[np.isfinite(feedback)]
    low, high = (seen.min(), seen.max()) if len(seen) else (0.0, 1.0)
    if low < 0 or high > 1:
        feedback = (feedback - low) / max(high - low, 1e-9)
    paid = np.where((action >= 0) & np.isfinite(feedback), feedback, 0.0).astype(np.float32)
    return History(action, paid, choices(trials), np.arange(len(action)))


def choices(trials: xr.Dataset) -> int:
    """K: as the data set says, else the largest action that occurs."""
    told = trials.attrs.get("choices") or trials.sizes.get("choice") or trials.sizes.get("arm")
    return max(int(told or 0), int(trials.action.max()) + 1, 2)
