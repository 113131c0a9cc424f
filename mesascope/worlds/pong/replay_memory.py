"""The replay memory of a deep Q-network, which stores each of the last frames of every environment once."""

from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """A batch of B steps.

    Attributes:
        frames: [B, stack + n, H, W] the frames up to the step, and those of the n steps after it, as bytes; frames
            before the start of the game are black.
        action: [B] the action of the step.
        reward: [B] the discounted sum of rewards over n steps, or up to the end of the game.
        discount: [B] γⁿ, or 0 if the game ended within the n steps.
    """

    frames: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    discount: np.ndarray


class ReplayMemory:
    """Stores the most recent steps of E environments."""

    def __init__(self, steps: int, environments: int, shape: tuple[int, int], stack: int) -> None:
        self.stack, self.length = stack, -(-steps // environments)
        self.frames = np.zeros((environments, self.length, *shape), np.uint8)
        self.action = np.zeros((environments, self.length), np.int32)
        self.reward = np.zeros((environments, self.length), np.float32)  # the reward of the action
        self.is_over = np.zeros((environments, self.length), bool)  # whether the action ended the game
        self.game_steps = np.zeros((environments, self.length), np.int32)  # steps since the game's start
        self.n_added = 0

    def add(self, frame, action, reward, is_over, game_steps) -> None:
        """Stores one step of every environment.

        Args:
            frame: [E, H, W] the frame before the action.
            action: [E] the action.
            reward: [E] the reward of the action.
            is_over: [E] whether the action ended the game.
            game_steps: [E] the number of steps since the start of the game; -1 for a fake step that only resets it.
        """
        slot = self.n_added % self.length
        self.frames[:, slot], self.action[:, slot], self.reward[:, slot] = frame, action, reward
        self.is_over[:, slot], self.game_steps[:, slot] = is_over, game_steps
        self.n_added += 1

    def sample(self, rng: np.random.Generator, batch_size: int, return_steps: int, discount: float) -> Batch:
        """Draws up to `batch_size` steps, each with the `return_steps` steps after it, but no fake steps."""
        oldest = max(0, self.n_added - self.length) + self.stack - 1
        games = rng.integers(0, len(self.frames), 2 * batch_size)
        steps = rng.integers(oldest, self.n_added - return_steps, 2 * batch_size)
        candidates = np.flatnonzero(self.game_steps[games, steps % self.length] >= 0)[:batch_size]
        games, steps = games[candidates, None], steps[candidates, None]
        indices = (steps + np.arange(1 - self.stack, return_steps + 1)) % self.length
        offset = np.minimum(np.arange(1 - self.stack, return_steps + 1), 0)
        frames = (
            self.frames[games, indices] * (self.game_steps[games, steps % self.length] + offset >= 0)[..., None, None]
        )
        following = (steps + np.arange(return_steps)) % self.length
        has_ended = np.cumsum(self.is_over[games, following], -1)
        is_before_end = np.concatenate([np.ones((len(games), 1)), has_ended[:, :-1] == 0], -1)
        discounted_return = (self.reward[games, following] * is_before_end * discount ** np.arange(return_steps)).sum(
            -1
        )
        bootstrap = np.where(has_ended[:, -1] > 0, 0.0, discount**return_steps)
        return Batch(
            frames,
            self.action[games, steps % self.length][:, 0],
            discounted_return.astype(np.float32),
            bootstrap.astype(np.float32),
        )
