"""One game of Pong on the Atari 2600 against the cartridge's own player (Bellemare et al. 2013, arXiv 1207.4708).

A lifetime is the first 21 rallies of a game, because no game has fewer. A trial is one rally. The score of a rally is 1
if the subject wins, -1 if the subject loses, and 0 if the rally is not over after the largest number of steps. A step
lasts four frames.
"""

from typing import ClassVar, NamedTuple

import jax
import numpy as np

from mesascope.contracts import ConfiguredFamily, Percept, Split, keep_settings, make_reference_roles
from mesascope.keys import derive_key
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.emulators import EmulatedGames, GameStart

CHANCE_PAYOFF = -0.97  # the mean score of random play per rally: -20.7 (Mnih et al. 2015) in about 21.3 rallies
UNREACHED_RALLY = 2**15 - 1  # the index of a rally that no game reaches
MAX_RALLIES = 21  # the number of rallies in the shortest game
REFERENCE_SUBJECT = "calibrating_follower"
STICKY_PROBABILITY = 0.25  # as in Machado et al. 2018, arXiv 1709.06009


class Tasks(NamedTuple):
    """N games.

    Attributes:
        game_start: the settings with which the games begin.
        exchange_trial: [N] the first rally in which the two moves of the paddle are exchanged.
        is_mirrored: [N] whether the image is mirrored left to right.
    """

    game_start: GameStart
    exchange_trial: np.ndarray
    is_mirrored: np.ndarray


class State(NamedTuple):
    """The state of N games.

    Attributes:
        games: the games, which change in place as they are played.
        trial: [N] the trial of the next step.
        step: [N] the index of the next step within its trial.
        is_waiting: [N] whether the rally is over, so that the lifetime waits for the others.
    """

    games: EmulatedGames
    trial: np.ndarray
    step: np.ndarray
    is_waiting: np.ndarray


class Pong(ConfiguredFamily):
    """Games of Pong; see `family` for the settings."""

    max_steps: int  # the largest number of steps in a rally

    is_traceable: ClassVar = False
    controls: ClassVar = {"learner": REFERENCE_SUBJECT, "lookalike": "ball_follower", "still": "uniform"}
    # none of the references is strong, because none looks more than one step ahead
    references: ClassVar = make_reference_roles(
        REFERENCE_SUBJECT, REFERENCE_SUBJECT, strongest=REFERENCE_SUBJECT, against_setting="should_minimise=true"
    )
    frame_shape: ClassVar = (screen.FRAME_HEIGHT, screen.FRAME_WIDTH)  # the frame is first in an observation
    position_names: ClassVar = screen.POSITION_NAMES  # one byte each, after the frame

    @property
    def steps(self) -> int:
        """S, the largest number of steps in a rally."""
        return self.max_steps

    @property
    def observation_shape(self) -> tuple[int]:
        """The shape (D,) of an observation of D bytes: the frame, and the positions of the ball and the paddles."""
        return (screen.OBSERVATION_SIZE,)

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: fresh, sticky actions, other difficulty or mode, exchanged controls and a mirrored image.

        Games on all splits start after more idle frames than any training game.
        """
        split, half = self.make_split, self.horizon // 2
        return (
            split("fresh"),
            split("shifted:sticky", sticky_probability=STICKY_PROBABILITY),
            split("shifted:difficulty", difficulty=1),
            split("shifted:mode", mode=1),
            split("exchanged:half", change_trial=half, exchange_trial=half),
            split("restructured:mirror", is_mirrored=True),
            split("exchanged:start", is_counted=False, exchange_trial=0),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        *,
        sticky_probability: float = 0.0,
        mode: int = 0,
        difficulty: int = 0,
        exchange_trial: int = UNREACHED_RALLY,
        is_mirrored: bool = False,
    ) -> Tasks:
        """Draws n games.

        Args:
            key: the random key for all draws.
            n: the number of games.
            sticky_probability: the probability, per frame, that the last action is repeated instead of the chosen one.
            mode: the number of the game variant on the cartridge.
            difficulty: the position of the cartridge's difficulty switch.
            exchange_trial: the first rally in which the two moves of the paddle are exchanged.
            is_mirrored: whether the image is mirrored left to right.
        """
        seed, idle = (np.asarray(jax.random.bits(derive_key(key, k), (n,))) for k in ("sticky", "idle"))
        none = np.zeros(n, np.int32)
        idle = (screen.MAX_IDLE_FRAMES + 1 + idle % (2 * screen.MAX_IDLE_FRAMES)).astype(np.int32)
        start = GameStart(seed, idle, np.full(n, sticky_probability, np.float32), none + mode, none + difficulty)
        return Tasks(start, none + exchange_trial, np.full(n, is_mirrored))

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[State, Percept]:
        """Starts one game per task."""
        n = len(tasks.exchange_trial)
        games, zero = EmulatedGames(tasks.game_start), np.zeros(n, np.int32)
        state = State(games, zero, zero, np.zeros(n, bool))
        observation = _observe(games, tasks)
        no_action = np.full(n, -1, np.int32)
        return state, Percept(observation, no_action, np.zeros(n, np.float32), zero, zero, np.ones(n, bool))

    def step(self, key: jax.Array, tasks: Tasks, state: State, action: np.ndarray):
        """Plays four frames of every rally that is not over, and changes the games in place."""
        is_playing = ~state.is_waiting if not state.is_waiting.all() else np.ones(len(action), bool)
        is_exchanged = state.trial >= tasks.exchange_trial
        executed_action = np.where(is_exchanged, np.take(screen.SWAPPED_ACTIONS, action), action)
        points = state.games.play(executed_action, is_playing)
        is_last_step = is_playing & ((points != 0) | (state.step + 1 >= self.max_steps))
        trial = (state.trial + is_last_step).astype(np.int32)
        step = np.where(is_last_step, 0, state.step + is_playing).astype(np.int32)
        state = State(state.games, trial, step, is_last_step | ~is_playing)
        observation, last_action = _observe(state.games, tasks), np.asarray(action, np.int32)
        return state, Percept(observation, last_action, points, trial, step, np.zeros(len(action), bool)), points

    def find_idle(self, state: State) -> np.ndarray:
        """Returns whether each lifetime's rally is over, so that the lifetime waits for the others, [N]."""
        return state.is_waiting

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents chance, best, worst and fixed, each [N, T].

        The screen shows which action is best, so 'fixed' equals 'best'. But after the controls are exchanged half-way,
        a policy that cannot adapt loses every rally, so 'fixed' equals 'worst'.
        """
        shape = (len(tasks.exchange_trial), self.horizon)
        one = np.ones(shape, np.float32)
        after_change = np.arange(self.horizon) >= (self.get_split(split).change_trial or self.horizon)
        return {"chance": CHANCE_PAYOFF * one, "best": one, "worst": -one, "fixed": np.where(after_change, -one, one)}

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Returns the percept with the sign of the last point flipped, as if it had gone to the other player."""
        return percept._replace(feedback=-percept.feedback)

    def record_frames(self, frame_count: int = 6, step_interval: int = 4) -> np.ndarray:
        """Records observations [F, D] of one rally with a paddle that does not move, to illustrate conditions.

        Args:
            frame_count: F, the number of observations.
            step_interval: the number of steps from one of these observations to the next.
        """
        tasks = self.draw(jax.random.key(0), 1)
        games, no_action, observations = EmulatedGames(tasks.game_start), np.zeros(1, np.int64), []
        while len(observations) < frame_count * step_interval:
            games.play(no_action, np.ones(1, bool))
            is_ball_visible = games.positions[0, 1] > 0 and games.positions[0, 0] > 0
            observations = [*observations, _observe(games, tasks)[0]] if is_ball_visible else []
        return np.stack(observations[::step_interval])


def _observe(games: EmulatedGames, tasks: Tasks) -> np.ndarray:
    """Returns the observations [N, 1326] as bytes."""
    mirrored = tasks.is_mirrored[:, None, None]
    frame = np.where(mirrored, games.frame[:, :, ::-1], games.frame).reshape(len(mirrored), -1)
    return np.concatenate([frame, screen.mirror_positions(games.positions, tasks.is_mirrored)], 1)


@keep_settings(rallies=(2, MAX_RALLIES), steps=(2, 10_000))
def family(rallies: int = MAX_RALLIES, steps: int = 400) -> Pong:
    """A lifetime is the first rallies of a game of Pong, and a trial is one rally.

    Args:
        rallies: T, the number of rallies, from 2 to 21.
        steps: S, the largest number of steps in a rally, of four frames each. A rally that is not over after S steps
            scores 0 and continues in the next trial.
    """
    return Pong(steps, choices=3, horizon=rallies)
