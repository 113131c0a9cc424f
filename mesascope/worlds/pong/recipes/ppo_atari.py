"""Trains a recurrent network that sees positions in Pong, not pictures, by PPO (Schulman et al. 2017, 1707.06347)."""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from mesascope.agents.networks.network_files import name_weights
from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts import Family, Percept, Progress, TrainingSummary, choose, ignore_progress
from mesascope.keys import derive_key
from mesascope.recipes.descent import NO_LIMIT, UpdateSettings, check_settings
from mesascope.recipes.ppo_recurrent import PolicyExamples, compute_clipped_loss
from mesascope.recipes.training_loop import Checkpoint, TrainingRun, run_training
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.emulators import EmulatedGames, GameStart
from mesascope.worlds.pong.subjects.places_network import FORMAT, create_untrained_network, show_positions

RECENT_GAMES = 20  # the reported score is the mean over this number of most recent games
CHECK_SETTINGS = {"environments": 2, "segment_steps": 8, "width": 8, "minibatches": 2, "games": 1}


class State(NamedTuple):
    """The network's arrays and Adam's state."""

    network: Any
    adam_state: Any


class Segment(NamedTuple):
    """A segment of E games, L steps of each, as training data.

    Attributes:
        experience: the encoded percepts, the actions with their log-probabilities, the advantages and the targets of
            the critic, [L, E] each; [L, E, D] for encoded percepts of D numbers.
        is_first: [L, E] whether a game begins at each step.
        carry: the carry before the first step, as arrays [1, E, W] for a memory of W units.
    """

    experience: PolicyExamples
    is_first: Any
    carry: Any


def recipe(
    family: Family,
    out: str | os.PathLike,
    *,
    updates: int = 500,
    environments: int = 32,
    segment_steps: int = 128,
    memory: str = "gru",
    width: int = 64,
    epochs: int = 4,
    minibatches: int = 4,
    rate: float = 1e-3,
    final_rate: float = 1e-4,
    entropy_weight: float = 0.01,
    discount: float = 0.99,
    gae_lambda: float = 0.95,
    clip: float = 0.2,
    games: int = 100,
    seed: int = 0,
    progress: Callable[[Progress], None] = ignore_progress,
) -> TrainingSummary:
    """Trains a recurrent network on Pong by PPO; the network sees the positions of the ball and the paddles.

    Args:
        family: the family `pong`.
        out: the folder for network.safetensors; a training run there with the same settings is continued.
        updates: the number of updates; each update uses one segment of every game.
        environments: the number of games played at once.
        segment_steps: the number of steps of each game per update; the carry continues from one update to the next.
        memory: the kind of the network's recurrent layer: 'gru', 'lstm' or 'none'.
        width: the number of units in the memory.
        epochs: the number of passes over a segment.
        minibatches: the number of equal parts into which the games are divided, with one step of Adam for each part.
        rate: Adam's step size at the start; it falls linearly.
        final_rate: Adam's step size at the end.
        entropy_weight: the weight of the policy's entropy in the objective.
        discount: γ, the discount per step.
        gae_lambda: λ of generalised advantage estimation.
        clip: PPO clips the probability ratio to 1 ± clip.
        games: the number of games that evaluate the trained network.
        seed: the seed of the weights, the games and all draws.
        progress: a function called after every update; the score that it receives is the mean of the last 20 finished
            games.

    Raises:
        MesascopeError: a setting is out of range, the family does not show the positions, ale-py is not installed, or
            the folder contains another training run.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    check_settings(
        settings | {"lifetimes": environments},
        **dict.fromkeys(("environments", "segment_steps", "width"), (1, NO_LIMIT)),
    )
    screen.require_positions(family)
    screen.load_ale()
    network = create_untrained_network(derive_key(jax.random.key(seed), "weights"), memory, width, family.choices)
    arrays, static = eqx.partition(network, eqx.is_array)
    header = {"format": FORMAT, "memory": memory, "width": width, "choices": family.choices}
    run = TrainingRun("ppo_atari", family, settings, updates, lambda state: (header, name_weights(state.network)))
    initial = State(arrays, OPTIMISER.init(arrays))
    play = functools.partial(play_and_update, run, static)
    score = functools.partial(evaluate, run, static)
    return run_training(run, lambda: initial, play, out, progress=progress, evaluate=score)


OPTIMISER = optax.chain(optax.clip_by_global_norm(0.5), optax.scale_by_adam(eps=1e-5))


class GamePlayer:
    """Plays E games of Pong at once, starts a new game after each that ends, and makes the percepts."""

    def __init__(self, games: int, seed: int) -> None:
        self.rng, none = np.random.default_rng(seed), np.zeros(games, np.int32)
        idle = self.rng.integers(0, screen.MAX_IDLE_FRAMES + 1, games)
        self.games = EmulatedGames(GameStart(none, idle, np.zeros(games), none, none), reads_frames=False)
        self.action, self.feedback = np.full(games, -1, np.int32), np.zeros(games, np.float32)
        self.is_first, self.game_scores, self.scores = np.ones(games, bool), np.zeros(games), []
        self.scores_by_environment: list[list[float]] = [[] for _ in range(games)]

    def make_percept(self) -> Percept:
        """Makes the percepts of the games; the frames in the observations are black."""
        observation = np.zeros((len(self.is_first), screen.OBSERVATION_SIZE), np.uint8)
        observation[:, screen.FRAME_SIZE :] = self.games.positions
        zero = np.zeros(len(self.is_first), np.int32)
        return Percept(observation, self.action, self.feedback, zero, zero, self.is_first)

    def play(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Plays one step; returns the points and whether each game ended, [E] each. Games that ended are replaced."""
        points = self.games.play(action, np.ones(len(action), bool))
        is_over, self.game_scores = self.games.is_over.copy(), self.game_scores + points
        for i in np.flatnonzero(is_over):
            self.scores.append(float(self.game_scores[i]))
            self.scores_by_environment[i].append(self.scores[-1])
            self.game_scores[i] = 0.0
            self.games.begin_game(int(i), int(self.rng.integers(0, screen.MAX_IDLE_FRAMES + 1)))
        self.action = np.where(is_over, -1, action).astype(np.int32)
        self.feedback = np.where(is_over, 0, points).astype(np.float32)
        self.is_first = is_over
        return points, is_over


def play_and_update(run: TrainingRun, static: Any, start: Checkpoint):
    """Plays and updates from a checkpoint on, and yields a checkpoint after every update.

    After an interruption, new games begin.
    """
    s, state, updates_done = run.settings, start.state, start.updates_done
    player = GamePlayer(s["environments"], run.derive_seed("games", start.round))
    key = derive_key(jax.random.key(s["seed"]), "acts", start.round)
    carry = eqx.combine(state.network, static).initialize_carry(s["environments"])
    steps, update_settings = start.steps, UpdateSettings(s["updates"], s["rate"], s["final_rate"], clip=s["clip"])
    while updates_done < s["updates"]:
        first_carry, records, step_key = carry, [], derive_key(key, updates_done)
        for t in range(s["segment_steps"]):
            percept = player.make_percept()
            carry, decision = choose_actions(state.network, static, step_key, np.int32(t), carry, percept=percept)
            records.append((percept.first, *map(np.asarray, decision), *player.play(np.asarray(decision[1]))))
        after = np.int32(s["segment_steps"])
        _, last_output = choose_actions(state.network, static, step_key, after, carry, percept=player.make_percept())
        is_first, encoded, action, log_prob, value_estimates, points, is_over = map(
            np.stack, zip(*records, strict=True)
        )
        advantage = estimate_advantages(points, is_over, value_estimates, np.asarray(last_output[3]), s)
        experience = PolicyExamples(encoded, action, log_prob, advantage, advantage + value_estimates)
        segment = Segment(experience, is_first, jax.tree.map(lambda x: x[None], first_carry))
        rate = s["rate"] + (s["final_rate"] - s["rate"]) * updates_done / s["updates"]
        orders = np.random.default_rng(run.derive_seed("orders", updates_done))
        for _ in range(s["epochs"]):
            for rows in np.split(orders.permutation(s["environments"]), s["minibatches"]):
                part = jax.tree.map(lambda x, rows=rows: x[:, rows], segment)
                state = update_weights(
                    state, static, part, np.float32(rate), update_settings, entropy_weight=s["entropy_weight"]
                )
        updates_done, steps = updates_done + 1, steps + s["segment_steps"] * s["environments"]
        yield Checkpoint(state, updates_done, steps, start.round + updates_done, player.scores[-RECENT_GAMES:])


def estimate_advantages(points, is_over, value_estimates, last_value, settings) -> np.ndarray:
    """Estimates generalised advantages [L, E]; what follows the end of a game does not count for that game."""
    advantages, next_advantage, next_value = np.zeros_like(value_estimates), np.zeros_like(last_value), last_value
    for t in reversed(range(len(points))):
        goes_on = 1.0 - is_over[t]
        error = points[t] + settings["discount"] * goes_on * next_value - value_estimates[t]
        next_advantage = error + settings["discount"] * settings["gae_lambda"] * goes_on * next_advantage
        advantages[t], next_value = next_advantage, value_estimates[t]
    return advantages


@eqx.filter_jit
def choose_actions(
    arrays: Any, static: Any, key: jax.Array, step_index: Any, carry: Any, *, percept: Percept
) -> tuple[Any, Any]:
    """Chooses actions.

    Returns:
        The next carry, and a tuple of the encoded percepts, the actions, their log-probabilities and the critic's
        estimates of the return.
    """
    network: Recurrent = eqx.combine(arrays, static)
    inputs = network.encode(show_positions(percept))
    carry, features = network.memory.step(_reset_carry(carry, percept.first), inputs)
    response = choose(jax.random.fold_in(key, step_index), network.compute_log_probs(features))
    log_prob = jnp.take_along_axis(response.log_probs, response.action[:, None], 1)[:, 0]
    return carry, (inputs, response.action, log_prob, network.estimate_return(features))


def _reset_carry(carry: Any, is_first: Any) -> Any:
    """Resets the carry of the games that begin."""
    return jax.tree.map(lambda x: jnp.where(jnp.asarray(is_first)[:, None], 0.0, x), carry)


@eqx.filter_jit
def update_weights(
    state: State, static: Any, segment: Segment, rate: Any, update_settings: UpdateSettings, *, entropy_weight: float
) -> State:
    """Takes one step of Adam on the games of `segment`, with the step size `rate`."""

    def compute_loss(arrays: Any) -> jax.Array:
        network: Recurrent = eqx.combine(arrays, static)

        def run_step(carry, xs):
            return network.memory.step(_reset_carry(carry, xs[1]), xs[0])

        before = jax.tree.map(lambda x: x[0], segment.carry)
        features = jax.lax.scan(run_step, before, (segment.experience.inputs, segment.is_first))[1]
        return compute_clipped_loss(network, features, segment.experience, update_settings, entropy_weight)

    steps, adam_state = OPTIMISER.update(jax.grad(compute_loss)(state.network), state.adam_state)
    return State(jax.tree.map(lambda w, m: w - rate * m, state.network, steps), adam_state)


def evaluate(run: TrainingRun, static: Any, state: State) -> list[float]:
    """Plays complete games with actions drawn from the policy, and returns as many scores as `games` says.

    The number of games that count has the same limit for every environment, so that short games are not
    over-represented.
    """
    games, games_each = min(run.settings["games"], 20), -(-run.settings["games"] // 20)
    player = GamePlayer(games, run.derive_seed("evaluation"))
    key, t = jax.random.key(run.derive_seed("evaluation draws")), 0
    carry = eqx.combine(state.network, static).initialize_carry(games)
    while min(map(len, player.scores_by_environment)) < games_each:
        carry, step = choose_actions(state.network, static, key, np.int32(t), carry, percept=player.make_percept())
        player.play(np.asarray(step[1]))
        t += 1
    return [x for scores in player.scores_by_environment for x in scores[:games_each]][: run.settings["games"]]
