"""A recurrent network on Pong by PPO (Schulman et al. 2017, arXiv 1707.06347), told places in place of pictures."""

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
from mesascope.contracts.family import Family
from mesascope.contracts.percept import Percept
from mesascope.contracts.recipe import Progress, Trained, ignore_progress
from mesascope.contracts.subject import choose
from mesascope.keys import address
from mesascope.recipes.descent import MANY, Plan, check
from mesascope.recipes.ppo_recurrent import Lived, clipped_loss
from mesascope.recipes.rounds import Checkpoint, Run, run_rounds
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.pong_cabinet import Cabinet, Start
from mesascope.worlds.pong.subjects.places_network import FORMAT, initialise, show_places

LATELY = 20  # games whose scores are shown
TRIED = "pong:rallies=2,steps=3"  # what `mesascope check` tries it on
SMALL = {"environments": 2, "stretch": 8, "width": 8, "minibatches": 2, "games": 1}  # and with which settings


class State(NamedTuple):
    """The network's arrays and Adam's memory."""

    network: Any
    memory: Any


class Stretch(NamedTuple):
    """What a stretch of L steps of E games leaves to train on: [L, E], the carry before it in leaves [1, E, W]."""

    lived: Lived
    first: Any
    carry: Any


def recipe(
    family: Family,
    out: str | os.PathLike,
    *,
    updates: int = 500,
    environments: int = 32,
    stretch: int = 128,
    memory: str = "gru",
    width: int = 64,
    epochs: int = 4,
    minibatches: int = 4,
    rate: float = 1e-3,
    final_rate: float = 1e-4,
    entropy: float = 0.01,
    discount: float = 0.99,
    trace: float = 0.95,
    clip: float = 0.2,
    games: int = 100,
    seed: int = 0,
    progress: Callable[[Progress], None] = ignore_progress,
) -> Trained:
    """Trains a recurrent network on Pong by PPO, told where ball and paddles are.

    Args:
        family: pong, as it is typed.
        out: the folder for network.safetensors; a training begun there with the same settings goes on.
        updates: stretches in all.
        environments: games at a time.
        stretch: steps of every game for one update; the carry goes on from one to the next.
        memory: gru, lstm or none.
        width: units.
        epochs: passes over a stretch.
        minibatches: parts of the games, each one step of Adam.
        rate: Adam's step size at the start, falling linearly.
        final_rate: the same at the end.
        entropy: weight of the policy's entropy.
        discount: γ, per step.
        trace: λ of the generalised advantage estimate.
        clip: largest change of a probability ratio that is rewarded.
        games: that evaluate the network when it is trained.
        seed: of the weights, the games and all draws.
        progress: called now and then; its score is the mean of the last 20 games played.

    Raises:
        MesascopeError: a setting is out of range, ale-py is not installed, or the folder holds another training.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    check(
        settings | {"lifetimes": environments},
        **dict.fromkeys(("environments", "stretch", "width"), (1, MANY)),
    )
    screen.refuse_others(family)
    screen.ale()
    network = initialise(address(jax.random.key(seed), "weights"), memory, width, family.choices)
    arrays, still = eqx.partition(network, eqx.is_array)
    header = {"format": FORMAT, "memory": memory, "width": width, "choices": family.choices}
    run = Run("ppo_atari", family, settings, updates, lambda state: (header, name_weights(state.network)))
    begin = State(arrays, MOVED.init(arrays))
    played_on = functools.partial(play_games, run, still)
    judge = functools.partial(evaluate, run, still)
    return run_rounds(run, lambda: begin, played_on, out, progress=progress, judge=judge)


MOVED = optax.chain(optax.clip_by_global_norm(0.5), optax.scale_by_adam(eps=1e-5))


class Table:
    """E games of Pong that follow each other, and the percepts before every step."""

    def __init__(self, games: int, seed: int) -> None:
        self.draws, none = np.random.default_rng(seed), np.zeros(games, np.int32)
        idle = self.draws.integers(0, screen.NOOPS + 1, games)
        self.cabinet = Cabinet(Start(none, idle, np.zeros(games), none, none), shown=False)
        self.action, self.feedback = np.full(games, -1, np.int32), np.zeros(games, np.float32)
        self.first, self.sums, self.scores = np.ones(games, bool), np.zeros(games), []
        self.own: list[list[float]] = [[] for _ in range(games)]  # the same by game

    def percept(self) -> Percept:
        """What the games show, without the frame."""
        shown = np.zeros((len(self.first), screen.SHOWN), np.uint8)
        shown[:, screen.SIZE :] = self.cabinet.places
        none = np.zeros(len(self.first), np.int32)
        return Percept(shown, self.action, self.feedback, none, none, self.first)

    def play(self, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One step of every game: the points [E], and whether each is over; the next one is begun then."""
        paid = self.cabinet.play(action, np.ones(len(action), bool))
        over, self.sums = self.cabinet.over.copy(), self.sums + paid
        for i in np.flatnonzero(over):
            self.scores.append(float(self.sums[i]))
            self.own[i].append(self.scores[-1])
            self.sums[i] = 0.0
            self.cabinet.begin(int(i), int(self.draws.integers(0, screen.NOOPS + 1)))
        self.action = np.where(over, -1, action).astype(np.int32)
        self.feedback = np.where(over, 0, paid).astype(np.float32)
        self.first = over
        return paid, over


def play_games(run: Run, still: Any, start: Checkpoint):
    """Plays and improves, from what a checkpoint kept; games are begun anew after an interruption."""
    s, state, done = run.settings, start.state, start.done
    table = Table(s["environments"], run.seeded("games", start.round))
    key = address(jax.random.key(s["seed"]), "acts", start.round)
    carry = eqx.combine(state.network, still).fresh(s["environments"])
    lived, plan = start.steps, Plan(s["updates"], s["rate"], s["final_rate"], clip=s["clip"])
    while done < s["updates"]:
        before, seen, acts, paid, ended = carry, [], [], [], []
        for t in range(s["stretch"]):
            percept = table.percept()
            carry, step = act(state.network, still, address(key, done), np.int32(t), carry, percept=percept)
            points, over = table.play(np.asarray(step[1]))
            for store, x in zip((seen, acts, paid, ended), (percept.first, step, points, over), strict=True):
                store.append(x)
        last = act(
            state.network, still, address(key, done), np.int32(s["stretch"]), carry, percept=table.percept()
        )[1][3]
        encoded, action, log_prob, worth = (np.stack([np.asarray(a[i]) for a in acts]) for i in range(4))
        advantage = estimate_advantages(np.stack(paid), np.stack(ended), worth, np.asarray(last), s)
        kept = jax.tree.map(lambda x: x[None], before)
        gained = Lived(encoded, action, log_prob, advantage, advantage + worth)
        stretch = Stretch(gained, np.stack(seen), kept)
        rate = s["rate"] + (s["final_rate"] - s["rate"]) * done / s["updates"]
        orders = np.random.default_rng(run.seeded("orders", done))
        for _ in range(s["epochs"]):
            for rows in np.split(orders.permutation(s["environments"]), s["minibatches"]):
                part = jax.tree.map(lambda x, rows=rows: x[:, rows], stretch)
                state = improve(state, still, part, np.float32(rate), plan, entropy=s["entropy"])
        done, lived = done + 1, lived + s["stretch"] * s["environments"]
        yield Checkpoint(state, done, lived, start.round + done, table.scores[-LATELY:])


def estimate_advantages(paid, over, worth, last, settings) -> np.ndarray:
    """Generalised advantage estimates [L, E]; nothing comes after a game's end."""
    out, later, after = np.zeros_like(worth), np.zeros_like(last), last
    for t in reversed(range(len(paid))):
        alive = 1.0 - over[t]
        surprise = paid[t] + settings["discount"] * alive * after - worth[t]
        later = surprise + settings["discount"] * settings["trace"] * alive * later
        out[t], after = later, worth[t]
    return out


@eqx.filter_jit
def act(arrays: Any, still: Any, key: jax.Array, t: Any, carry: Any, *, percept: Percept) -> tuple[Any, Any]:
    """The next carry; what it was told, the action, its log-probability and the critic's estimate."""
    network: Recurrent = eqx.combine(arrays, still)
    encoded = network.encode(show_places(percept))
    carry, features = network.memory.step(_begun(carry, percept.first), encoded)
    response = choose(jax.random.fold_in(key, t), network.log_probs(features))
    log_prob = jnp.take_along_axis(response.log_probs, response.action[:, None], 1)[:, 0]
    return carry, (encoded, response.action, log_prob, network.worth(features))


def _begun(carry: Any, first: Any) -> Any:
    """The carry, fresh where a game begins."""
    return jax.tree.map(lambda x: jnp.where(jnp.asarray(first)[:, None], 0.0, x), carry)


@eqx.filter_jit
def improve(state: State, still: Any, stretch: Stretch, rate: Any, plan: Plan, *, entropy: float) -> State:
    """One step of Adam on some of the games of a stretch."""

    def loss(arrays: Any) -> jax.Array:
        network: Recurrent = eqx.combine(arrays, still)

        def step(carry, xs):
            return network.memory.step(_begun(carry, xs[1]), xs[0])

        before = jax.tree.map(lambda x: x[0], stretch.carry)
        features = jax.lax.scan(step, before, (stretch.lived.encoded, stretch.first))[1]
        return clipped_loss(network, features, stretch.lived, plan, entropy)

    moves, memory = MOVED.update(jax.grad(loss)(state.network), state.memory)
    return State(jax.tree.map(lambda w, m: w - rate * m, state.network, moves), memory)


def evaluate(run: Run, still: Any, state: State) -> list[float]:
    """The scores of whole games, actions drawn from the policy; of every environment the same number."""
    games, each = min(run.settings["games"], 20), -(-run.settings["games"] // 20)
    table = Table(games, run.seeded("evaluation"))
    key, t = jax.random.key(run.seeded("evaluation draws")), 0
    carry = eqx.combine(state.network, still).fresh(games)
    while min(map(len, table.own)) < each:
        carry, step = act(state.network, still, key, np.int32(t), carry, percept=table.percept())
        table.play(np.asarray(step[1]))
        t += 1
    return [x for own in table.own for x in own[:each]][: run.settings["games"]]
