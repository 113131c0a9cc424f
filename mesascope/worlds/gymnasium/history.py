"""Detects an environment that puts the history, or its last reward, into the observation, by random play."""

from typing import Any, NamedTuple

import numpy as np
from gymnasium import wrappers

from mesascope.worlds.gymnasium.lanes import Lane

EPISODES, STEPS, WIDEST = 48, 24, 4096  # it plays at most 48 episodes, and no further episode after 4 · 24 steps


def find_history(lane: Lane) -> str:
    """The evidence that observations contain the past; '' if there is none.

    It looks for stacked frames (a wrapper, or observations that are the last one shifted along an axis). It also looks
    for numbers that follow the sum of pay-offs or the count of one action over the lifetime, across the ends of
    episodes.
    """
    env: Any = lane.env
    while hasattr(env, "env"):
        if isinstance(env, wrappers.FrameStackObservation):
            return "FrameStackObservation"
        env = env.env
    rng, runs, sums = np.random.default_rng(1), [], []
    paid, action_counts = 0.0, np.zeros(lane.hand.choices or 0)
    for _ in range(EPISODES):
        if len(sums) > 4 * STEPS:
            break
        episode, ends = [lane.reset(int(rng.integers(2**31 - 1)))], False
        sums.append((episode[0], paid, action_counts.copy()))
        while not ends and len(episode) < STEPS:
            action = lane.random(rng)
            observation, reward, _, ends = lane.step(action)
            paid += reward
            if len(action_counts):
                action_counts[int(action)] += 1
            if not ends:
                episode.append(observation)
                sums.append((observation, paid, action_counts.copy()))
        runs.append(np.stack(episode))
    if runs[0][0].size > WIDEST:
        return _find_stack(runs)
    return _find_stack(runs) or _find_sum(sums)


def _find_stack(runs: list[np.ndarray]) -> str:
    """The evidence that each observation is the last one shifted along its first or last axis; '' if there is none."""
    long_runs = [r for r in runs if len(r) > 4]
    if len(long_runs) < 2:
        return ""
    for axis in dict.fromkeys((1, long_runs[0].ndim - 1)):
        length = long_runs[0].shape[axis]
        for parts in range(2, min(length, 16) + 1):
            if length % parts:
                continue
            shift = length // parts
            for newest_last in (True, False):
                newer, older = zip(*(_split_stack(r, axis, shift, newest_last) for r in long_runs), strict=True)
                changing = all(len({x.tobytes() for x in m}) > 2 for m in older)
                if changing and all(np.array_equal(a, b) for a, b in zip(newer, older, strict=True)):
                    return f"{parts} observations side by side"
    return ""


def _split_stack(run: np.ndarray, axis: int, shift: int, newest_last: bool) -> tuple[np.ndarray, np.ndarray]:
    """The two parts that are equal if the observations of a run [T, …] are stacks."""
    along = np.moveaxis(run, axis, -1)
    old, new = along[:-1], along[1:]
    return (new[..., :-shift], old[..., shift:]) if newest_last else (new[..., shift:], old[..., :-shift])


def _find_sum(sums: list[tuple[np.ndarray, float, np.ndarray]]) -> str:
    """Names the running sum that a number in the observation follows, up to scale and offset; '' if there is none."""
    seen = np.stack([s.ravel() for s, _, _ in sums]).astype(float)
    candidates = {"the pay-off so far": np.array([p for _, p, _ in sums])}
    candidates |= {
        f"how often action {k} was taken": np.array([t[k] for *_, t in sums]) for k in range(len(sums[0][2]))
    }
    if len(seen) < 8:
        return ""
    clock = np.arange(len(seen), dtype=float)
    for name, values in candidates.items():
        if len(np.unique(values)) < 4 or abs(np.corrcoef(values, clock)[0, 1]) > 0.9999:
            continue
        for column in seen.T:
            if len(np.unique(column)) > 3 and abs(np.corrcoef(column, values)[0, 1]) > 1 - 1e-9:
                return name
    return ""


class RewardPlace(NamedTuple):
    """A number in the observation that tells the last reward.

    Attributes:
        index: its place in the flattened observation.
        scale: it is scale · reward + offset.
        offset: see above.
    """

    index: int
    scale: float
    offset: float


def find_reward(lane: Lane) -> tuple[RewardPlace, ...]:
    """The numbers in the observation that tell the last reward, up to scale and offset; empty if there are none.

    It compares observations after a step with the reward of this step, over a few episodes of random play. A number
    must follow every reward, and at least two different rewards must occur. Numbers that follow another part of the
    observation as closely, such as a place that pays, tell the reward too.
    """
    rng, seen, paid = np.random.default_rng(2), [], []
    for _ in range(EPISODES):
        if len(paid) > 4 * STEPS:
            break
        lane.reset(int(rng.integers(2**31 - 1)))
        for _ in range(STEPS):
            observation, reward, _, ends = lane.step(lane.random(rng))
            if ends:
                break
            seen.append(observation.ravel().astype(float))
            paid.append(reward)
    rewards = np.asarray(paid)
    if len(rewards) < 8 or np.ptp(rewards) == 0 or seen[0].size > WIDEST:
        return ()
    table = np.stack(seen)
    centred, spread = rewards - rewards.mean(), table - table.mean(0)
    scale = centred @ spread / (centred @ centred)
    offset = table.mean(0) - scale * rewards.mean()
    close = np.abs(table - rewards[:, None] * scale - offset).max(0) <= 1e-5 * np.maximum(np.abs(table).max(0), 1e-9)
    return tuple(
        RewardPlace(int(i), float(scale[i]), float(offset[i])) for i in np.flatnonzero(close & (np.abs(scale) > 1e-9))
    )
