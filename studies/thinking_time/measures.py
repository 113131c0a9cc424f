"""Mazes solved by ticks, goals followed by ticks, and plans overwritten at a distance, read from networks of fields."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.agents.networks.thinking_network import (
    ThinkingNetwork,
    find_logits,
    make_state,
    project_input,
    run_layers,
    run_tick,
)
from mesascope.contracts.metric import DoesNotApply
from mesascope.keys import fold_address
from mesascope.reproduction.measures import Rollouts
from mesascope.rollouts.compiling import compile_loop as compiled
from mesascope.worlds.mazes import mazes

MOST = 128  # ticks of a curve
BATCH = 256  # problems at a time
MADE: dict[tuple, Any] = {}  # what was computed for one network and one size, for all numbers that are read from it


def solved(lived: Rollouts, ticks: int = 24) -> np.ndarray:
    """Part of the mazes in which the plan after so many ticks leads from the start to the goal.

    Args:
        lived: whose network is read, in mazes of which size, and how many.
        ticks: after which the plan is read; of no matter for a feed-forward network.
    """
    read = functools.partial(_solved, cells=False)
    held = _made("solved", lived, lambda: _over(lived, "mazes", read))
    return held[min(ticks, len(held)) - 1][None]


def follows(lived: Rollouts, ticks: int = 32, thought: int = 32) -> np.ndarray:
    """Part of the first acts that are right for the goal's new place, so many ticks after it has moved.

    The new place is drawn where another act leads; only where the right acts for both are disjoint, and the plan was
    right before.

    Args:
        lived: whose network is read.
        ticks: after the move.
        thought: before it.
    """
    read = functools.partial(_followed, thought=thought)
    held = _made(f"follows {thought}", lived, lambda: _over(lived, "moves", read))
    return held[min(ticks, len(held)) - 1][None]


def overwritten(lived: Rollouts, radius: int = 3, ticks: int = 4, thought: int = 32) -> np.ndarray:
    """Part of the first acts that are those of another plan, which was written over all that is farther than a radius.

    The other plan is what the same network holds of the same maze with the goal elsewhere; what it is shown stays. Only
    where both goals are beyond the radius, the ways to them leave the start by different acts and leave the radius as
    straight as can be, and the network was right for both.

    Args:
        lived: whose network is read.
        radius: r, in cells by rows and columns.
        ticks: after the overwriting; what stands beyond the radius can reach the act in r + 1 ticks.
        thought: before it.
    """
    read = functools.partial(_overwritten, radius=radius, thought=thought)
    held = _made(f"overwritten {radius} {thought}", lived, lambda: _over(lived, "plans", read))
    return held[min(ticks, len(held)) - 1][None]


def right_moves(lived: Rollouts, ticks: int = 32) -> np.ndarray:
    """Part of the cells of a maze at which the plan's move is right, after so many ticks.

    Args:
        lived: whose network is read.
        ticks: after which the plan is read.
    """
    held = _made("right", lived, lambda: _over(lived, "mazes", functools.partial(_solved, cells=True)))
    return held[min(ticks, len(held)) - 1][None]


def _made(what: str, lived: Rollouts, make: Any) -> np.ndarray:
    told = lived.trials.attrs
    n = lived.trials.sizes["lifetime"]
    address = (what, told["fingerprint"] and str(told["fingerprint"]), told["family"], told["seed"], n)
    if address not in MADE:
        MADE[address] = make()
    return MADE[address]


def _over(lived: Rollouts, name: str, read: Callable[..., Any]) -> np.ndarray:
    """[ticks, N] what `read` gives of batches of problems."""
    if not isinstance(lived.subject, ThinkingNetwork):
        raise DoesNotApply("it is no network of fields")
    family, n = lived.family, lived.trials.sizes["lifetime"]
    parts = []
    for batch in range(-(-n // BATCH)):
        key = fold_address(int(lived.trials.attrs["seed"]), name, batch)
        parts.append(np.asarray(read(key, family, lived.subject)))
    return np.concatenate(parts, -1)[:, :n].astype(float)


def _plans(network: ThinkingNetwork, held: jax.Array) -> jax.Array:
    """[N, F, F] the move of the plan at every cell."""
    return find_logits(network.weights, held).argmax(-1)


def _curve(network: ThinkingNetwork, held: jax.Array, problem: mazes.Problem, read: Any, ticks: int) -> jax.Array:
    """[ticks, …] what `read` gives of what is held after every tick."""
    pictures = mazes.draw_planes(problem)
    if not network.recurrent:
        return read(run_layers(network.weights, pictures))[None]
    mix, bias = network.weights.mix[0], network.weights.bias[0]
    given, inside = project_input(mix, pictures), pictures[..., -1:]

    def once(held, _):
        held = run_tick(mix, bias, held, given, inside)
        return held, read(held)

    return jax.lax.scan(once, held, None, length=ticks)[1]


def _thought(network: ThinkingNetwork, problem: mazes.Problem, ticks: int) -> jax.Array:
    """What is held after so many ticks from nothing."""
    pictures = mazes.draw_planes(problem)
    if not network.recurrent:
        return run_layers(network.weights, pictures)
    mix, bias = network.weights.mix[0], network.weights.bias[0]
    given, inside = project_input(mix, pictures), pictures[..., -1:]
    start = make_state(network.weights, pictures)
    return jax.lax.fori_loop(0, ticks, lambda _, held: run_tick(mix, bias, held, given, inside), start)


def _at(values: jax.Array, cell: jax.Array) -> jax.Array:
    """[N, …] of values [N, F, F, …] at cells [N]."""
    flat = values.reshape(len(values), -1, *values.shape[3:])
    return flat[jnp.arange(len(flat)), cell]


@compiled
def _solved(key: jax.Array, family: Any, network: ThinkingNetwork, cells: bool = False) -> jax.Array:
    """[ticks, N] whether the plan leads from the start to the goal; or the part of the cells where it is right."""
    opens, goal, starts = family._drawn(key, BATCH, family.size)
    problem, start = mazes.Problem(opens, goal), starts[:, 0]
    ways, far = mazes.find_right_moves(problem), mazes.measure_distances(problem)
    back = mazes.measure_distances(mazes.Problem(opens, start))
    between = far + back == _at(far, start)[:, None, None]  # on the way, of which a perfect maze has one

    def read(held):
        right = jnp.take_along_axis(ways, _plans(network, held)[..., None], -1)[..., 0]
        if cells:
            return (right & (far > 0)).sum((1, 2)) / (far > 0).sum((1, 2))
        return (right | ~between | (far == 0)).all((1, 2))

    return _curve(network, make_state(network.weights, mazes.draw_planes(problem)), problem, read, MOST)


@compiled
def _followed(key: jax.Array, family: Any, network: ThinkingNetwork, thought: int) -> jax.Array:
    """[ticks, N] whether the act at the start is right for the new goal; NaN where nothing is asked."""
    opens, goal, starts = family._drawn(key, BATCH, family.size)
    old, start = mazes.Problem(opens, goal), starts[:, 0]
    new = mazes.Problem(opens, mazes.draw_other_goal(jax.random.fold_in(key, 1), old, start))
    was, now = (_at(mazes.find_right_moves(p), start) for p in (old, new))
    held = _thought(network, old, thought)
    act = _at(_plans(network, held), start)
    asked = ~(was & now).any(-1) & now.any(-1) & was[jnp.arange(BATCH), act]

    def read(held):
        return jnp.where(asked, now[jnp.arange(BATCH), _at(_plans(network, held), start)].astype(float), jnp.nan)

    return _curve(network, held, new, read, MOST)


@compiled
def _overwritten(key: jax.Array, family: Any, network: ThinkingNetwork, radius: int, thought: int) -> jax.Array:
    """[ticks, N] whether the act is the other plan's; NaN where nothing is asked."""
    if not network.recurrent:
        raise DoesNotApply("it carries nothing")
    size = family.size
    opens, goal, starts = family._drawn(key, BATCH, size)
    one, start = mazes.Problem(opens, goal), starts[:, 0]
    two = mazes.Problem(opens, mazes.draw_other_goal(jax.random.fold_in(key, 1), one, start))
    row, column = jnp.arange(size)[:, None], jnp.arange(size)
    away = jnp.abs(row - (start // size)[:, None, None]) + jnp.abs(column - (start % size)[:, None, None])
    beyond = away > radius
    held, other = (_thought(network, p, thought) for p in (one, two))
    was, now = (_at(mazes.find_right_moves(p), start) for p in (one, two))
    each = jnp.arange(BATCH)
    back = mazes.measure_distances(mazes.Problem(opens, start))
    asked = ~(was & now).any(-1) & was[each, _at(_plans(network, held), start)]
    asked &= now.any(-1) & now[each, _at(_plans(network, other), start)]
    for problem in (one, two):  # the way to each goal is out of the radius after r + 1 steps
        far = mazes.measure_distances(problem)
        way = far + back == _at(far, start)[:, None, None]
        asked &= (way & beyond & (back == radius + 1)).any((1, 2))
    mixed = jnp.where(beyond[..., None], other, held)

    def read(held):
        return jnp.where(asked, now[each, _at(_plans(network, held), start)].astype(float), jnp.nan)

    return _curve(network, mixed, one, read, 4 * radius + 4)
