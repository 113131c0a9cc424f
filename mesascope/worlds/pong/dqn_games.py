"""Plays many games of Pong at once in ale-py's vector environment."""

from collections import deque

import numpy as np

from mesascope.worlds.pong import pong_screen as screen

RECENT_GAMES = 20  # the number of most recent games whose scores are stored


class Games:
    """E games at once; after a game is over, one fake step resets it and the next game begins.

    Attributes:
        frame: [E, 33, 40] the present frames, as bytes.
        shape: the shape of a frame.
        scores: the scores of the most recently finished games, the oldest first.
    """

    shape = (screen.HEIGHT, screen.WIDTH)

    def __init__(self, games: int, threads: int, seed: int, lately: int = RECENT_GAMES) -> None:
        screen.load_ale()
        from ale_py.vector_env import AtariVectorEnv

        self.games = AtariVectorEnv(
            "pong",
            num_envs=games,
            num_threads=threads,
            img_height=screen.SCREEN[0] // screen.CELL_H,
            img_width=screen.SCREEN[1] // screen.CELL_W,
            stack_num=1,
            frameskip=screen.SKIP,
            noop_max=screen.NOOPS,
            use_fire_reset=False,
            reward_clipping=False,
        )
        names = [a.value for a in self.games.ale.get_action_set()]
        self.codes = np.array([names.index(a) for a in screen.ACTIONS])
        self.frame = self.cut(self.games.reset(seed=seed + np.arange(games))[0])
        self.over, self.sums = np.zeros(games, bool), np.zeros(games)
        self.scores = deque(maxlen=lately)

    @staticmethod
    def cut(screens: np.ndarray) -> np.ndarray:
        """Cuts frames [E, 33, 40] out of screens [E, 1, 42, 40]."""
        return screens[:, 0, screen.TOP : screen.TOP + screen.HEIGHT]

    def send(self, action: np.ndarray) -> None:
        """Sends the actions [E], each 0, 1 or 2, and does not wait for their results."""
        self.games.send(self.codes[action])

    def receive(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Waits for each game's frame, its reward, whether it is over, and whether the step was fake."""
        screens, reward, is_over, cut, _ = self.games.recv()
        fake, self.over = self.over, is_over | cut
        self.frame = self.cut(screens).copy()
        self.sums = np.where(fake, 0.0, self.sums) + np.where(fake, 0, reward)
        self.scores.extend(self.sums[self.over].tolist())
        return self.frame, np.where(fake, 0, reward).astype(np.float32), self.over, fake
