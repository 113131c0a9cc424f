"""A deep Q-network on Pong (Mnih et al. 2015): double (van Hasselt et al. 2016, arXiv 1509.06461), with n-step returns.

The game runs in ale-py's vector environment, in threads of its own, while the compiled update works.
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
from mesascope.contracts.capabilities import ShowsFrames
from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained, ignore_progress
from mesascope.errors import MesascopeError
from mesascope.keys import address
from mesascope.recipes.descent import MANY, check
from mesascope.recipes.rounds import Checkpoint, Run, run_rounds
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.dqn_games import Games
from mesascope.worlds.pong.dqn_replay import Batch, Replay
from mesascope.worlds.pong.subjects.q_network import FORMAT, LAYERS, STACK, Sizes, Weights, create, values

STRIDES = tuple(stride for _, stride, _ in LAYERS)
TRIED = "pong:rallies=2,steps=3"  # what `mesascope check` tries it on, and with which settings
SMALL = {"environments": 2, "hidden": 8, "batch": 4, "before": 18, "replay": 64, "games": 1}


class State(NamedTuple):
    """The network, the one that its targets are from, and Adam's memory."""

    weights: Weights
    target: Weights
    memory: Any


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
    ahead: int = 4,
    discount: float = 0.99,
    rate: float = 2.5e-4,
    final_rate: float = 2.5e-5,
    target_every: int = 1_000,
    replay: int = 200_000,
    before: int = 10_000,
    explore: int = 60_000,
    epsilon: float = 0.01,
    games: int = 100,
    seed: int = 0,
    progress: Callable[[Progress], None] = ignore_progress,
) -> Trained:
    """Trains a deep Q-network on Pong, double and with n-step returns.

    Args:
        family: pong, as it is typed; the network sees the frames that it shows.
        out: the folder for network.safetensors; a training begun there with the same settings goes on.
        updates: in all, each one step of Adam on one batch.
        steps: of the environments, summed, for one update.
        environments: games at a time.
        threads: that run the games.
        hidden: units of the layer before the last.
        batch: steps drawn for an update.
        ahead: n, steps whose reward is summed before the rest is estimated.
        discount: γ, per step.
        rate: Adam's step size at the start, falling linearly.
        final_rate: the same at the end.
        target_every: updates from one copy of the network, for its targets, to the next.
        replay: steps that are kept.
        before: steps played before the first update.
        explore: steps over which ε falls linearly from 1.
        epsilon: ε after them, and of the games that evaluate.
        games: that evaluate the network when it is trained.
        seed: of the weights, the games and all draws.
        progress: called now and then; its score is the mean of the last 20 games played.

    Raises:
        MesascopeError: a setting is out of range, ale-py is not installed, or the folder holds another training.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    whole = ("steps", "environments", "threads", "hidden", "batch", "ahead", "target_every")
    check(settings, **dict.fromkeys(whole, (1, MANY)), epsilon=(0.0, 1.0))
    check(
        settings, before=(environments * (STACK + ahead + 1), MANY), explore=(1, MANY), replay=(before, MANY)
    )
    if not isinstance(family, ShowsFrames):
        raise MesascopeError(f"{family.name} shows no frames.", "Train on pong.")
    screen.ale()
    sizes = Sizes(*family.frame, STACK, hidden, family.choices)
    key = jax.random.key(seed)
    weights = create(address(key, "weights"), sizes)
    begun = State(weights, weights, MOVED.init(weights))
    told = {"format": FORMAT, **sizes._asdict(), "layers": LAYERS, "epsilon": epsilon}
    run = Run("dqn_atari", family, settings, updates, lambda state: (told, name_weights(state.weights)))
    play, judge = functools.partial(play_games, run), functools.partial(evaluate, run)
    return run_rounds(run, lambda: begun, play, out, progress=progress, judge=judge)


MOVED = optax.chain(optax.clip_by_global_norm(10.0), optax.scale_by_adam(eps=1e-6))


def play_games(run: Run, start: Checkpoint):
    """Plays and improves, from what a checkpoint kept; gives the state after every round of the environments.

    After an interruption the replay is filled anew, with the network as it stands, before the updates go on.
    """
    s = run.settings
    games = Games(s["environments"], s["threads"], run.seeded("games", start.round))
    replay = Replay(s["replay"], s["environments"], games.shape, STACK)
    rng = np.random.default_rng(run.seeded("draws", start.round))
    state, done, owed = start.state, start.done, 0.0
    ready = -(-s["before"] // s["environments"])
    stacks, age = empty_stacks(games), np.zeros(s["environments"], np.int32)
    frame, lived, round_ = games.frame, start.steps, start.round
    while done < s["updates"]:
        stacks = push_frame(stacks, frame, age)
        epsilon = 1.0 - (1.0 - s["epsilon"]) * min(1.0, lived / s["explore"])
        action = act_epsilon_greedy(rng, state.weights, stacks, epsilon)
        games.send(action)
        if replay.added >= ready:
            owed += s["environments"] / s["steps"]
        while owed >= 1 and done < s["updates"]:
            drawn = replay.sample(rng, s["batch"], s["ahead"], s["discount"])
            rate = s["rate"] + (s["final_rate"] - s["rate"]) * done / s["updates"]
            if done % s["target_every"] == 0:
                state = state._replace(target=state.weights)
            state, owed, done = update(state, drawn, np.float32(rate)), owed - 1, done + 1
        after, reward, over, fake = games.receive()
        replay.add(frame, action, reward, over, np.where(fake, -1, age))
        age = np.where(fake, 0, age + 1).astype(np.int32)
        frame, lived, round_ = after, lived + s["environments"] - int(fake.sum()), round_ + 1
        yield Checkpoint(state, done, lived, round_, games.scores)


def evaluate(run: Run, state: State) -> list[float]:
    """The scores of whole games with ε as in the settings; of every environment the same number, so none is chosen
    for its length.
    """
    many, each = min(run.settings["games"], 20), -(-run.settings["games"] // 20)
    games = Games(many, run.settings["threads"], run.seeded("evaluation"), lately=1)
    rng, scores = np.random.default_rng(run.seeded("evaluation draws")), [[] for _ in range(many)]
    stacks, age = empty_stacks(games), np.zeros(many, np.int32)
    while min(map(len, scores)) < each:
        stacks = push_frame(stacks, games.frame, age)
        games.send(act_epsilon_greedy(rng, state.weights, stacks, run.settings["epsilon"]))
        _, _, over, fake = games.receive()
        age = np.where(fake, 0, age + 1)
        for i in np.flatnonzero(over):
            scores[i].append(float(games.sums[i]))
    return [x for own in scores for x in own[:each]][: run.settings["games"]]


def empty_stacks(games: Games) -> np.ndarray:
    """Black stacks [E, stack, H, W]."""
    return np.zeros((len(games.frame), STACK, *games.shape), np.uint8)


def push_frame(stacks: np.ndarray, frame: np.ndarray, age: np.ndarray) -> np.ndarray:
    """The stacks with the next frame; black before a game's start, age 0."""
    return np.concatenate([stacks * (age > 0)[:, None, None, None], frame[:, None]], 1)[:, 1:]


def act_epsilon_greedy(
    rng: np.random.Generator, weights: Weights, stacks: np.ndarray, epsilon: float
) -> np.ndarray:
    """The best actions [E], but for a part ε of them."""
    best = np.asarray(greedy(weights, stacks))
    chance = rng.random(len(best)) < epsilon
    return np.where(chance, rng.integers(0, weights.value.shape[1], len(best)), best)


@jax.jit
def greedy(weights: Weights, stacks: jax.Array) -> jax.Array:
    """The best action [E] by stacks of frames [E, stack, H, W]."""
    return values(weights, jnp.moveaxis(stacks, 1, -1), STRIDES).argmax(-1)


@jax.jit
def update(state: State, batch: Batch, rate: jax.Array) -> State:
    """One step of Adam towards what the next steps paid and the other network expects after them."""
    frames = jnp.moveaxis(batch.frames, 1, -1)
    now, then = frames[..., :STACK], frames[..., -STACK:]
    choice = values(state.weights, then, STRIDES).argmax(-1)
    rest = jnp.take_along_axis(values(state.target, then, STRIDES), choice[:, None], 1)[:, 0]
    aim = batch.reward + batch.discount * rest

    def loss(weights: Weights) -> jax.Array:
        said = jnp.take_along_axis(values(weights, now, STRIDES), batch.action[:, None], 1)[:, 0]
        return optax.huber_loss(said, aim).mean()

    moves, memory = MOVED.update(jax.grad(loss)(state.weights), state.memory)
    weights = jax.tree.map(lambda w, m: w - rate * m, state.weights, moves)
    return State(weights, state.target, memory)
