"""Where between the ideal locator and the learner do its predictions lie, and between two tasks of its bank?

The coefficient of its predictions on the line from the locator's (0) to the learner's (1), along its own lifetimes.
Between two bank tasks the weights are mixed and the outcomes of the seen lifetimes drawn anew (Raventós et al. 2023,
arXiv 2306.15063, section 3): a locator holds on to the ends, a learner follows.
"""

from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.capabilities import MixesTasks
from mesascope.contracts.metric import DoesNotApply, Reading, asks, family_of
from mesascope.questions.in_context.predictions import (
    KINDS,
    flatten,
    predict_along,
    prediction_distance,
    predictions_of,
    splits_with_targets,
)
from mesascope.stats import ratio

MIXED = (0.0, 0.25, 0.5)


@asks("Where between the ideal locator's predictions (0) and the learner's (1) do its own lie?", splits=KINDS)
def metric(trials, references, replay):
    """Where between the ideal locator (0) and the learner (1) do its predictions lie?"""
    splits = splits_with_targets(trials)
    some = next(iter(splits.values()))
    if not str(some.attrs.get("trained_on")).startswith("bank:"):
        raise DoesNotApply("it was trained on no known bank, so there is no locator to be near to")
    family = family_of(replay, some)
    ends = family.references["locator"], family.references["learner"]
    out = []
    for split, lived in splits.items():
        if split.partition(":")[0] in KINDS:
            out.append(
                Reading(_place(predictions_of(lived, replay), lived, ends, replay), split=split, null=0.0)
            )
    if "seen" in splits and replay.itself is not None and isinstance(family, MixesTasks):
        for part in MIXED:
            lived = _mixed(family, splits["seen"], part)
            own = predict_along(replay, "itself", lived)
            label = f"{part:g} of the way between two tasks of its bank"
            out.append(Reading(_place(own, lived, ends, replay), split="seen", label=label))
            for name in ends:
                away = prediction_distance(own, predict_along(replay, name, lived), lived)
                out.append(Reading(away, split="seen", label=f"{label}, distance to {name}"))
    return out


def _place(own: np.ndarray, lived: xr.Dataset, ends: tuple[str, str], replay: Any) -> np.ndarray:
    """[N] the coefficient, a ratio of sums."""
    low, high = (predict_along(replay, name, lived) for name in ends)
    line = flatten(high - low)
    return ratio((flatten(own - low) * line).sum(-1), np.square(line).sum(-1))


def _mixed(family: Any, seen: xr.Dataset, part: float) -> xr.Dataset:
    """The seen lifetimes with the outcomes of tasks so far between two tasks of the bank."""
    lived = seen.sel(condition=["intact"])
    rng = np.random.default_rng([int(seen.attrs.get("seed") or 0), int(1000 * part)])
    target, outcome = family.between(lived.observation.values[0], part, rng)
    feedback = outcome[None].astype(np.float32)
    chance = -np.square(target)
    put = {"target": target, "chance": chance, "best": np.zeros_like(target)}
    changed = {k: (lived[k].dims, v.astype(np.float32)) for k, v in put.items()}
    return lived.assign({"feedback": (lived.feedback.dims, feedback), **changed})
