"""Trains a weight-tied convolutional network to iterate, or its feed-forward twin.

The method is that of Schwarzschild et al. (2021, arXiv 2106.04537), with recall and progressive training from
intermediate states (Bansal et al. 2022, arXiv 2202.05826). A batch of problems and the network's activations persist
from update to update. Each update runs a few more ticks and follows the gradient of the loss over those ticks alone. So
the network learns to continue from any state, and not for a fixed number of ticks. When a problem has had all its
ticks, a fresh problem replaces it, or its goal moves and the activations stay.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mesascope.agents.networks import thinking_network as networks
from mesascope.agents.networks.network_files import name_weights
from mesascope.agents.networks.thinking_network import Weights, find_logits, make_state, run_layers, run_tick
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
TEST_PROBLEMS = 256  # the number of fresh problems for evaluating the trained network


class State(NamedTuple):
    """Weights, Adam's memory, problems, activations [N, H, W, C], and the updates since each problem began [N]."""

    weights: Weights
    memory: Any
    problems: Any
    activations: jax.Array
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
    """Trains a network to think for as long as a problem needs, with the right move in every cell as the target.

    Args:
        family: a family that shows grids of cells and gives training problems, such as maze, without a bank.
        out: the folder for network.safetensors; a training run that began there with the same settings continues.
        updates: the number of updates; each is one step of Adam.
        problems: the number of problems in the batch.
        width: C, the number of channels.
        layers: 0 for a recurrent network; else the number of layers, with separate weights, of a feed-forward one.
        ticks: the number of ticks for each problem; then another problem replaces it, or its goal moves.
        window: the number of ticks in an update, through which the gradient is taken.
        swaps: the probability that, after these ticks, the goal moves and the activations stay; 0 for never.
        rate: Adam's step size at the start; it falls as a half cosine.
        final_rate: Adam's step size at the end.
        seed: the seed of the weights, the problems and all random draws.
        progress: called after every update; its score is the share of cells with a right move.

    Raises:
        MesascopeError: a setting is out of range, the family shows no grids, or the folder contains another training
            run.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    check(settings, problems=(2, MANY), width=(2, 1024), layers=(0, 512), window=(1, 512), swaps=(0.0, 1.0))
    check(settings, ticks=(window, 4096))
    if not isinstance(family, ShowsFields):
        raise MesascopeError(f"{family.name} does not give grids to train on.", "Train on maze.")
    if family.bank:
        raise MesascopeError(f"{family.name} has a bank, but this recipe draws fresh problems.", "Leave the bank out.")
    if ticks % window:
        raise MesascopeError(f"ticks={ticks} is not a multiple of window={window}.", "Give a multiple.")
    _, planes = networks.find_shape(family)
    key, data = (jax.random.key(seed), as_arrays(updates=updates, swaps=swaps, rate=rate, final_rate=final_rate))
    choices = int(family.choices or 0)
    weights = networks.create(address(key, "weights"), width, layers, planes, choices)
    metadata = {"format": networks.FORMAT, "width": width, "layers": layers, "planes": planes, "choices": choices}
    compiled_settings: Any = {"ticks": ticks, "window": window, "feed_forward": layers > 0}
    initial = _begin(key, family, weights, problems, ticks // window)

    def play(start: Checkpoint):
        state, done = start.state, start.done
        while done < updates:
            state, right = update(key, jnp.asarray(done), state, family, data, **compiled_settings)
            done += 1
            yield Checkpoint(state, done, done * problems * window, done, [float(right)])

    def evaluate(state: State) -> list[float]:
        solved = _check_solved(address(key, "evaluation"), family, state.weights, ticks, layers > 0)
        return solved.astype(float).tolist()

    run = Run("deep_thinking", family, settings, updates, lambda state: (metadata, name_weights(state.weights)))
    return run_rounds(run, lambda: initial, play, out, progress=progress, judge=evaluate)


def _begin(key: jax.Array, family: Any, weights: Weights, n: int, parts: int) -> State:
    """The state before the first update, in which the ages of the problems are spread evenly."""
    problems = family.problems(address(key, "first"), n)
    activations = make_state(weights, family.pictures(problems))
    return State(weights, ADAM.init(weights), problems, activations, jnp.arange(n) % parts)


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
    """Replaces finished problems, runs a window of ticks on all problems, and takes one step of Adam.

    Args:
        key: the key of the training run.
        done: the number of updates before this one.
        state: the state before this update.
        family: the family, which gives problems, pictures of them, and the right moves.
        data: the settings that are data.
        ticks: the number of ticks for each problem.
        window: the number of ticks in this update.
        feed_forward: whether the network has layers instead of ticks.

    Returns:
        The state after the update, and the share of cells with a right move at the end of the window.
    """
    own = address(key, "update", done)
    weights, memory, problems, activations, age = state
    n, parts = len(age), 1 if feed_forward else ticks // window
    is_finished = age >= parts
    swap = is_finished & jax.random.bernoulli(address(own, "swap"), data["swaps"], (n,)) & (not feed_forward)
    fresh, moved = (family.problems(address(own, "fresh"), n), family.move_goal(address(own, "moved"), problems))
    problems = _select(is_finished & ~swap, fresh, _select(swap, moved, problems))
    activations = jnp.where((is_finished & ~swap)[:, None, None, None], 0.0, activations)
    age = jnp.where(is_finished, 0, age)
    pictures, ways = family.pictures(problems), family.ways(problems).astype(jnp.float32)
    is_scored = ways.any(-1)
    target = ways / jnp.maximum(ways.sum(-1, keepdims=True), 1.0)
    inside = pictures[..., -1:]

    def total_loss(weights):
        def cell_loss(activations):
            log_probs = jax.nn.log_softmax(find_logits(weights, activations))
            right = (
                jnp.take_along_axis(ways, log_probs.argmax(-1)[..., None], -1)[..., 0] * is_scored
            ).sum() / is_scored.sum()
            return -(target * log_probs).sum((-1, -2, -3)), right

        if feed_forward:
            activations = run_layers(weights, pictures)
            loss, right = cell_loss(activations)
            return loss.sum() / is_scored.sum(), (state.activations, right)
        inputs = networks.project_input(weights.mix[0], pictures)

        def think_once(activations, i):
            activations = run_tick(weights.mix[0], weights.bias[0], activations, inputs, inside)
            loss, right = cell_loss(activations)
            weight = (age * window + i + 1) / ticks  # after a few ticks, the network can be right in only a few cells
            return activations, ((loss * weight).sum(), right)

        last_state, (losses, right) = jax.lax.scan(think_once, before, jnp.arange(window))
        return losses.sum() / (is_scored.sum() * window), (last_state, right[-1])

    before = activations
    slope, (activations, right) = jax.grad(total_loss, has_aux=True)(weights)
    change, memory = ADAM.update(slope, memory)
    falls = 0.5 * (1 + jnp.cos(jnp.pi * done / data["updates"]))
    rate = data["final_rate"] + (data["rate"] - data["final_rate"]) * falls
    weights = jax.tree.map(lambda w, c: w - rate * c, weights, change)
    return State(weights, memory, problems, activations, age + 1), right


def _select(mask: jax.Array, chosen: Any, other: Any) -> Any:
    """Takes from `chosen`, in every array, the problems for which the mask [N] is true, and the rest from `other`."""
    return jax.tree.map(lambda a, b: jnp.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b), chosen, other)


@compile_loop
def _check_solved(key: jax.Array, family: Any, weights: Weights, ticks: int, feed_forward: bool) -> jax.Array:
    """[TESTED] Whether the network makes a right move in every cell, for each fresh problem."""
    problems = family.problems(key, TEST_PROBLEMS)
    pictures = family.pictures(problems)
    start = make_state(weights, pictures)
    activations = run_layers(weights, pictures) if feed_forward else networks.run_ticks(weights, start, pictures, ticks)
    ways = family.ways(problems)
    moves = find_logits(weights, activations).argmax(-1)
    right = jnp.take_along_axis(ways, moves[..., None], -1)[..., 0] | ~ways.any(-1)
    return right.all((-1, -2))
