"""Old trials: those whose part of the task did not occur in the last trials before them."""

import numpy as np
import xarray as xr


def older_trials(trials: xr.Dataset, window: int) -> np.ndarray | None:
    """[N, T] Whether each trial's part did not occur in the `window` trials before it.

    If parts are independent, the last trials say nothing about such a part, so only older ones can.

    Returns:
        None if the tasks have no parts (no latent `part`).
    """
    if "part" not in trials:
        return None
    return unseen_parts(trials.part.values.astype(int), window, int(trials.part.max()) + 1)[0]


def unseen_parts(part: np.ndarray, window: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each trial's part was absent from the window before it [N, T], and how many parts were absent [N, T].

    Args:
        part: [N, T] the part of each trial.
        window: the number of trials before it.
        parts: the number of parts.
    """
    lifetimes, length = part.shape
    recent = np.zeros((lifetimes, length, parts), bool)
    for i in range(1, window + 1):
        np.put_along_axis(recent[:, i:], part[:, :-i, None], True, 2)
    return ~np.take_along_axis(recent, part[..., None], 2)[..., 0], parts - recent.sum(-1)
