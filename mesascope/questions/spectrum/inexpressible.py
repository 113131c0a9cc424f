"""Whether what is gained where no training task could have been located comes from what is told."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, gains
from mesascope.stats import ratio, standard_error
from mesascope.trials import gain, reflex_window

UNKNOWN = "its training tasks are unknown"


def read_beyond_banks(
    trials: Mapping[str, xr.Dataset], weights: Mapping[str, np.ndarray], against: bool, rule: Any
) -> tuple[np.ndarray | None, str | None, dict[str, Any]]:
    """What the tasks that no bank could hold say of a subject whose training tasks are unknown.

    It has acquired where it gains on every such split, and what goes when feedback older than a few trials is shuffled
    passes the bar of the benefit.

    Args:
        trials: the subject's data set per split.
        weights: [resamples, N] of the lifetimes, per split.
        against: whether it goes against the pay-off.
        rule: the constants of the placement.

    Returns:
        Per resample 0 where all that holds and NaN where not, or None; why it is None; the numbers per split.
    """
    splits = [split for split, lived in trials.items() if lived.attrs.get("inexpressible")]
    numbers, held, lacking = {}, [], []
    for split in splits:
        lived = trials[split]
        older = reflex_window(lived.sizes["trial"], rule.older_than)
        try:
            shuffled = gains(lived, f"feedback_shuffled:older_than={older}", against=against)
        except DoesNotApply:
            continue
        whole = ratio(*gain(lived, against=against))
        lost = whole - ratio(*shuffled)
        error = standard_error(lost)
        numbers[split] = {"gain": float(whole.mean()), "benefit": float(lost.mean()), "benefit_error": error}
        sure = lost.mean() - rule.smallest_benefit > rule.errors * error
        if not sure or whole.mean() < rule.smallest_benefit:
            lacking.append(split)
        drawn = weights[split] @ np.stack([whole, lost], 1)
        held.append((drawn >= rule.smallest_benefit).all(1))
    if not numbers:
        return None, f"{UNKNOWN} (say them with --trained-on)", {}
    if lacking:
        why = f"{UNKNOWN}, and older feedback gains it too little on {' and '.join(lacking)}, which none could hold"
        return None, why, numbers
    return np.where(np.all(held, 0), 0.0, np.nan), None, numbers
