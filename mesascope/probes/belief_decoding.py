"""Does its carry hold what it should believe of each choice, beyond what comes for nothing?

Posterior means, posterior standard deviations and counts are read out of the carry at every trial by ridge regression,
fitted to other lifetimes (five folds). A number alone says nothing: a random recurrent network echoes its inputs, and
counts grow with time. So the same is asked of an untrained network of the same shape on the same inputs, of the trial
index alone, and of the carry with the lifetimes' beliefs exchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mesascope.errors import MesascopeError
from mesascope.probes import DoesNotApply, Probe, Reading, fresh, of_first, taps
from mesascope.probes._decoding import LIFETIMES, Moments, activations, beliefs, some, usual
from mesascope.stats import linearise


def probe(lifetimes: int = LIFETIMES) -> Probe:
    """Does its carry hold posterior means, spreads and counts, beyond an untrained network, the clock and chance?

    Args:
        lifetimes: at most how many are used.
    """
    if lifetimes < 10:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 10.")

    def measure(trials, references, replay):
        lived, seen = some(fresh(trials), lifetimes)
        if len(seen.action) < 10:
            raise DoesNotApply(f"there are {len(seen.action)} lifetimes, to decode takes 10")
        if not seen.binary:
            raise DoesNotApply("beliefs are those about pay-offs of 0 and 1")
        x, twin, lacking = activations(taps(replay, lived)), None, ""
        try:
            twin = activations(taps(replay, lived, "untrained"))
        except DoesNotApply as why:
            lacking = f"; {why}"
        ring, known = str(lived.attrs["ring"]), seen.known[..., None]
        named = beliefs(seen)
        y = np.concatenate(list(named.values()), -1)
        other = y[(np.arange(len(y)) + 1 + len(y) // 2) % len(y)]  # another lifetime's beliefs
        carried, plain = Moments(x, y), usual(y, by_trial=False)
        trial = usual(y, by_trial=True)
        guesses = {"the trial index alone": (y, trial, plain)}
        if twin is not None:
            guesses = {"an untrained network": (y, Moments(twin, y).predicted(), plain)} | guesses
        exchanged = Moments(x, other).predicted()
        guesses["lifetimes exchanged"] = (other, exchanged, usual(other, by_trial=False))
        guesses = {"": (y, carried.predicted(), plain)} | guesses
        out = []
        for i, name in enumerate(named):
            part = slice(i * seen.choices, (i + 1) * seen.choices)
            parts = np.stack(
                [
                    (((true - told) ** 2 * known)[..., part]).sum((1, 2))
                    for true, guess, base in guesses.values()
                    for told in (guess, base)
                ]
            )
            note = _where(carried, part, guesses[""][1], plain, trial) + lacking
            out.append(Reading(linearise(_share(0), parts), ring, f"{name}, R²", reason=note))
            out += [
                Reading(linearise(_over(j), parts), ring, f"{name}, R² above {word}")
                for j, word in enumerate(guesses)
                if j
            ]
        return of_first(out, fresh(trials))

    return Probe(
        name="belief_decoding",
        question="How much of what it should believe of each choice (R²) can be read from its carry, beyond controls?",
        measure=measure,
        expects={"learner": "any", "lookalike": "any", "still": "any"},
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
    when = (
        f"half of what it adds to the trial index is there at trial {early[0] + 1}"
        if enough and len(early)
        else ""
    )
    told = f"largest weights: units {', '.join(map(str, units))}; without them {1 - lost(without) / lost(plain):.2f}"
    return "; ".join(x for x in (told, when) if x)
