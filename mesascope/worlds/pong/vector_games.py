"""Plays many games of Pong at once in ale-py's vector environment."""

from collections import deque

import numpy as np

from mesascope.worlds.pong import pong_screen as screen

RECENT_GAMES = 20  # the number of most recently finished games whose scores are stored


class VectorGames:
    """E games of Pong at once; after a game is over, a fake step resets its environment, and the next game begins.

    Attributes:
        frame: [E, 33, 40] the present frames, as bytes.
        shape: the height and width of a frame.
        scores: the scores of the most recently finished games, the oldest first.
    """

    shape = (screen.FRAME_HEIGHT, screen.FRAME_WIDTH)

    def __init__(self, games: int, threads: int, seed: int, recent_games: int = RECENT_GAMES) -> None:
        screen.load_ale()
        from ale_py.vector_env import AtariVectorEnv

        self.env = AtariVectorEnv(
            "pong",
            num_envs=games,
            num_threads=threads,
            img_height=screen.SCREEN_SIZE[0] // screen.CELL_HEIGHT,
            img_width=screen.SCREEN_SIZE[1] // screen.CELL_WIDTH,
            stack_num=1,
            frameskip=screen.FRAMES_PER_STEP,
            noop_max=screen.MAX_IDLE_FRAMES,
            use_fire_reset=False,
            reward_clipping=False,
        )
        names = [a.value for a in self.env.ale.get_action_set()]
        self.action_codes = np.array([names.index(a) for a in screen.CONSOLE_ACTIONS])
        self.frame = self.crop_frames(self.env.reset(seed=seed + np.arange(games))[0])
        self.is_over, self.game_scores = np.zeros(games, bool), np.zeros(games)
        self.scores = deque(maxlen=recent_games)

    @staticmethod
    def crop_frames(screens: np.ndarray) -> np.ndarray:
        """Cuts frames [E, 33, 40] out of screens [E, 1, 42, 40]."""
        return screens[:, 0, screen.SCORE_ROWS : screen.SCORE_ROWS + screen.FRAME_HEIGHT]

    def send_actions(self, action: np.ndarray) -> None:
        """Sends the actions [E], each 0, 1 or 2, to the games, and does not wait for the results."""
        self.env.send(self.action_codes[action])

    def receive_results(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Waits for a step; returns frames, rewards, which games are over, and which steps were fake, [E]."""
        screens, reward, terminated, truncated, _ = self.env.recv()
        is_fake, self.is_over = self.is_over, terminated | truncated
        self.frame = self.crop_frames(screens).copy()
        self.game_scores = np.where(is_fake, 0.0, self.game_scores) + np.where(is_fake, 0, reward)
        self.scores.extend(self.game_scores[self.is_over].tolist())
        return self.frame, np.where(is_fake, 0, reward).astype(np.float32), self.is_over, is_fake
