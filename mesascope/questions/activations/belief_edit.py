"""Do its next choices follow a belief that is written into its carry?

The causal counterpart of decoding. On one half of the lifetimes the carry is regressed on the posterior means, which
gives the pattern of activity that goes with a belief (an encoding model; Haufe et al. 2014, NeuroImage 87:96). In the
other half, before every trial in turn, the beliefs of the best choice and of another are exchanged: the carry is moved
by the pattern of that difference, the subject responds, and the life goes on as it was. Controls: steps of the same
length in a random direction, and towards another lifetime's carry.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Metric, Reading, fresh, pad_readings, taps
from mesascope.errors import MesascopeError
from mesascope.questions.activations.decoding import Moments, activations, beliefs, first_lifetimes
from mesascope.questions.procedures.histories import History


def metric(lifetimes: int = 64) -> Metric:
    """Do its next choices follow a belief that is written into its carry?

    Args:
        lifetimes: at most how many are used.
    """
    if lifetimes < 6:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 6.")

    def measure(trials, references, replay):
        lived, seen = first_lifetimes(fresh(trials), lifetimes)
        if len(seen.action) < 6 or seen.trials < 3:
            size = f"{len(seen.action)} lifetimes of {seen.trials} trials"
            raise DoesNotApply(f"there are {size}, it takes 6 of 3")
        if not seen.binary:
            raise DoesNotApply("beliefs are those about pay-offs of 0 and 1")
        if "log_probs" not in lived:
            raise DoesNotApply("it gives no probabilities to compare")
        shown = taps(replay, lived)
        x, y = activations(shown), beliefs(seen)["posterior means"]
        new = (np.arange(len(x))[:, None] + np.arange(seen.trials)) % seen.choices  # who is to be best
        spread, step = x.std((0, 1)), np.empty_like(x)
        for half in (0, 1):
            pattern = Moments(y[half::2], x[half::2]).ridge()
            rest = slice(1 - half, None, 2)
            step[rest] = exchange_beliefs(y[rest], new[rest]) / pattern.scale @ pattern.weights
        rng = np.random.default_rng(int(lived.attrs.get("seed") or 0))
        aside = _as_long(rng.normal(size=step.shape) * spread, step, spread)
        other = _as_long(np.roll(x, 1 + len(x) // 3, 0) - x, step, spread)
        asked = seen.before(new != y.argmax(-1)) & seen.known
        before = np.exp(np.asarray(replay("itself", lived).log_probs, float))
        split, rises = str(lived.attrs["split"]), []
        for moved in (step, aside, other):
            after = _edited(replay, lived, shown, moved)
            rise = np.take_along_axis(after - before, seen.before(new)[..., None], -1)[..., 0]
            rises.append(np.where(asked, rise, 0).sum(-1) / np.maximum(asked.sum(-1), 1))
        own, random, towards = rises
        named = {
            "beliefs exchanged": own,
            "random steps of the same length": random,
            "steps of the same length towards another lifetime's carry": towards,
            "beliefs exchanged, less random steps": own - random,
            "beliefs exchanged, less steps towards another lifetime's carry": own - towards,
        }
        return pad_readings([Reading(rise, split, name) for name, rise in named.items()], fresh(trials))

    return Metric(
        name="belief_edit",
        question="By how much does the probability of a choice rise when its carry is made to hold it for the best?",
        measure=measure,
        settings={"lifetimes": lifetimes},
    )


def exchange_beliefs(y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """What is added to beliefs [N, T, K] so that the largest and that of the choice `new` [N, T] change places."""
    choices = np.arange(y.shape[-1])
    mine, best = new[..., None] == choices, y.argmax(-1)[..., None] == choices
    gap = y.max(-1, keepdims=True) - np.take_along_axis(y, new[..., None], -1)
    return gap * (mine.astype(float) - best)


def _as_long(direction: np.ndarray, step: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The same directions, as long as the steps in standard deviations of the units."""
    scale = np.where(spread > 1e-6, spread, np.inf)
    length, own = (np.linalg.norm(v / scale, axis=-1, keepdims=True) for v in (step, direction))
    return direction * length / np.maximum(own, 1e-12)


def _edited(replay: Any, lived: xr.Dataset, shown: Mapping[str, np.ndarray], step: np.ndarray) -> np.ndarray:
    """[N, T, K] probabilities at every trial after the carry that it came with was moved."""
    push, start = {}, 0
    for name, value in shown.items():
        width = int(np.prod(value.shape[2:]))
        part = step[..., start : start + width].reshape(value.shape)
        push[name] = History.before(part)  # the carry left by the trial before
        start += width
    try:
        return np.exp(np.asarray(replay("itself", lived, push=push).log_probs, float))
    except MesascopeError as error:
        raise DoesNotApply(f"{error.problem} {error.remedy}") from None
