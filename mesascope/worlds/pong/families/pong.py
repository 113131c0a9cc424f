"""One game of Pong on the Atari 2600 against the cartridge's own player (Bellemare et al. 2013, arXiv 1207.4708).

A lifetime is a game as far as its first 21 rallies, because no game is shorter; a trial is one rally, its score 1 where
the subject wins it, -1 where it loses it, and 0 where it is not over after the most steps. A step lasts four frames.
"""

from typing import ClassVar, NamedTuple

import jax
import numpy as np

from mesascope.contracts.configured import Configured, Percept, Split, keep_settings, reference_roles
from mesascope.keys import address
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.pong_cabinet import Cabinet, Start

CHANCE = -0.97  # pay-off of a rally at random: -20.7 (Mnih et al. 2015) in about 21.3 rallies
NEVER = 2**15 - 1  # a rally that no game reaches
GAME = 21  # rallies of the shortest game
FOLLOWER = "calibrating_follower"
STICKY = 0.25  # as in Machado et al. 2018, arXiv 1709.06009


class Tasks(NamedTuple):
    """start; swapped [N], the rally from which the controls are exchanged; mirrored [N], whether the image is."""

    start: Start
    swapped: np.ndarray
    mirrored: np.ndarray


class State(NamedTuple):
    """cabinet, changed in place as it is played on; trial, step [N] of the coming step; waiting [N] for the others."""

    cabinet: Cabinet
    trial: np.ndarray
    step: np.ndarray
    waiting: np.ndarray


class Pong(Configured):
    """Games of Pong; see `family` for the settings."""

    most: int  # steps of a rally

    traceable: ClassVar = False
    controls: ClassVar = {"learner": FOLLOWER, "lookalike": "ball_follower", "still": "uniform"}
    # none is strong, since none looks more than a step ahead
    references: ClassVar = reference_roles(FOLLOWER, FOLLOWER, strongest=FOLLOWER, against="minimise=true")
    frame: ClassVar = (screen.HEIGHT, screen.WIDTH)  # the first bytes of an observation
    places: ClassVar = screen.PLACES  # those behind them

    @property
    def steps(self) -> int:
        """S, the most steps of a rally."""
        return self.most

    @property
    def shown(self) -> tuple[int]:
        """The frame's bytes and those that say where ball and paddles are."""
        return (screen.SHOWN,)

    def splits(self) -> tuple[Split, ...]:
        """All start with more idle frames than any game of training."""
        split, half = self.varied, self.horizon // 2
        return (
            split("fresh"),
            split("shifted:sticky", sticky=STICKY),
            split("shifted:difficulty", difficulty=1),
            split("shifted:mode", mode=1),
            split("exchanged:half", changes_at=half, swapped=half),
            split("restructured:mirror", mirrored=True),
            split("exchanged:start", counted=False, swapped=0),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        sticky: float = 0.0,
        mode: int = 0,
        difficulty: int = 0,
        swapped: int = NEVER,
        mirrored: bool = False,
    ) -> Tasks:
        """Draws n games; `swapped` is the rally from which the controls are exchanged."""
        seed, idle = (np.asarray(jax.random.bits(address(key, k), (n,))) for k in ("sticky", "idle"))
        none = np.zeros(n, np.int32)
        idle = (screen.NOOPS + 1 + idle % (2 * screen.NOOPS)).astype(np.int32)
        start = Start(seed, idle, np.full(n, sticky, np.float32), none + mode, none + difficulty)
        return Tasks(start, none + swapped, np.full(n, mirrored))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one game per task."""
        n = len(tasks.swapped)
        cabinet, zero = Cabinet(tasks.start), np.zeros(n, np.int32)
        state = State(cabinet, zero, zero, np.zeros(n, bool))
        shown = _shown(cabinet, tasks)
        none = np.full(n, -1, np.int32)
        return state, Percept(shown, none, np.zeros(n, np.float32), zero, zero, np.ones(n, bool))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: np.ndarray):
        """Plays four frames of every rally that is not over; the games are changed in place."""
        live = ~state.waiting if not state.waiting.all() else np.ones(len(action), bool)
        exchanged = state.trial >= tasks.swapped
        does = np.where(exchanged, np.take(screen.SWAPPED, action), action)
        paid = state.cabinet.play(does, live)
        over = live & ((paid != 0) | (state.step + 1 >= self.most))
        trial = (state.trial + over).astype(np.int32)
        step = np.where(over, 0, state.step + live).astype(np.int32)
        state = State(state.cabinet, trial, step, over | ~live)
        shown, act = _shown(state.cabinet, tasks), np.asarray(action, np.int32)
        return state, Percept(shown, act, paid, trial, step, np.zeros(len(action), bool)), paid

    def idle(self, state: State) -> np.ndarray:
        """[N] whose rally is over."""
        return state.waiting

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """chance, best, worst and fixed [N, T]; what pays best is on the screen, but for controls that are exchanged
        half-way: there the best that cannot adapt loses every rally after it.
        """
        shape = (len(tasks.swapped), self.horizon)
        one = np.ones(shape, np.float32)
        late = np.arange(self.horizon) >= (self.split(split).changes_at or self.horizon)
        return {"chance": CHANCE * one, "best": one, "worst": -one, "fixed": np.where(late, -one, one)}

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """The percept had the other player got the point."""
        return percept._replace(feedback=-percept.feedback)

    def strip(self, frames: int = 6, every: int = 4) -> np.ndarray:
        """Observations [F, D] of a rally in a game that stands still, for a picture of what conditions hide."""
        tasks = self.draw(jax.random.key(0), 1)
        cabinet, still, out = Cabinet(tasks.start), np.zeros(1, np.int64), []
        while len(out) < frames * every:
            cabinet.play(still, np.ones(1, bool))
            seen = cabinet.places[0, 1] > 0 and cabinet.places[0, 0] > 0
            out = [*out, _shown(cabinet, tasks)[0]] if seen else []
        return np.stack(out[::every])

    def text(self, action: int, feedback: float) -> str:
        """One step in words."""
        return f"{('stood still', 'went up', 'went down')[action]}, got {feedback:g}"


def _shown(cabinet: Cabinet, tasks: Tasks) -> np.ndarray:
    """Observations [N, 1326] of bytes."""
    mirrored = tasks.mirrored[:, None, None]
    frame = np.where(mirrored, cabinet.frame[:, :, ::-1], cabinet.frame).reshape(len(mirrored), -1)
    return np.concatenate([frame, screen.mirror(cabinet.places, tasks.mirrored)], 1)


@keep_settings(rallies=(2, GAME), steps=(2, 10_000))
def family(rallies: int = GAME, steps: int = 400) -> Pong:
    """One game of Pong, as far as its first 21 rallies: a trial is a rally.

    Args:
        rallies: T, from 2 to 21.
        steps: S, most steps of a rally, four frames each; a rally that is not over then counts 0 and goes on.
    """
    return Pong(steps, choices=3, horizon=rallies)
