"""Measures of thinking networks: mazes solved and moved goals followed after some ticks, and overwritten plans."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.agents.networks.thinking_network import (
    ThinkingNetwork,
    compute_logits,
    make_zero_state,
    project_input,
    run_layers,
    run_tick,
)
from mesascope.contracts import DoesNotApply
from mesascope.keys import derive_key_from_seed
from mesascope.reproduction.measures import Rollouts
from mesascope.rollouts.compiling import compile_loop as compiled
from mesascope.worlds.mazes import mazes

MAX_TICKS = 128  # the number of ticks of a curve
BATCH_SIZE = 256  # the number of problems that are solved at once
CACHE: dict[tuple, Any] = {}  # results for one network and one size, which several measures read


def solved(rollouts: Rollouts, ticks: int = 24) -> np.ndarray:
    """The fraction of mazes in which the plan, after some ticks, leads from the start to the goal.

    Args:
        rollouts: lifetimes that determine the network, the size of the mazes and their number.
        ticks: the number of ticks before the plan is read; without effect for a feed-forward network.
    """
    read = functools.partial(_check_solved, cells=False)
    results = _cache_result("solved", rollouts, lambda: _compute_batches(rollouts, "mazes", read))
    return results[min(ticks, len(results)) - 1][None]


def follows(rollouts: Rollouts, ticks: int = 32, thought: int = 32) -> np.ndarray:
    """The fraction of first moves that are correct for the new goal, some ticks after the goal has moved.

    Only mazes count in which no move is correct for both goals, and in which the plan was correct before the goal
    moved.

    Args:
        rollouts: lifetimes that determine the network.
        ticks: the number of ticks after the goal has moved.
        thought: the number of ticks before the goal moves.
    """
    read = functools.partial(_check_followed, thought=thought)
    results = _cache_result(f"follows {thought}", rollouts, lambda: _compute_batches(rollouts, "moves", read))
    return results[min(ticks, len(results)) - 1][None]


def overwritten(rollouts: Rollouts, radius: int = 3, ticks: int = 4, thought: int = 32) -> np.ndarray:
    """The fraction of first moves that follow another plan, which replaces the network's plan in distant cells.

    The other plan is the hidden state of the same network in the same maze with another goal; the observation stays the
    same. Only mazes count in which both goals are beyond the radius, the ways to them begin with different moves and
    leave the radius on the shortest way, and the network's first move was correct for both goals.

    Args:
        rollouts: lifetimes that determine the network.
        radius: r, in cells by rows and columns.
        ticks: the number of ticks after the replacement. States beyond the radius can affect the move after r + 1
            ticks.
        thought: the number of ticks before the replacement.
    """
    read = functools.partial(_check_overwritten, radius=radius, thought=thought)
    results = _cache_result(
        f"overwritten {radius} {thought}", rollouts, lambda: _compute_batches(rollouts, "plans", read)
    )
    return results[min(ticks, len(results)) - 1][None]


def right_moves(rollouts: Rollouts, ticks: int = 32) -> np.ndarray:
    """The fraction of a maze's cells at which the plan's move is correct, after some ticks.

    Args:
        rollouts: lifetimes that determine the network.
        ticks: the number of ticks before the plan is read.
    """
    read = functools.partial(_check_solved, cells=True)
    results = _cache_result("right", rollouts, lambda: _compute_batches(rollouts, "mazes", read))
    return results[min(ticks, len(results)) - 1][None]


def _cache_result(result: str, rollouts: Rollouts, compute_result: Any) -> np.ndarray:
    attrs, n = rollouts.trials.attrs, rollouts.trials.sizes["lifetime"]
    address = (result, attrs["fingerprint"] and str(attrs["fingerprint"]), attrs["family"], attrs["seed"], n)
    if address not in CACHE:
        CACHE[address] = compute_result()
    return CACHE[address]


def _compute_batches(rollouts: Rollouts, name: str, compute_batch: Callable[..., Any]) -> np.ndarray:
    """Computes the results of `read`, [ticks, N], for all batches of problems."""
    if not isinstance(rollouts.subject, ThinkingNetwork):
        raise DoesNotApply("the subject is not a thinking network")
    family, n = rollouts.family, rollouts.trials.sizes["lifetime"]
    parts = []
    for batch in range(-(-n // BATCH_SIZE)):
        key = derive_key_from_seed(int(rollouts.trials.attrs["seed"]), name, batch)
        parts.append(np.asarray(compute_batch(key, family, rollouts.subject)))
    return np.concatenate(parts, -1)[:, :n].astype(float)


def _choose_moves(network: ThinkingNetwork, state: jax.Array) -> jax.Array:
    """Chooses the planned move in every cell, [N, F, F]."""
    return compute_logits(network.weights, state).argmax(-1)


def _run_and_evaluate(
    network: ThinkingNetwork, state: jax.Array, problem: mazes.Problem, evaluate: Any, ticks: int
) -> jax.Array:
    """Runs a network, and computes `read`, [ticks, …], from the hidden state after every tick."""
    pictures = mazes.render_planes(problem)
    if not network.is_recurrent:
        return evaluate(run_layers(network.weights, pictures))[None]
    mix, bias = network.weights.mixing_weights[0], network.weights.bias[0]
    drive, inside = project_input(mix, pictures), pictures[..., -1:]

    def step(state, _):
        state = run_tick(mix, bias, state, drive, inside)
        return state, evaluate(state)

    return jax.lax.scan(step, state, None, length=ticks)[1]


def _compute_state(network: ThinkingNetwork, problem: mazes.Problem, ticks: int) -> jax.Array:
    """Computes the hidden states after some ticks, from zero."""
    pictures = mazes.render_planes(problem)
    if not network.is_recurrent:
        return run_layers(network.weights, pictures)
    mix, bias = network.weights.mixing_weights[0], network.weights.bias[0]
    drive, inside = project_input(mix, pictures), pictures[..., -1:]
    start = make_zero_state(network.weights, pictures)
    return jax.lax.fori_loop(0, ticks, lambda _, state: run_tick(mix, bias, state, drive, inside), start)


def _take_at_cells(values: jax.Array, cell: jax.Array) -> jax.Array:
    """Takes the entries, [N, …], of values [N, F, F, …] at the cells [N]."""
    flat = values.reshape(len(values), -1, *values.shape[3:])
    return flat[jnp.arange(len(flat)), cell]


@compiled
def _check_solved(key: jax.Array, family: Any, network: ThinkingNetwork, cells: bool = False) -> jax.Array:
    """Computes whether the plan leads to the goal, [ticks, N], or, with `cells`, the fraction of correct cells."""
    opens, goal, starts = family._draw_problems(key, BATCH_SIZE, family.size)
    problem, start = mazes.Problem(opens, goal), starts[:, 0]
    ways, to_goal = mazes.find_correct_moves(problem), mazes.measure_distances(problem)
    to_start = mazes.measure_distances(mazes.Problem(opens, start))
    on_way = to_goal + to_start == _take_at_cells(to_goal, start)[:, None, None]  # a perfect maze has one way

    def read(state):
        right = jnp.take_along_axis(ways, _choose_moves(network, state)[..., None], -1)[..., 0]
        if cells:
            return (right & (to_goal > 0)).sum((1, 2)) / (to_goal > 0).sum((1, 2))
        return (right | ~on_way | (to_goal == 0)).all((1, 2))

    return _run_and_evaluate(
        network, make_zero_state(network.weights, mazes.render_planes(problem)), problem, read, MAX_TICKS
    )


@compiled
def _check_followed(key: jax.Array, family: Any, network: ThinkingNetwork, thought: int) -> jax.Array:
    """Computes whether the first move is correct for the new goal, [ticks, N]; NaN for mazes that do not count."""
    opens, goal, starts = family._draw_problems(key, BATCH_SIZE, family.size)
    first, start = mazes.Problem(opens, goal), starts[:, 0]
    second = mazes.Problem(opens, mazes.draw_other_goal(jax.random.fold_in(key, 1), first, start))
    right_before, right_after = (_take_at_cells(mazes.find_correct_moves(p), start) for p in (first, second))
    state = _compute_state(network, first, thought)
    move = _take_at_cells(_choose_moves(network, state), start)
    counts = ~(right_before & right_after).any(-1) & right_after.any(-1) & right_before[jnp.arange(BATCH_SIZE), move]

    def read(state):
        return jnp.where(
            counts,
            right_after[jnp.arange(BATCH_SIZE), _take_at_cells(_choose_moves(network, state), start)].astype(float),
            jnp.nan,
        )

    return _run_and_evaluate(network, state, second, read, MAX_TICKS)


@compiled
def _check_overwritten(key: jax.Array, family: Any, network: ThinkingNetwork, radius: int, thought: int) -> jax.Array:
    """Computes whether the first move follows the other plan, [ticks, N]; NaN for mazes that do not count."""
    if not network.is_recurrent:
        raise DoesNotApply("the subject carries nothing")
    size = family.size
    opens, goal, starts = family._draw_problems(key, BATCH_SIZE, size)
    first, start = mazes.Problem(opens, goal), starts[:, 0]
    second = mazes.Problem(opens, mazes.draw_other_goal(jax.random.fold_in(key, 1), first, start))
    row, column = jnp.arange(size)[:, None], jnp.arange(size)
    distance = jnp.abs(row - (start // size)[:, None, None]) + jnp.abs(column - (start % size)[:, None, None])
    is_beyond = distance > radius
    state, other_state = (_compute_state(network, p, thought) for p in (first, second))
    right_before, right_after = (_take_at_cells(mazes.find_correct_moves(p), start) for p in (first, second))
    rows = jnp.arange(BATCH_SIZE)
    to_start = mazes.measure_distances(mazes.Problem(opens, start))
    counts = (
        ~(right_before & right_after).any(-1) & right_before[rows, _take_at_cells(_choose_moves(network, state), start)]
    )
    counts &= right_after.any(-1) & right_after[rows, _take_at_cells(_choose_moves(network, other_state), start)]
    for problem in (first, second):  # the way to each goal leaves the radius after r + 1 steps
        to_goal = mazes.measure_distances(problem)
        way = to_goal + to_start == _take_at_cells(to_goal, start)[:, None, None]
        counts &= (way & is_beyond & (to_start == radius + 1)).any((1, 2))
    mixed_state = jnp.where(is_beyond[..., None], other_state, state)

    def read(state):
        return jnp.where(
            counts, right_after[rows, _take_at_cells(_choose_moves(network, state), start)].astype(float), jnp.nan
        )

    return _run_and_evaluate(network, mixed_state, first, read, 4 * radius + 4)
