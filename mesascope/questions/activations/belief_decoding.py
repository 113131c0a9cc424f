"""Does its carry hold what it should believe of each choice, beyond what comes for nothing?

Posterior means, posterior standard deviations and counts are read out of the carry at every trial by ridge regression,
fitted to other lifetimes (five folds). A number alone says nothing: a random recurrent network echoes its inputs, and
counts grow with time. So the same is asked of an untrained network of the same shape on the same inputs, of the trial
index alone, and of the carry with the lifetimes' beliefs exchanged.
"""

from typing import Any

import numpy as np

from mesascope.contracts.metric import DoesNotApply, Metric, Reading, fresh, pad_readings, taps
from mesascope.errors import MesascopeError
from mesascope.questions.activations.decoding import (
    LIFETIMES,
    Moments,
    activations,
    beliefs,
    first_lifetimes,
    mean_of_others,
)
from mesascope.stats import linearise


def metric(lifetimes: int = LIFETIMES) -> Metric:
    """Does its carry hold posterior means, spreads and counts, beyond an untrained network, the clock and chance?

    Args:
        lifetimes: at most how many are used.
    """
    if lifetimes < 10:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 10.")

    def measure(trials, references, replay):
        lived, seen = first_lifetimes(fresh(trials), lifetimes)
        if len(seen.action) < 10:
            raise DoesNotApply(f"there are {len(seen.action)} lifetimes, to decode takes 10")
        if not seen.binary:
            raise DoesNotApply("beliefs are those about pay-offs of 0 and 1")
        x, twin, lacking = activations(taps(replay, lived)), None, ""
        try:
            twin = activations(taps(replay, lived, "untrained"))
        except DoesNotApply as why:
            lacking = f"; {why}"
        split, known = str(lived.attrs["split"]), seen.known[..., None]
        named = beliefs(seen)
        y = np.concatenate(list(named.values()), -1)
        other = y[(np.arange(len(y)) + 1 + len(y) // 2) % len(y)]  # another lifetime's beliefs
        carried, plain = Moments(x, y), mean_of_others(y, by_trial=False)
        trial = mean_of_others(y, by_trial=True)
        guesses = {"": (y, carried.predicted(), plain)}
        if twin is not None:
            guesses["an untrained network"] = (y, Moments(twin, y).predicted(), plain)
        guesses["the trial index alone"] = (y, trial, plain)
        guesses["lifetimes exchanged"] = (
            other,
            Moments(x, other).predicted(),
            mean_of_others(other, by_trial=False),
        )
        out = []
        for i, name in enumerate(named):
            part = slice(i * seen.choices, (i + 1) * seen.choices)
            pairs = [(true, told) for true, guess, base in guesses.values() for told in (guess, base)]
            parts = np.stack([((true - told) ** 2 * known)[..., part].sum((1, 2)) for true, told in pairs])
            note = _where(carried, part, guesses[""][1], plain, trial) + lacking
            out.append(Reading(linearise(_share(0), parts), split, f"{name}, R²", reason=note))
            for j, word in list(enumerate(guesses))[1:]:
                out.append(Reading(linearise(_over(j), parts), split, f"{name}, R² above {word}"))
        return pad_readings(out, fresh(trials))

    return Metric(
        name="belief_decoding",
        question="How much of what it should believe of each choice (R²) can be read from its carry, beyond controls?",
        measure=measure,
        settings={"lifetimes": lifetimes},
    )


def _share(i: int):
    return lambda m: 1 - m[2 * i] / m[2 * i + 1]


def _over(i: int):
    """R² of the carry less that of the i-th control."""
    return lambda m: _share(0)(m) - _share(i)(m)


def _where(carried: Moments, part: slice, guess: np.ndarray, plain: np.ndarray, trial: np.ndarray) -> str:
    """Which units weigh most, how much is lost without them, and how early beliefs are told apart by them."""
    weights, width = carried.ridge().weights[:, part], carried.x.shape[-1]
    units = np.argsort(-np.abs(weights).sum(1))[: max(1, min(5, width // 4))]
    without = carried.predicted(np.setdiff1d(np.arange(width), units)) if width > len(units) else plain
    y = carried.y

    def lost(told: np.ndarray, axes: Any = None) -> np.ndarray:
        return ((y - told) ** 2)[..., part].sum(axes)

    error, spread = lost(guess, (0, 2)), lost(trial, (0, 2))
    by_trial = 1 - error / np.where(spread > 1e-9, spread, np.inf)
    enough = max(1 - error.sum() / spread.sum(), 0) / 2
    early = np.flatnonzero((by_trial >= enough) & (spread > 1e-9))
    told = f"largest weights: units {', '.join(map(str, units))}; without them {1 - lost(without) / lost(plain):.2f}"
    if enough and len(early):
        told += f"; half of what it adds to the trial index is there at trial {early[0] + 1}"
    return told
