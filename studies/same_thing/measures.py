"""Disturbs single responses and measures success within a lifetime, by the same measures in Pong and in bandits."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.questions.spectrum.changes import measure_choice_change
from mesascope.reproduction.measures import Rollouts
from mesascope.rollouts.rollouts import rollout
from mesascope.trials import measure_gain

N_SEEN_FRAMES = 4  # the number of percepts that the deep Q-network sees, including the present one
SWAP_CONDITIONS = (
    "intact",
    "percept_swapped_once",
    "carry_exchanged_once:fresh=0",
    f"carry_rebuilt_once:window={N_SEEN_FRAMES - 1}",
)
HIDING_CONDITIONS = tuple(
    f"{what}_hidden:is_single=1{before}" for before in ("", ",earlier_percepts=3") for what in ("ball", "patch")
)


def follows(rollouts: Rollouts, condition: str = "percept_swapped_once") -> np.ndarray:
    """The fraction of choices that change, by total variation, if one input differs for a single response.

    Args:
        rollouts: the lifetimes.
        condition: 'percept_swapped_once' shows another lifetime's percept, 'carry_exchanged_once' gives the
            subject another lifetime's carry, and 'carry_rebuilt_once' removes everything older than four percepts.
    """
    disturbed = _run_disturbed(rollouts)
    label = next(label for label in SWAP_CONDITIONS if label.startswith(condition))
    return measure_choice_change(_drop_first_responses(disturbed), label)[None]


def follows_picture(rollouts: Rollouts, hidden: str = "ball", before: int = 0) -> np.ndarray:
    """The fraction of choices that change if a part of the present picture is hidden for a single response.

    Args:
        rollouts: the lifetimes.
        hidden: 'ball', or 'patch' for a patch of the same size elsewhere.
        before: 0, or 3 to hide the part also in the three earlier pictures and rebuild the carry from these pictures.
    """
    label = f"{hidden}_hidden:is_single=1" + (f",earlier_percepts={before}" if before else "")
    return measure_choice_change(_drop_first_responses(_run_disturbed(rollouts)), label)[None]


def rise(rollouts: Rollouts) -> np.ndarray:
    """The share of the possible gain in the last quarter of the lifetime, minus the share in the first tenth."""
    trials = rollouts.trials
    length = trials.sizes["trial"]
    early, late = slice(0, max(length // 10, 1)), slice(length - max(length // 4, 1), None)
    (gained, possible), (gained_first, possible_first) = (measure_gain(trials, window=w) for w in (late, early))
    return (gained / possible.mean() - gained_first / possible_first.mean())[None]


def late(rollouts: Rollouts) -> np.ndarray:
    """The gain and the possible gain in the last quarter of the lifetime, whose ratio is the share."""
    length = rollouts.trials.sizes["trial"]
    return np.stack(measure_gain(rollouts.trials, window=slice(length - max(length // 4, 1), None)))


def recovered(rollouts: Rollouts) -> np.ndarray:
    """The same quantities as `late`, on the split whose controls or pay-offs are exchanged half-way."""
    family, n = rollouts.family, rollouts.trials.sizes["lifetime"]
    split = next(s.name for s in family.list_splits() if s.kind == "exchanged" and s.change_trial)
    trials = rollout(rollouts.subject, family, split, n, rollouts.trials.attrs["seed"])
    return late(Rollouts(trials, rollouts.subject, family))


def _run_disturbed(rollouts: Rollouts) -> xr.Dataset:
    """The lifetimes under every condition that applies to the family; cached, because several measures use them."""
    attributes, n = rollouts.trials.attrs, rollouts.trials.sizes["lifetime"]
    address = (attributes["subject"], attributes["family"], attributes["split"], attributes["seed"], n)
    if address not in CACHE:
        CACHE.clear()  # the stored trials are another subject's
        conditions = [catalogue.make("conditions", label) for label in (*SWAP_CONDITIONS, *HIDING_CONDITIONS)]
        applicable = [c for c in conditions if not c.explain_mismatch(rollouts.family)]
        CACHE[address] = rollout(
            rollouts.subject, rollouts.family, attributes["split"], n, attributes["seed"], conditions=applicable
        )
    return CACHE[address]


CACHE: dict[tuple, xr.Dataset] = {}


def _drop_first_responses(trials: xr.Dataset) -> xr.Dataset:
    """The trials without the first responses of a lifetime or a rally, which have too few percepts before them."""
    if "n_steps" not in trials:
        return trials.isel(trial=slice(N_SEEN_FRAMES - 1, None))
    kept = np.asarray(trials.attrs["kept"])
    return trials.isel(step=np.flatnonzero(kept >= N_SEEN_FRAMES))
