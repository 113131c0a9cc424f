"""Do the subject's next choices follow a belief that is written into its carry?

This is the causal counterpart of decoding. A regression of the carry on the posterior means, fitted to one half of the
lifetimes, gives the pattern of activity that accompanies a belief (an encoding model; Haufe et al. 2014, NeuroImage
87:96). In the other half, before each trial in turn, the metric swaps the beliefs about the best choice and about
another one. It adds the pattern of that difference to the carry and records the response, and the lifetime continues
undisturbed. Then the halves are swapped. The controls add a step of the same length in a random direction, or towards
another lifetime's carry.

In shapes, N is the number of lifetimes, T of trials, K of choices, and U of units in the carry.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts import (
    DoesNotApply,
    Metric,
    Reading,
    make_metric,
    pad_readings,
    record_taps,
    select_fresh_trials,
)
from mesascope.errors import MesascopeError
from mesascope.questions.activations.decoding import Moments, join_taps
from mesascope.questions.procedures.histories import History, check_lifetimes, compute_beliefs, select_first_lifetimes


def metric(lifetimes: int = 64) -> Metric:
    """Do the subject's next choices follow a belief that is written into its carry?

    Args:
        lifetimes: the largest number of lifetimes to use.
    """
    check_lifetimes(lifetimes, minimum=6)

    def measure(trials, references, replay):
        rollout, history = select_first_lifetimes(select_fresh_trials(trials), lifetimes)
        if len(history.action) < 6 or history.trial_count < 3:
            size = f"{len(history.action)} lifetimes of {history.trial_count} trials"
            raise DoesNotApply(f"there are {size}, but editing needs 6 lifetimes of 3 trials")
        if not history.is_binary:
            raise DoesNotApply("beliefs are defined for pay-offs of 0 and 1 only")
        if "log_probs" not in rollout:
            raise DoesNotApply("it gives no probabilities to compare")
        activations_by_tap = record_taps(replay, rollout)
        x, y = join_taps(activations_by_tap), compute_beliefs(history)["posterior means"]
        new = (np.arange(len(x))[:, None] + np.arange(history.trial_count)) % history.choices  # the choice to make best
        spread, step = x.std((0, 1)), np.empty_like(x)
        for half in (0, 1):
            pattern = Moments(y[half::2], x[half::2]).fit_ridge()
            test_half = slice(1 - half, None, 2)
            step[test_half] = compute_belief_swap(y[test_half], new[test_half]) / pattern.scale @ pattern.weights
        rng = np.random.default_rng(int(rollout.attrs.get("seed") or 0))
        random_step = _scale_to_length(rng.normal(size=step.shape) * spread, step, spread)
        other_step = _scale_to_length(np.roll(x, 1 + len(x) // 3, 0) - x, step, spread)
        is_scored = history.shift_later(new != y.argmax(-1)) & history.is_present
        before = np.exp(np.asarray(replay("itself", rollout).log_probs, float))
        split, rises = str(rollout.attrs["split"]), []
        for edit in (step, random_step, other_step):
            after = _replay_with_edit(replay, rollout, activations_by_tap, edit)
            rise = np.take_along_axis(after - before, history.shift_later(new)[..., None], -1)[..., 0]
            rises.append(np.where(is_scored, rise, 0).sum(-1) / np.maximum(is_scored.sum(-1), 1))
        own_rise, random_rise, other_rise = rises
        rises_by_name = {
            "edited beliefs": own_rise,
            "random steps of the same length": random_rise,
            "steps of the same length towards another lifetime's carry": other_rise,
            "edited beliefs minus random steps": own_rise - random_rise,
            "edited beliefs minus steps towards another lifetime's carry": own_rise - other_rise,
        }
        return pad_readings(
            [Reading(rise, split, name) for name, rise in rises_by_name.items()], select_fresh_trials(trials)
        )

    question = "By how much does a choice become more probable if the carry is edited to rate that choice best?"
    return make_metric(question, measure, lifetimes=lifetimes)


def compute_belief_swap(beliefs: np.ndarray, new_best: np.ndarray) -> np.ndarray:
    """Computes the change [N, T, K] to the beliefs that swaps the largest one and the one about `new_best` [N, T]."""
    choices = np.arange(beliefs.shape[-1])
    is_new_best, best = new_best[..., None] == choices, beliefs.argmax(-1)[..., None] == choices
    gap = beliefs.max(-1, keepdims=True) - np.take_along_axis(beliefs, new_best[..., None], -1)
    return gap * (is_new_best.astype(float) - best)


def _scale_to_length(direction: np.ndarray, step: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Scales directions [N, T, U] to the length of the steps [N, T, U].

    Lengths are measured in the standard deviations of the units, `spread` [U].
    """
    scale = np.where(spread > 1e-6, spread, np.inf)
    length, own_length = (np.linalg.norm(v / scale, axis=-1, keepdims=True) for v in (step, direction))
    return direction * length / np.maximum(own_length, 1e-12)


def _replay_with_edit(
    replay: Any, trials: xr.Dataset, activations: Mapping[str, np.ndarray], step: np.ndarray
) -> np.ndarray:
    """Replays the lifetimes with a step added to the carry before each trial in turn.

    Returns:
        The subject's probabilities [N, T, K] on the trial that follows the step.
    """
    ends = np.cumsum([np.prod(value.shape[2:], dtype=int) for value in activations.values()])
    steps = zip(activations.items(), np.split(step, ends[:-1], -1), strict=True)
    # the carry before a trial is the carry after the previous trial
    push = {name: History.shift_later(part.reshape(value.shape)) for (name, value), part in steps}
    try:
        return np.exp(np.asarray(replay("itself", trials, added_activations=push).log_probs, float))
    except MesascopeError as error:
        raise DoesNotApply(f"{error.problem} {error.remedy}") from None
