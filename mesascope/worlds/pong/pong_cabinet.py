"""Runs emulators of Pong, one per lifetime, and reuses them because loading one takes a tenth of a second."""

import functools
import weakref
from typing import Any, NamedTuple

import numpy as np

from mesascope.worlds.pong import pong_screen as screen

FREE_EMULATORS: list[Any] = []  # free emulators; a new game overwrites their state


class Start(NamedTuple):
    """How games begin, [N] each.

    Attributes:
        seed: the seed of the sticky actions.
        idle: the number of idle frames before the game.
        sticky: the probability that a frame repeats the last action.
        mode: the number of the cartridge's game.
        difficulty: the position of the cartridge's difficulty switch.
    """

    seed: np.ndarray
    idle: np.ndarray
    sticky: np.ndarray
    mode: np.ndarray
    difficulty: np.ndarray


class Cabinet:
    """N games, which `play` changes in place.

    Attributes:
        frame: [N, 33, 40] the present frames, as bytes.
        places: [N, 6] the positions of ball and paddles as bytes, in the order of `PLACES`.
        over: [N] whether the game is over.
    """

    def __init__(self, start: Start, shown: bool = True) -> None:
        """Begins a game for every start; without `shown` it does not read the frames, which halves the time."""
        self.start, self.shown, n = start, shown, len(start.seed)
        self.emulators = [FREE_EMULATORS.pop() if FREE_EMULATORS else _load() for _ in range(n)]
        weakref.finalize(self, FREE_EMULATORS.extend, self.emulators)
        self.draws = [np.random.default_rng(int(s)) for s in start.seed]
        self.last = np.zeros(n, np.int64)
        self.frame = np.zeros((n, screen.HEIGHT, screen.WIDTH), np.uint8)
        self.places = np.zeros((n, len(screen.PLACES)), np.uint8)
        self.over = np.zeros(n, bool)
        for i in range(n):
            self.begin(i, int(start.idle[i]))

    def begin(self, i: int, idle: int) -> None:
        """Begins a new game in emulator i, with `idle` idle frames first."""
        emulator = self.emulators[i]
        emulator.restoreState(_load_start(int(self.start.mode[i]), int(self.start.difficulty[i])))
        for _ in range(idle - 1):
            emulator.act(0)
        before, memory = emulator.getScreenGrayscale(), emulator.getRAM()
        if idle:
            emulator.act(0)
        self.last[i], self.over[i] = 0, False
        self._show([i], [np.maximum(before, emulator.getScreenGrayscale())], [memory])

    def play(self, action: np.ndarray, live: np.ndarray) -> np.ndarray:
        """Plays one step of the games marked in live [N]; returns the points [N]."""
        paid, playing = np.zeros(len(action), np.float32), np.flatnonzero(live & ~self.over)
        screens, before = [], []
        for i in playing:
            emulator, chosen = self.emulators[i], screen.ACTIONS[action[i]]
            repeats = self.draws[i].random(screen.SKIP) < self.start.sticky[i]
            for j in range(screen.SKIP):
                if j == screen.SKIP - 1:
                    before.append(emulator.getRAM())
                    if self.shown:
                        screens.append(emulator.getScreenGrayscale())
                self.last[i] = self.last[i] if repeats[j] else chosen
                paid[i] += emulator.act(int(self.last[i]))
            if self.shown:
                screens[-1] = np.maximum(screens[-1], emulator.getScreenGrayscale())
            self.over[i] = emulator.game_over()
        if len(playing):
            self._show(playing, screens, before)
        return paid

    def _show(self, games: Any, screens: list[np.ndarray], before: list[np.ndarray]) -> None:
        if screens:
            self.frame[games] = screen.shrink(np.stack(screens))
        addresses = list(screen.RAM.values())
        places = [self.emulators[i].getRAM()[addresses] for i in games]
        self.places[games] = [[*a, *b[addresses[:2]]] for a, b in zip(places, before, strict=True)]


def _load() -> Any:
    """A new emulator without sticky actions."""
    ale = screen.load_ale()
    emulator = ale.ALEInterface()
    emulator.setInt("random_seed", 0)
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(ale.roms.get_rom_path("pong"))
    return emulator


@functools.cache
def _load_start(mode: int, difficulty: int) -> Any:
    """The console's state at the beginning of a game."""
    emulator = _load()
    emulator.setMode(mode)
    emulator.setDifficulty(difficulty)
    emulator.reset_game()
    return emulator.cloneState()
