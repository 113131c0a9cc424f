"""Running emulators of Pong, one per lifetime, borrowed from a stock because loading one takes a tenth of a second."""

import functools
import weakref
from typing import Any, NamedTuple

import numpy as np

from mesascope.worlds.pong import pong_screen as screen

STOCK: list[Any] = []  # emulators that nobody plays on; what they hold is overwritten by whoever takes one


class Start(NamedTuple):
    """How games begin, each [N]: seed of the sticky actions, idle frames, chance that a frame repeats the last action,
    the cartridge's mode and difficulty.
    """

    seed: np.ndarray
    idle: np.ndarray
    sticky: np.ndarray
    mode: np.ndarray
    difficulty: np.ndarray


class Cabinet:
    """N games; playing on changes them in place.

    Attributes:
        frame: [N, 33, 40] of bytes, what each shows.
        places: [N, 6] bytes, where ball and paddles are, as `PLACES` names them.
        over: [N] whether the game is.
    """

    def __init__(self, start: Start, shown: bool = True) -> None:
        """Begins a game of every start; where nothing is shown only the places are kept, in half the time."""
        self.start, self.shown, n = start, shown, len(start.seed)
        self.emulators = [STOCK.pop() if STOCK else _loaded() for _ in range(n)]
        weakref.finalize(self, STOCK.extend, self.emulators)
        self.draws = [np.random.default_rng(int(s)) for s in start.seed]
        self.last = np.zeros(n, np.int64)
        self.frame = np.zeros((n, screen.HEIGHT, screen.WIDTH), np.uint8)
        self.places = np.zeros((n, len(screen.PLACES)), np.uint8)
        self.over = np.zeros(n, bool)
        for i in range(n):
            self.begin(i, int(start.idle[i]))

    def begin(self, i: int, idle: int) -> None:
        """Begins a game anew after so many idle frames."""
        emulator = self.emulators[i]
        emulator.restoreState(_beginning(int(self.start.mode[i]), int(self.start.difficulty[i])))
        for _ in range(idle - 1):
            emulator.act(0)
        before, memory = emulator.getScreenGrayscale(), emulator.getRAM()
        if idle:
            emulator.act(0)
        self.last[i], self.over[i] = 0, False
        self._show([i], [np.maximum(before, emulator.getScreenGrayscale())], [memory])

    def play(self, action: np.ndarray, live: np.ndarray) -> np.ndarray:
        """One step of the games that are live [N]; the points [N] that it brought."""
        paid, who = np.zeros(len(action), np.float32), np.flatnonzero(live & ~self.over)
        screens, before = [], []
        for i in who:
            emulator, asked = self.emulators[i], screen.ACTIONS[action[i]]
            repeats = self.draws[i].random(screen.SKIP) < self.start.sticky[i]
            for j in range(screen.SKIP):
                if j == screen.SKIP - 1:
                    before.append(emulator.getRAM())
                    if self.shown:
                        screens.append(emulator.getScreenGrayscale())
                self.last[i] = self.last[i] if repeats[j] else asked
                paid[i] += emulator.act(int(self.last[i]))
            if self.shown:
                screens[-1] = np.maximum(screens[-1], emulator.getScreenGrayscale())
            self.over[i] = emulator.game_over()
        if len(who):
            self._show(who, screens, before)
        return paid

    def screens(self) -> np.ndarray:
        """[N, 210, 160, 3] of bytes, in colour."""
        return np.stack([e.getScreenRGB() for e in self.emulators])

    def _show(self, who: Any, screens: list[np.ndarray], before: list[np.ndarray]) -> None:
        if screens:
            self.frame[who] = screen.shrink(np.stack(screens))
        at = list(screen.RAM.values())
        now = [self.emulators[i].getRAM()[at] for i in who]
        self.places[who] = [[*a, *b[at[:2]]] for a, b in zip(now, before, strict=True)]


def _loaded() -> Any:
    """An emulator that never repeats an action by itself."""
    ale = screen.ale()
    emulator = ale.ALEInterface()
    emulator.setInt("random_seed", 0)
    emulator.setFloat("repeat_action_probability", 0.0)
    emulator.loadROM(ale.roms.get_rom_path("pong"))
    return emulator


@functools.cache
def _beginning(mode: int, difficulty: int) -> Any:
    """The console's state as a game begins."""
    emulator = _loaded()
    emulator.setMode(mode)
    emulator.setDifficulty(difficulty)
    emulator.reset_game()
    return emulator.cloneState()
