"""Are the subject's predictions closer to the ideal locator's or to the learner's, also on mixtures of bank tasks?

The position is where the subject's predictions fall on the line from the locator's predictions (0) to the learner's
(1), along the subject's lifetimes. For the mixtures, the metric mixes the weights of two bank tasks and redraws the
outcomes of the seen lifetimes (Raventós et al. 2023, arXiv 2306.15063, section 3). A locator stays near one of the two
tasks, whereas a learner follows the mixture.
"""

from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, InterpolatesTasks, Reading, define_metric, find_family, get_split_kind
from mesascope.questions.in_context import predictions
from mesascope.stats import compute_ratio

MIXTURES = (0.0, 0.25, 0.5)  # the shares of the second task


@define_metric(
    "Where do the subject's predictions lie between those of the ideal locator (0) and those of the learner (1)?",
    splits=predictions.SPLITS,
)
def metric(trials, references, replay):
    """Where do the subject's predictions lie between those of the ideal locator (0) and those of the learner (1)?"""
    splits = predictions.select_splits_with_targets(trials)
    example = next(iter(splits.values()))
    if not str(example.attrs.get("trained_on")).startswith("bank:"):
        raise DoesNotApply("it was not trained on a known bank, so it has no ideal locator")
    family = find_family(replay, example)
    ends = family.references["locator"], family.references["learner"]
    readings = []
    for split, rollout in splits.items():
        if get_split_kind(split) in predictions.SPLITS:
            position = _compute_position(predictions.find_predictions(rollout, replay), rollout, ends, replay)
            readings.append(Reading(position, split=split))
    if "seen" in splits and replay.subject is not None and isinstance(family, InterpolatesTasks):
        for part in MIXTURES:
            rollout = _mix_tasks(family, splits["seen"], part)
            own_predictions = predictions.predict_along(replay, "itself", rollout)
            label = f"{part:g} of the way between two tasks of its bank"
            readings.append(
                Reading(_compute_position(own_predictions, rollout, ends, replay), split="seen", label=label)
            )
            for name in ends:
                away = predictions.measure_distance(
                    own_predictions, predictions.predict_along(replay, name, rollout), rollout
                )
                readings.append(Reading(away, split="seen", label=f"{label}, distance to {name}"))
    return readings


def _compute_position(
    own_predictions: np.ndarray, trials: xr.Dataset, reference_names: tuple[str, str], replay: Any
) -> np.ndarray:
    """Computes each lifetime's position between the locator (0) and the learner (1), the two `reference_names`.

    The mean of the result, which has one number per lifetime, is a ratio of sums over all lifetimes.
    """
    locator, learner = (predictions.predict_along(replay, name, trials) for name in reference_names)
    line = predictions.flatten_predictions(learner - locator)
    return compute_ratio(
        (predictions.flatten_predictions(own_predictions - locator) * line).sum(-1), np.square(line).sum(-1)
    )


def _mix_tasks(family: Any, seen_trials: xr.Dataset, proportion: float) -> xr.Dataset:
    """Replaces the outcomes of seen lifetimes with those of mixtures of two bank tasks.

    The second task has the share `proportion`.
    """
    intact = seen_trials.sel(condition=["intact"])
    rng = np.random.default_rng([int(seen_trials.attrs.get("seed") or 0), int(1000 * proportion)])
    target, outcome = family.interpolate_tasks(intact.observation.values[0], proportion, rng)
    values = {"feedback": outcome[None], "target": target, "chance": -np.square(target), "best": np.zeros_like(target)}
    return intact.assign({k: (intact[k].dims, v.astype(np.float32)) for k, v in values.items()})
