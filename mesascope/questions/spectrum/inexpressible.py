"""Tests whether older feedback explains the gain on tasks that no bank of training tasks could contain."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, sum_gains
from mesascope.stats import compute_ratio, compute_standard_error
from mesascope.trials import find_reflex_window, measure_gain

UNKNOWN_TASKS_REASON = "its training tasks are unknown"


def decide_acquiring_beyond_banks(
    trials: Mapping[str, xr.Dataset], weights: Mapping[str, np.ndarray], is_against: bool, rule: Any
) -> tuple[np.ndarray | None, str | None, dict[str, Any]]:
    """Decides whether a subject whose training tasks are unknown acquires tasks that no bank could contain.

    The subject acquires them if two numbers reach `rule.min_benefit` on every split of such tasks: its gain, and its
    loss of gain when feedback older than a few trials is shuffled.

    Args:
        trials: the subject's data set for each split.
        weights: by split, the weights [resamples, N] of the split's N lifetimes.
        is_against: whether the subject goes against the pay-off.
        rule: the constants of the placement rule.

    Returns:
        Three results. First, an array with 0 for each resample in which the subject acquires such tasks, otherwise NaN;
        None if this cannot be decided. Second, the reason why it cannot be decided, or None. Third, the statistics for
        each split.
    """
    splits = [split for split, rollout in trials.items() if rollout.attrs.get("inexpressible")]
    numbers, passes, lacking = {}, [], []
    for split in splits:
        rollout = trials[split]
        older = find_reflex_window(rollout.sizes["trial"], rule.older_than)
        try:
            shuffled = sum_gains(rollout, f"feedback_shuffled:older_than={older}", is_against=is_against)
        except DoesNotApply:
            continue
        intact = compute_ratio(*measure_gain(rollout, is_against=is_against))
        lost = intact - compute_ratio(*shuffled)
        error = compute_standard_error(lost)
        numbers[split] = {"gain": float(intact.mean()), "benefit": float(lost.mean()), "benefit_error": error}
        sure = lost.mean() - rule.min_benefit > rule.error_multiple * error
        if not sure or intact.mean() < rule.min_benefit:
            lacking.append(split)
        resampled = weights[split] @ np.stack([intact, lost], 1)
        passes.append((resampled >= rule.min_benefit).all(1))
    if not numbers:
        return None, f"{UNKNOWN_TASKS_REASON} (state them with --trained-on)", {}
    if lacking:
        where = " and ".join(lacking)
        obstacle = f"{UNKNOWN_TASKS_REASON}, and older feedback adds too little on {where}, which no bank could contain"
        return None, obstacle, numbers
    return np.where(np.all(passes, 0), 0.0, np.nan), None, numbers
