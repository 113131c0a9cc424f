"""Runs one emulator of Pong per lifetime. Emulators are reused, because loading one takes a tenth of a second."""

import functools
import weakref
from typing import Any, NamedTuple

import numpy as np

from mesascope.worlds.pong import pong_screen as screen

FREE_EMULATORS: list[Any] = []  # emulators that no game uses at present; a new game overwrites their state


class GameStart(NamedTuple):
    """The settings with which N games begin, [N] each.

    Attributes:
        seed: the seed that decides on which frames the last action is repeated.
        idle_frames: the number of frames without an action before the game.
        sticky_probability: the probability, per frame, that the last action is repeated instead of the chosen one.
        mode: the number of the game variant on the cartridge.
        difficulty: the position of the cartridge's difficulty switch.
    """

    seed: np.ndarray
    idle_frames: np.ndarray
    sticky_probability: np.ndarray
    mode: np.ndarray
    difficulty: np.ndarray


class EmulatedGames:
    """N games of Pong, which `play` changes in place.

    Attributes:
        frame: [N, 33, 40] the present frames, as bytes.
        positions: [N, 6] the positions of the ball and the paddles as bytes, in the order of `POSITION_NAMES`.
        is_over: [N] whether the game is over.
    """

    def __init__(self, start: GameStart, reads_frames: bool = True) -> None:
        """Begins the N games. If `reads_frames` is False, `play` does not update the frames, which halves the time."""
        self.start, self.reads_frames, n = start, reads_frames, len(start.seed)
        self.emulators = [FREE_EMULATORS.pop() if FREE_EMULATORS else _load_emulator() for _ in range(n)]
        weakref.finalize(self, FREE_EMULATORS.extend, self.emulators)
        self.rngs = [np.random.default_rng(int(s)) for s in start.seed]
        self.last_action = np.zeros(n, np.int64)
        self.frame = np.zeros((n, screen.FRAME_HEIGHT, screen.FRAME_WIDTH), np.uint8)
        self.positions = np.zeros((n, len(screen.POSITION_NAMES)), np.uint8)
        self.is_over = np.zeros(n, bool)
        for i in range(n):
            self.begin_game(i, int(start.idle_frames[i]))

    def begin_game(self, i: int, idle_frames: int) -> None:
        """Begins a new game in emulator i, after `idle_frames` frames without an action."""
        emulator = self.emulators[i]
        emulator.restoreState(_load_start_state(int(self.start.mode[i]), int(self.start.difficulty[i])))
        for _ in range(idle_frames - 1):
            emulator.act(0)
        before, memory = emulator.getScreenGrayscale(), emulator.getRAM()
        if idle_frames:
            emulator.act(0)
        self.last_action[i], self.is_over[i] = 0, False
        self._update_observations([i], [np.maximum(before, emulator.getScreenGrayscale())], [memory])

    def play(self, action: np.ndarray, is_playing: np.ndarray) -> np.ndarray:
        """Plays one step of the games marked in `is_playing` [N] that are not over, and returns the points, [N].

        A point that is lost counts -1.
        """
        points, indices = np.zeros(len(action), np.float32), np.flatnonzero(is_playing & ~self.is_over)
        screens, before = [], []
        for i in indices:
            emulator, chosen = self.emulators[i], screen.CONSOLE_ACTIONS[action[i]]
            repeats = self.rngs[i].random(screen.FRAMES_PER_STEP) < self.start.sticky_probability[i]
            for j in range(screen.FRAMES_PER_STEP):
                if j == screen.FRAMES_PER_STEP - 1:
                    before.append(emulator.getRAM())
                    if self.reads_frames:
                        screens.append(emulator.getScreenGrayscale())
                self.last_action[i] = self.last_action[i] if repeats[j] else chosen
                points[i] += emulator.act(int(self.last_action[i]))
            if self.reads_frames:
                screens[-1] = np.maximum(screens[-1], emulator.getScreenGrayscale())
            self.is_over[i] = emulator.game_over()
        if len(indices):
            self._update_observations(indices, screens, before)
        return points

    def _update_observations(self, games: Any, screens: list[np.ndarray], earlier_memories: list[np.ndarray]) -> None:
        """Updates the frames and the positions of some games.

        Args:
            games: the indices of the games.
            screens: the screen of each of these games; empty if frames are not read.
            earlier_memories: the memory of each of these games one screen earlier.
        """
        if screens:
            self.frame[games] = screen.shrink_screens(np.stack(screens))
        addresses = list(screen.MEMORY_ADDRESSES.values())
        memory_bytes = [self.emulators[i].getRAM()[addresses] for i in games]
        self.positions[games] = [[*a, *b[addresses[:2]]] for a, b in zip(memory_bytes, earlier_memories, strict=True)]


def _load_emulator() -> Any:
    """Loads a new emulator of Pong without sticky actions."""
    ale = screen.load_ale()
    emulator = ale.ALEInterface()
    emulator.setInt("random_seed", 0)
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(ale.roms.get_rom_path("pong"))
    return emulator


@functools.cache
def _load_start_state(mode: int, difficulty: int) -> Any:
    """Loads the state of the console at the beginning of a game."""
    emulator = _load_emulator()
    emulator.setMode(mode)
    emulator.setDifficulty(difficulty)
    emulator.reset_game()
    return emulator.cloneState()
