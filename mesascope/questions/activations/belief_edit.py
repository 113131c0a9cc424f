"""Do its next choices follow a belief that is written into its carry?

This is the causal counterpart of decoding. A regression of the carry on the posterior means, fitted to one half of the
lifetimes, gives the pattern of activity that accompanies a belief (an encoding model; Haufe et al. 2014, NeuroImage
87:96). In the other half, before each trial in turn, the metric swaps the beliefs about the best choice and about
another one: it adds the pattern of that difference to the carry, the subject responds, and the lifetime continues
undisturbed. The controls are steps of the same length in a random direction, and towards another lifetime's carry.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Metric, Reading, fresh, pad_readings, taps
from mesascope.errors import MesascopeError
from mesascope.questions.activations.decoding import Moments, find_beliefs, first_lifetimes, join_taps
from mesascope.questions.procedures.histories import History


def metric(lifetimes: int = 64) -> Metric:
    """Do its next choices follow a belief that is written into its carry?

    Args:
        lifetimes: the largest number of lifetimes to use.
    """
    if lifetimes < 6:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 6.")

    def measure(trials, references, replay):
        rollout, history = first_lifetimes(fresh(trials), lifetimes)
        if len(history.action) < 6 or history.trials < 3:
            size = f"{len(history.action)} lifetimes of {history.trials} trials"
            raise DoesNotApply(f"there are {size}, but it needs 6 of 3")
        if not history.binary:
            raise DoesNotApply("beliefs are defined for pay-offs of 0 and 1 only")
        if "log_probs" not in rollout:
            raise DoesNotApply("it gives no probabilities to compare")
        activations_by_tap = taps(replay, rollout)
        x, y = join_taps(activations_by_tap), find_beliefs(history)["posterior means"]
        new = (np.arange(len(x))[:, None] + np.arange(history.trials)) % history.choices  # the choice to make best
        spread, step = x.std((0, 1)), np.empty_like(x)
        for half in (0, 1):
            pattern = Moments(y[half::2], x[half::2]).ridge()
            test_half = slice(1 - half, None, 2)
            step[test_half] = exchange_beliefs(y[test_half], new[test_half]) / pattern.scale @ pattern.weights
        rng = np.random.default_rng(int(rollout.attrs.get("seed") or 0))
        random_step = _match_length(rng.normal(size=step.shape) * spread, step, spread)
        other_step = _match_length(np.roll(x, 1 + len(x) // 3, 0) - x, step, spread)
        is_scored = history.shift_later(new != y.argmax(-1)) & history.is_present
        before = np.exp(np.asarray(replay("itself", rollout).log_probs, float))
        split, rises = str(rollout.attrs["split"]), []
        for edit in (step, random_step, other_step):
            after = _respond_after_edit(replay, rollout, activations_by_tap, edit)
            rise = np.take_along_axis(after - before, history.shift_later(new)[..., None], -1)[..., 0]
            rises.append(np.where(is_scored, rise, 0).sum(-1) / np.maximum(is_scored.sum(-1), 1))
        own_rise, random, towards = rises
        rises_by_name = {
            "edited beliefs": own_rise,
            "random steps of the same length": random,
            "steps of the same length towards another lifetime's carry": towards,
            "edited beliefs minus random steps": own_rise - random,
            "edited beliefs minus steps towards another lifetime's carry": own_rise - towards,
        }
        return pad_readings([Reading(rise, split, name) for name, rise in rises_by_name.items()], fresh(trials))

    return Metric(
        name="belief_edit",
        question="By how much does a choice become more probable if its carry is edited to rate that choice best?",
        measure=measure,
        settings={"lifetimes": lifetimes},
    )


def exchange_beliefs(y: np.ndarray, new_best: np.ndarray) -> np.ndarray:
    """The change to beliefs [N, T, K] that swaps the largest one and the one about the choice `new_best` [N, T]."""
    choices = np.arange(y.shape[-1])
    is_new_best, best = new_best[..., None] == choices, y.argmax(-1)[..., None] == choices
    gap = y.max(-1, keepdims=True) - np.take_along_axis(y, new_best[..., None], -1)
    return gap * (is_new_best.astype(float) - best)


def _match_length(direction: np.ndarray, step: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Scales directions to the length of the steps. Lengths are in standard deviations of the units."""
    scale = np.where(spread > 1e-6, spread, np.inf)
    length, own_length = (np.linalg.norm(v / scale, axis=-1, keepdims=True) for v in (step, direction))
    return direction * length / np.maximum(own_length, 1e-12)


def _respond_after_edit(
    replay: Any, trials: xr.Dataset, activations: Mapping[str, np.ndarray], step: np.ndarray
) -> np.ndarray:
    """[N, T, K] The subject's probabilities on each trial, given that the step is added to the carry before it."""
    push, start = {}, 0
    for name, value in activations.items():
        width = int(np.prod(value.shape[2:]))
        part = step[..., start : start + width].reshape(value.shape)
        push[name] = History.shift_later(part)  # the carry after the previous trial
        start += width
    try:
        return np.exp(np.asarray(replay("itself", trials, push=push).log_probs, float))
    except MesascopeError as error:
        raise DoesNotApply(f"{error.problem} {error.remedy}") from None
