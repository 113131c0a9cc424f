"""Recorded lifetimes in the form in which reference procedures use them, for the metrics that fit procedures.

In shapes, N is the number of lifetimes, T of trials, and K of choices.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from scipy.signal import lfilter

from mesascope.contracts import require_choices
from mesascope.errors import MesascopeError
from mesascope.trials import find_forced_trials

F = TypeVar("F", bound=Callable[..., Any])


def cache_in_history(function: F) -> F:
    """Wraps a function of a history and settings so that its results are cached in the history."""

    @functools.wraps(function)
    def compute_once(history: History, *settings: Any, **named: Any) -> Any:
        key = (function, *settings, *named.items())
        if key not in history.cached_results:
            history.cached_results[key] = function(history, *settings, **named)
        return history.cached_results[key]

    return compute_once  # pyright: ignore[reportReturnType]


def sum_with_decay(values: np.ndarray, decay: float) -> np.ndarray:
    """Computes running sums [N, T, …] over trials; before each addition, the sum so far is multiplied by `decay`."""
    return np.asarray(lfilter([1.0], [1.0, -decay], values, axis=1), np.float32)


@dataclasses.dataclass(frozen=True)
class History:
    """Actions and pay-offs of N lifetimes of T trials.

    Attributes:
        action: [N, T] the action; -1 if the trial is missing.
        payoff: [N, T] the feedback scaled to [0, 1]; 0 if it is missing.
        choices: K, the number of choices.
        lifetime_indices: [N] the indices of the lifetimes in the data set.
        thinning: slow procedures predict one trial in `thinning`; 1 for all trials.
        is_forced: [N, T] whether the choice was forced; None if no choice was. Procedures use the feedback for a forced
            choice, but need not predict the choice.
        cached_results: the results cached by `cache_in_history`.
    """

    action: np.ndarray
    payoff: np.ndarray
    choices: int
    lifetime_indices: np.ndarray
    thinning: int = 1
    is_forced: np.ndarray | None = None
    cached_results: dict[Any, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def select_lifetimes(self, rows: np.ndarray, thinning: int = 1) -> History:
        """Selects the history of the lifetimes with the indices `rows` in this history; `thinning` is not inherited."""
        action, payoff, indices = self.action[rows], self.payoff[rows], self.lifetime_indices[rows]
        is_forced = None if self.is_forced is None else self.is_forced[rows]
        return History(action, payoff, self.choices, indices, thinning, is_forced)

    @property
    def trial_count(self) -> int:
        """T, the number of trials."""
        return self.action.shape[1]

    @functools.cached_property
    def is_present(self) -> np.ndarray:
        """[N, T] whether the trial took place and its choice was not forced."""
        took_place = self.action >= 0
        return took_place if self.is_forced is None else took_place & ~self.is_forced

    @functools.cached_property
    def is_binary(self) -> bool:
        """Whether every pay-off, scaled to [0, 1], is 0 or 1."""
        return bool(np.isin(self.payoff, (0.0, 1.0)).all())

    @functools.cached_property
    def choice_made(self) -> np.ndarray:
        """[N, T, K] one for the choice made on each trial, zero for the other choices."""
        return (self.action[..., None] == np.arange(self.choices)).astype(np.float32)

    @functools.cached_property
    def is_predicted(self) -> np.ndarray:
        """[N, T] whether slow procedures predict the trial; they predict one trial in `thinning`."""
        place = np.arange(len(self.action))[:, None] + np.arange(self.trial_count)
        return self.is_present & (place % self.thinning == 0)

    @staticmethod
    def shift_later(values: np.ndarray) -> np.ndarray:
        """Shifts values [N, T, …] by one trial: each trial gets the previous trial's value, and the first trial 0."""
        return np.concatenate([np.zeros_like(values[:, :1]), values[:, :-1]], 1)

    @functools.cached_property
    def last_choice(self) -> np.ndarray:
        """[N, T, K] one for the choice on the previous trial, zero for the others; all zero on the first trial."""
        return self.shift_later(self.choice_made)

    @functools.cached_property
    def is_last_win(self) -> np.ndarray:
        """[N, T] whether the pay-off of the previous trial, scaled to [0, 1], was above one half."""
        return self.shift_later(self.payoff) > 0.5

    @functools.cached_property
    def last_outcome(self) -> np.ndarray:
        """[N, T, K, 2] the wins and losses (last axis) that the previous trial added to the counts of each choice.

        A pay-off p between 0 and 1 counts as p wins and 1 - p losses.
        """
        payoff = self.shift_later(self.payoff)[..., None]
        return np.stack([self.last_choice * payoff, self.last_choice * (1 - payoff)], -1)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """[N, T, K, 2] the counts of wins and losses (last axis) of each choice before each trial."""
        return self.last_outcome.cumsum(1)

    @cache_in_history
    def compute_decayed_counts(self, discount: float) -> np.ndarray:
        """Computes counts [N, T, K, 2] that are multiplied by the discount before each new outcome is added."""
        return self.counts if discount == 1 else sum_with_decay(self.last_outcome, discount)

    @functools.cached_property
    def trial_index(self) -> np.ndarray:
        """[1, T, 1] the index of each trial, from 0."""
        return np.arange(self.trial_count, dtype=np.float32)[None, :, None]

    def compute_early_means(self, trial_count: int) -> np.ndarray:
        """Computes posterior means [N, T, K] under a Beta(1, 1) prior, from the first `trial_count` trials at most."""
        counts = self.counts[:, np.minimum(np.arange(self.trial_count), trial_count)]
        return (counts[..., 0] + 1) / (counts.sum(-1) + 2)

    def compute_posterior_means(self, a: float = 1.0, b: float = 1.0) -> np.ndarray:
        """Computes the posterior means [N, T, K] before each trial under a Beta(a, b) prior."""
        return (self.counts[..., 0] + a) / (self.counts.sum(-1) + a + b)


def read_history(trials: xr.Dataset, lifetime_count: int | None = None) -> History:
    """Reads the history of the first `lifetime_count` intact lifetimes (None: of all).

    If any feedback lies outside [0, 1], all feedback is rescaled to this range.

    Raises:
        DoesNotApply: the actions are real numbers.
    """
    require_choices(trials)
    intact = trials.sel(condition="intact")
    action = intact.action.values[:lifetime_count].astype(np.int64)
    feedback = intact.feedback.values[:lifetime_count].astype(np.float32)
    finite = feedback[np.isfinite(feedback)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    if low < 0 or high > 1:
        feedback = (feedback - low) / max(high - low, 1e-9)
    payoff = np.where((action >= 0) & np.isfinite(feedback), feedback, 0.0).astype(np.float32)
    is_forced = find_forced_trials(trials)[:lifetime_count] if "forced" in trials else None
    return History(action, payoff, count_choices(trials), np.arange(len(action)), is_forced=is_forced)


def select_first_lifetimes(trials: xr.Dataset, lifetime_count: int) -> tuple[xr.Dataset, History]:
    """Selects the first `lifetime_count` intact lifetimes of a split, as trials and as a history."""
    intact = trials.isel(lifetime=slice(lifetime_count)).sel(condition=["intact"])
    return intact, read_history(intact)


def compute_beliefs(history: History) -> dict[str, np.ndarray]:
    """Computes beliefs [N, T, K] about every choice before each trial, under a Beta(1, 1) prior.

    They are the posterior mean, the posterior standard deviation, and how often the choice was made.
    """
    pulls, means = history.counts.sum(-1), history.compute_posterior_means()
    spread = np.sqrt(means * (1 - means) / (pulls + 3))
    return {"posterior means": means, "posterior standard deviations": spread, "counts": pulls}


def check_lifetimes(lifetimes: int, minimum: int) -> None:
    """Raises `MesascopeError` if a metric's setting `lifetimes` is below `minimum`, which the metric needs."""
    if lifetimes < minimum:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", f"Give a whole number from {minimum}.")


def count_choices(trials: xr.Dataset) -> int:
    """Counts the choices K: the stated number, but at least 2 and at least the largest action plus 1."""
    count = trials.attrs.get("choices") or trials.sizes.get("choice") or trials.sizes.get("arm")
    return max(int(count or 0), int(trials.action.max()) + 1, 2)
