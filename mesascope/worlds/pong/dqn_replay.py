"""What a deep Q-network is trained on: the last frames of every environment, each kept once."""

from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """frames [B, stack + n, H, W] of bytes, black before a game's start; action, reward, discount [B].

    reward is the discounted sum over n steps, or up to the game's end; discount is γⁿ, and 0 where the game has ended.
    """

    frames: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray


class Replay:
    """A split of the last steps of E environments."""

    def __init__(self, steps: int, environments: int, shape: tuple[int, int], stack: int) -> None:
        self.stack, self.length = stack, -(-steps // environments)
        self.frames = np.zeros((environments, self.length, *shape), np.uint8)
        self.action = np.zeros((environments, self.length), np.int32)
        self.reward = np.zeros((environments, self.length), np.float32)  # of the action
        self.over = np.zeros((environments, self.length), bool)  # the game, by the action
        self.age = np.zeros((environments, self.length), np.int32)  # steps since the game's start
        self.added = 0

    def add(self, frame, action, reward, over, age) -> None:
        """One step of every environment, all [E]: the frame, the action on it, and what came of that."""
        at = self.added % self.length
        self.frames[:, at], self.action[:, at], self.reward[:, at] = frame, action, reward
        self.over[:, at], self.age[:, at] = over, age
        self.added += 1

    def sample(self, rng: np.random.Generator, size: int, ahead: int, discount: float) -> Batch:
        """Draws steps with the `ahead` steps that followed them; an age below 0 is no step of a game."""
        oldest = max(0, self.added - self.length) + self.stack - 1
        who = rng.integers(0, len(self.frames), 2 * size)
        when = rng.integers(oldest, self.added - ahead, 2 * size)
        good = np.flatnonzero(self.age[who, when % self.length] >= 0)[:size]
        who, when = who[good, None], when[good, None]
        seen = (when + np.arange(1 - self.stack, ahead + 1)) % self.length
        back = np.minimum(np.arange(1 - self.stack, ahead + 1), 0)
        frames = self.frames[who, seen] * (self.age[who, when % self.length] + back >= 0)[..., None, None]
        then = (when + np.arange(ahead)) % self.length
        over = np.cumsum(self.over[who, then], -1)
        alive = np.concatenate([np.ones((len(who), 1)), over[:, :-1] == 0], -1)
        paid = (self.reward[who, then] * alive * discount ** np.arange(ahead)).sum(-1)
        after = np.where(over[:, -1] > 0, 0.0, discount**ahead)
        return Batch(
            frames,
            self.action[who, when % self.length][:, 0],
            paid.astype(np.float32),
            after.astype(np.float32),
        )
