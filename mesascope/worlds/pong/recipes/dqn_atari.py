"""Trains a double deep Q-network with n-step returns on Pong.

The method is that of Mnih et al. (2015) and van Hasselt et al. (2016, arXiv 1509.06461). The games run in ale-py's
vector environment, in separate threads, while the compiled update runs.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mesascope.agents.networks.network_files import name_weights
from mesascope.contracts import Family, Progress, ShowsFrames, TrainingSummary, ignore_progress
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key
from mesascope.recipes.descent import NO_LIMIT, check_settings
from mesascope.recipes.training_loop import Checkpoint, TrainingRun, run_training
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.replay_memory import Batch, ReplayMemory
from mesascope.worlds.pong.subjects import q_network
from mesascope.worlds.pong.subjects.q_network import STACK_SIZE, Weights, compute_values
from mesascope.worlds.pong.vector_games import VectorGames

STRIDES = tuple(stride for _, stride, _ in q_network.LAYERS)
CHECK_SETTINGS = {"environments": 2, "hidden": 8, "batch": 4, "first_steps": 18, "replay": 64, "games": 1}


class State(NamedTuple):
    """The weights of the network, the weights of the target network, and Adam's state."""

    weights: Weights
    target_weights: Weights
    adam_state: Any


def recipe(
    family: Family,
    out: str | os.PathLike,
    *,
    updates: int = 300_000,
    steps: int = 4,
    environments: int = 16,
    threads: int = 1,
    hidden: int = 128,
    batch: int = 32,
    return_steps: int = 4,
    discount: float = 0.99,
    rate: float = 2.5e-4,
    final_rate: float = 2.5e-5,
    target_every: int = 1_000,
    replay: int = 200_000,
    first_steps: int = 10_000,
    exploration_steps: int = 60_000,
    epsilon: float = 0.01,
    games: int = 100,
    seed: int = 0,
    progress: Callable[[Progress], None] = ignore_progress,
) -> TrainingSummary:
    """Trains a double deep Q-network with n-step returns on Pong.

    Args:
        family: the family `pong`, whose frames the network observes.
        out: the folder for network.safetensors; a training run there with the same settings is continued.
        updates: the number of updates; each update is one step of Adam on one batch.
        steps: the number of steps per update, counted over all environments.
        environments: the number of games played at once.
        threads: the number of threads that run the games.
        hidden: the number of units in the layer before the last.
        batch: the number of steps, drawn from the replay memory, in a batch.
        return_steps: n, the number of rewards that are summed before the value is bootstrapped.
        discount: γ, the discount per step.
        rate: Adam's step size at the start; it falls linearly.
        final_rate: Adam's step size at the end.
        target_every: the number of updates after which the weights are copied to the target network again.
        replay: the number of most recent steps that the replay memory stores, over all environments.
        first_steps: the number of steps played before the first update.
        exploration_steps: the number of steps over which ε falls linearly from 1 to `epsilon`.
        epsilon: the value of ε, the probability of a random action, after these steps and in the evaluation.
        games: the number of games that evaluate the trained network.
        seed: the seed of the weights, the games and all draws.
        progress: a function called after every step of the games; the score that it receives is the mean of the last 20
            finished games.

    Raises:
        MesascopeError: a setting is out of range, the family shows no frames, ale-py is not installed, or the folder
            contains another training run.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    positive = ("steps", "environments", "threads", "hidden", "batch", "return_steps", "target_every")
    check_settings(settings, **dict.fromkeys(positive, (1, NO_LIMIT)), epsilon=(0.0, 1.0))
    check_settings(
        settings,
        first_steps=(environments * (STACK_SIZE + return_steps + 1), NO_LIMIT),
        exploration_steps=(1, NO_LIMIT),
        replay=(first_steps, NO_LIMIT),
    )
    if not isinstance(family, ShowsFrames):
        raise MesascopeError(f"{family.name} shows no frames.", "Train on pong.")
    screen.load_ale()
    sizes = q_network.Sizes(*family.frame_shape, STACK_SIZE, hidden, family.choices)
    key = jax.random.key(seed)
    weights = q_network.create_weights(derive_key(key, "weights"), sizes)
    initial = State(weights, weights, OPTIMISER.init(weights))
    metadata = {"format": q_network.FORMAT, **sizes._asdict(), "layers": q_network.LAYERS, "epsilon": epsilon}
    run = TrainingRun("dqn_atari", family, settings, updates, lambda state: (metadata, name_weights(state.weights)))
    play, score = functools.partial(play_and_update, run), functools.partial(evaluate, run)
    return run_training(run, lambda: initial, play, out, progress=progress, evaluate=score)


OPTIMISER = optax.chain(optax.clip_by_global_norm(10.0), optax.scale_by_adam(eps=1e-6))


def play_and_update(run: TrainingRun, start: Checkpoint):
    """Plays and updates from a checkpoint on, and yields a checkpoint after every step of the environments.

    After an interruption, the present network first plays until a new replay memory contains `first_steps` steps. Then
    updates continue.
    """
    s = run.settings
    games = VectorGames(s["environments"], s["threads"], run.derive_seed("games", start.round))
    replay = ReplayMemory(s["replay"], s["environments"], games.shape, STACK_SIZE)
    rng = np.random.default_rng(run.derive_seed("draws", start.round))
    state, updates_done, updates_due = start.state, start.updates_done, 0.0
    first_update = -(-s["first_steps"] // s["environments"])
    stacks, game_steps = make_empty_stacks(games), np.zeros(s["environments"], np.int32)
    frame, steps, round_ = games.frame, start.steps, start.round
    while updates_done < s["updates"]:
        stacks = push_frame(stacks, frame, game_steps)
        epsilon = 1.0 - (1.0 - s["epsilon"]) * min(1.0, steps / s["exploration_steps"])
        action = choose_epsilon_greedy_actions(rng, state.weights, stacks, epsilon)
        games.send_actions(action)
        if replay.n_added >= first_update:
            updates_due += s["environments"] / s["steps"]
        while updates_due >= 1 and updates_done < s["updates"]:
            batch = replay.sample(rng, s["batch"], s["return_steps"], s["discount"])
            rate = s["rate"] + (s["final_rate"] - s["rate"]) * updates_done / s["updates"]
            if updates_done % s["target_every"] == 0:
                state = state._replace(target_weights=state.weights)
            state, updates_due, updates_done = (
                update_weights(state, batch, np.float32(rate)),
                updates_due - 1,
                updates_done + 1,
            )
        next_frame, reward, is_over, is_fake = games.receive_results()
        replay.add(frame, action, reward, is_over, np.where(is_fake, -1, game_steps))
        game_steps = np.where(is_fake, 0, game_steps + 1).astype(np.int32)
        frame, steps, round_ = next_frame, steps + s["environments"] - int(is_fake.sum()), round_ + 1
        yield Checkpoint(state, updates_done, steps, round_, games.scores)


def evaluate(run: TrainingRun, state: State) -> list[float]:
    """Plays complete games with the ε of the settings, and returns as many scores as the setting `games` says.

    The number of games that count has the same limit for every environment, so that short games are not
    over-represented.
    """
    environments, games_each = min(run.settings["games"], 20), -(-run.settings["games"] // 20)
    games = VectorGames(environments, run.settings["threads"], run.derive_seed("evaluation"), recent_games=1)
    rng, scores = np.random.default_rng(run.derive_seed("evaluation draws")), [[] for _ in range(environments)]
    stacks, game_steps = make_empty_stacks(games), np.zeros(environments, np.int32)
    while min(map(len, scores)) < games_each:
        stacks = push_frame(stacks, games.frame, game_steps)
        games.send_actions(choose_epsilon_greedy_actions(rng, state.weights, stacks, run.settings["epsilon"]))
        _, _, is_over, is_fake = games.receive_results()
        game_steps = np.where(is_fake, 0, game_steps + 1)
        for i in np.flatnonzero(is_over):
            scores[i].append(float(games.game_scores[i]))
    return [x for scores_of_one in scores for x in scores_of_one[:games_each]][: run.settings["games"]]


def make_empty_stacks(games: VectorGames) -> np.ndarray:
    """Makes stacks of black frames for E games, [E, stack, H, W], where H and W are the height and width of a frame."""
    return np.zeros((len(games.frame), STACK_SIZE, *games.shape), np.uint8)


def push_frame(stacks: np.ndarray, frame: np.ndarray, game_steps: np.ndarray) -> np.ndarray:
    """Adds the next frame to each stack and drops the oldest; if a game begins, all earlier frames become black."""
    return np.concatenate([stacks * (game_steps > 0)[:, None, None, None], frame[:, None]], 1)[:, 1:]


def choose_epsilon_greedy_actions(
    rng: np.random.Generator, weights: Weights, stacks: np.ndarray, epsilon: float
) -> np.ndarray:
    """Chooses the best actions [E], each replaced by a random action with probability ε."""
    best = np.asarray(choose_greedy_actions(weights, stacks))
    is_random = rng.random(len(best)) < epsilon
    return np.where(is_random, rng.integers(0, weights.value_weights.shape[1], len(best)), best)


@jax.jit
def choose_greedy_actions(weights: Weights, stacks: jax.Array) -> jax.Array:
    """Chooses the best action [E] for each stack of frames [E, stack, H, W]."""
    return compute_values(weights, jnp.moveaxis(stacks, 1, -1), STRIDES).argmax(-1)


@jax.jit
def update_weights(state: State, batch: Batch, rate: jax.Array) -> State:
    """Takes one step of Adam towards the n-step return, bootstrapped with the target network."""
    frames = jnp.moveaxis(batch.frames, 1, -1)
    present, later = frames[..., :STACK_SIZE], frames[..., -STACK_SIZE:]
    choice = compute_values(state.weights, later, STRIDES).argmax(-1)
    value = jnp.take_along_axis(compute_values(state.target_weights, later, STRIDES), choice[:, None], 1)[:, 0]
    target = batch.reward + batch.discount * value

    def compute_loss(weights: Weights) -> jax.Array:
        value_taken = jnp.take_along_axis(compute_values(weights, present, STRIDES), batch.action[:, None], 1)[:, 0]
        return optax.huber_loss(value_taken, target).mean()

    steps, adam_state = OPTIMISER.update(jax.grad(compute_loss)(state.weights), state.adam_state)
    weights = jax.tree.map(lambda w, m: w - rate * m, state.weights, steps)
    return State(weights, state.target_weights, adam_state)
