"""Whether an environment puts the history into its observation, as far as a few steps of even random play show it."""

from typing import Any

import numpy as np
from gymnasium import wrappers

from mesascope.worlds.gymnasium.lanes import Lane

EPISODES, STEPS, WIDEST = 48, 24, 4096  # the most that is played: that many episodes, or 4 · 24 steps


def find_history(lane: Lane) -> str:
    """What shows that observations hold what happened before; '' where nothing does.

    Looked for are stacked frames (by the wrapper, or because an observation is the last one moved along an axis) and
    numbers that follow a sum over the lifetime, of pay-offs or of one action, across the ends of episodes.
    """
    env: Any = lane.env
    while hasattr(env, "env"):
        if isinstance(env, wrappers.FrameStackObservation):
            return "FrameStackObservation"
        env = env.env
    rng, runs, sums = np.random.default_rng(1), [], []
    paid, taken = 0.0, np.zeros(lane.hand.choices or 0)
    for _ in range(EPISODES):
        if len(sums) > 4 * STEPS:
            break
        seen, over = [lane.reset(int(rng.integers(2**31 - 1)))], False
        sums.append((seen[0], paid, taken.copy()))
        while not over and len(seen) < STEPS:
            action = lane.random(rng)
            shown, reward, _, over = lane.step(action)
            paid += reward
            if len(taken):
                taken[int(action)] += 1
            if not over:
                seen.append(shown)
                sums.append((shown, paid, taken.copy()))
        runs.append(np.stack(seen))
    if runs[0][0].size > WIDEST:
        return _stacked(runs)
    return _stacked(runs) or _summed(sums)


def _stacked(runs: list[np.ndarray]) -> str:
    """Whether each observation is the last one, moved along its first or last axis by a half of it or less."""
    long = [r for r in runs if len(r) > 4]
    if len(long) < 2:
        return ""
    for axis in dict.fromkeys((1, long[0].ndim - 1)):
        length = long[0].shape[axis]
        for parts in range(2, min(length, 16) + 1):
            if length % parts:
                continue
            by = length // parts
            for newest_last in (True, False):
                told, moved = zip(*(_moved(r, axis, by, newest_last) for r in long), strict=True)
                varied = all(len({x.tobytes() for x in m}) > 2 for m in moved)
                if varied and all(np.array_equal(a, b) for a, b in zip(told, moved, strict=True)):
                    return f"{parts} observations side by side"
    return ""


def _moved(run: np.ndarray, axis: int, by: int, newest_last: bool) -> tuple[np.ndarray, np.ndarray]:
    """What should be equal if the observations of a run [T, …] are stacks."""
    along = np.moveaxis(run, axis, -1)
    old, new = along[:-1], along[1:]
    return (new[..., :-by], old[..., by:]) if newest_last else (new[..., by:], old[..., :-by])


def _summed(sums: list[tuple[np.ndarray, float, np.ndarray]]) -> str:
    """Whether a number in the observation is a running sum over the lifetime, up to scale and offset."""
    seen = np.stack([s.ravel() for s, _, _ in sums]).astype(float)
    known = {"the pay-off so far": np.array([p for _, p, _ in sums])}
    known |= {
        f"how often action {k} was taken": np.array([t[k] for *_, t in sums]) for k in range(len(sums[0][2]))
    }
    if len(seen) < 8:
        return ""
    clock = np.arange(len(seen), dtype=float)
    for name, values in known.items():
        if len(np.unique(values)) < 4 or abs(np.corrcoef(values, clock)[0, 1]) > 0.9999:
            continue
        for column in seen.T:
            if len(np.unique(column)) > 3 and abs(np.corrcoef(column, values)[0, 1]) > 1 - 1e-9:
                return name
    return ""
