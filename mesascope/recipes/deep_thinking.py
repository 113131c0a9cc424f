"""A weight-tied network of fields that is trained to think, and its feed-forward twin.

After Schwarzschild et al. (2021, arXiv 2106.04537), with recall and from thoughts already begun (Bansal et al. 2022,
arXiv 2202.05826). A batch of problems stays from update to update, with what the network holds of each; an update
thinks on for some ticks and goes down the slope of their loss alone. So it learns to go on from wherever it is, and
never for how long. A problem whose time is over is exchanged for a fresh one, or its goal moves and the thoughts stay.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mesascope.agents.networks import thinking_network as networks
from mesascope.agents.networks.network_files import name_weights
from mesascope.agents.networks.thinking_network import Weights, logits, run_layers, tick, zero_state
from mesascope.contracts.capabilities import ShowsFields
from mesascope.contracts.family import Family
from mesascope.contracts.recipe import Progress, Trained, ignore_progress
from mesascope.errors import MesascopeError
from mesascope.keys import address
from mesascope.recipes.descent import MANY, as_arrays, check
from mesascope.recipes.rounds import Checkpoint, Run, run_rounds
from mesascope.rollouts.compiling import compile_loop

TRIED = "maze:size=5,trials=12"
SMALL = {"problems": 6, "width": 5, "ticks": 4, "window": 2}
ADAM = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99))
TESTED = 256  # fresh problems that the finished network is tried on


class State(NamedTuple):
    """weights and Adam's memory; the problems, what is held of them [N, H, W, C], ticks since each began [N]."""

    weights: Weights
    memory: Any
    problems: Any
    held: jax.Array
    age: jax.Array


def recipe(
    family: Family,
    out: str | os.PathLike,
    *,
    updates: int = 1200,
    problems: int = 64,
    width: int = 32,
    layers: int = 0,
    ticks: int = 32,
    window: int = 8,
    swaps: float = 0.5,
    rate: float = 5e-3,
    final_rate: float = 2e-4,
    seed: int = 0,
    progress: Callable[[Progress], None] = ignore_progress,
) -> Trained:
    """Trains a network of fields to think as long as it takes, on right moves at every cell.

    Args:
        family: shows fields and gives problems to train on: maze, without a bank.
        out: the folder for network.safetensors; a training begun there with the same settings goes on.
        updates: in all, each one step of Adam.
        problems: in the batch.
        width: C, channels.
        layers: 0 for a recurrent network; so many layers with weights of their own for a feed-forward one.
        ticks: that a problem has; then it is another, or its goal is.
        window: ticks of one update, through which the slope is taken.
        swaps: how often, when the time is over, the goal moves and the thoughts are kept; 0 for never.
        rate: Adam's step size at the start, falling as a half cosine.
        final_rate: the same at the end.
        seed: of the weights, the problems and all draws.
        progress: called now and then; its score is the part of the cells that are right.

    Raises:
        MesascopeError: a setting is out of range, the family shows no fields, or the folder holds another training.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    check(settings, problems=(2, MANY), width=(2, 1024), layers=(0, 512), window=(1, 512), swaps=(0.0, 1.0))
    check(settings, ticks=(window, 4096))
    if not isinstance(family, ShowsFields):
        raise MesascopeError(f"{family.name} gives no fields to train on.", "Train on maze.")
    if family.bank:
        raise MesascopeError(
            f"{family.name} has a bank; this recipe draws fresh problems.", "Leave the bank out."
        )
    if ticks % window:
        raise MesascopeError(f"ticks={ticks} is no multiple of window={window}.", "Give a multiple.")
    _, planes = networks.field_shape(family)
    key, data = (
        jax.random.key(seed),
        as_arrays(updates=updates, swaps=swaps, rate=rate, final_rate=final_rate),
    )
    choices = int(family.choices or 0)
    weights = networks.create(address(key, "weights"), width, layers, planes, choices)
    told = {"format": networks.FORMAT, "width": width, "layers": layers, "planes": planes, "choices": choices}
    compiled: Any = {"ticks": ticks, "window": window, "feed_forward": layers > 0}
    begun = _begun(key, family, weights, problems, ticks // window)

    def played(start: Checkpoint):
        state, done = start.state, start.done
        while done < updates:
            state, right = update(key, jnp.asarray(done), state, family, data, **compiled)
            done += 1
            yield Checkpoint(state, done, done * problems * window, done, [float(right)])

    def evaluated(state: State) -> list[float]:
        solved = _solved(address(key, "evaluation"), family, state.weights, ticks, layers > 0)
        return solved.astype(float).tolist()

    run = Run("deep_thinking", family, settings, updates, lambda state: (told, name_weights(state.weights)))
    return run_rounds(run, lambda: begun, played, out, progress=progress, judge=evaluated)


def _begun(key: jax.Array, family: Any, weights: Weights, many: int, parts: int) -> State:
    """Before the first update: as many problems at every age."""
    problems = family.problems(address(key, "first"), many)
    held = zero_state(weights, family.pictures(problems))
    return State(weights, ADAM.init(weights), problems, held, jnp.arange(many) % parts)


@compile_loop
def update(
    key: jax.Array,
    done: jax.Array,
    state: State,
    family: Any,
    data: dict[str, jax.Array],
    *,
    ticks: int,
    window: int,
    feed_forward: bool,
) -> tuple[State, jax.Array]:
    """Renews what has had its time, thinks on, improves.

    Args:
        key: of the training.
        done: updates before this one.
        state: before it.
        family: gives problems, pictures of them, and the right ways.
        data: the settings that are numbers.
        ticks: that a problem has.
        window: ticks of this update.
        feed_forward: whether layers stand in place of ticks.

    Returns:
        The state after it, and the part of the cells that are right at the end of the window.
    """
    own = address(key, "update", done)
    weights, memory, problems, held, age = state
    many, parts = len(age), 1 if feed_forward else ticks // window
    over = age >= parts
    swap = over & jax.random.bernoulli(address(own, "swap"), data["swaps"], (many,)) & (not feed_forward)
    fresh, moved = (
        family.problems(address(own, "fresh"), many),
        family.move_goal(address(own, "moved"), problems),
    )
    problems = _chosen(over & ~swap, fresh, _chosen(swap, moved, problems))
    held = jnp.where((over & ~swap)[:, None, None, None], 0.0, held)
    age = jnp.where(over, 0, age)
    pictures, ways = family.pictures(problems), family.ways(problems).astype(jnp.float32)
    asked = ways.any(-1)
    target = ways / jnp.maximum(ways.sum(-1, keepdims=True), 1.0)
    inside = pictures[..., -1:]

    def of(weights):
        def lossy(held):
            said = jax.nn.log_softmax(logits(weights, held))
            right = (
                jnp.take_along_axis(ways, said.argmax(-1)[..., None], -1)[..., 0] * asked
            ).sum() / asked.sum()
            return -(target * said).sum((-1, -2, -3)), right

        if feed_forward:
            held = run_layers(weights, pictures)
            loss, right = lossy(held)
            return loss.sum() / asked.sum(), (state.held, right)
        given = networks.project_input(weights.mix[0], pictures)

        def once(held, i):
            held = tick(weights.mix[0], weights.bias[0], held, given, inside)
            loss, right = lossy(held)
            late = (age * window + i + 1) / ticks  # what comes early can be right in few cells
            return held, ((loss * late).sum(), right)

        after, (losses, right) = jax.lax.scan(once, state_held, jnp.arange(window))
        return losses.sum() / (asked.sum() * window), (after, right[-1])

    state_held = held
    slope, (held, right) = jax.grad(of, has_aux=True)(weights)
    change, memory = ADAM.update(slope, memory)
    falls = 0.5 * (1 + jnp.cos(jnp.pi * done / data["updates"]))
    rate = data["final_rate"] + (data["rate"] - data["final_rate"]) * falls
    weights = jax.tree.map(lambda w, c: w - rate * c, weights, change)
    return State(weights, memory, problems, held, age + 1), right


def _chosen(which: jax.Array, one: Any, other: Any) -> Any:
    """Leaf by leaf the problems of one where `which` [N] holds, else of the other."""
    return jax.tree.map(lambda a, b: jnp.where(which.reshape(-1, *[1] * (a.ndim - 1)), a, b), one, other)


@compile_loop
def _solved(key: jax.Array, family: Any, weights: Weights, ticks: int, feed_forward: bool) -> jax.Array:
    """[TESTED] of fresh problems, whether a walk by the plan reaches the goal from every cell."""
    problems = family.problems(key, TESTED)
    pictures = family.pictures(problems)
    start = zero_state(weights, pictures)
    held = (
        run_layers(weights, pictures) if feed_forward else networks.run_ticks(weights, start, pictures, ticks)
    )
    ways = family.ways(problems)
    said = logits(weights, held).argmax(-1)
    right = jnp.take_along_axis(ways, said[..., None], -1)[..., 0] | ~ways.any(-1)
    return right.all((-1, -2))
