"""What recipes share of improving: Adam along minibatches of lifetimes, and checks of the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.errors import MesascopeError
from mesascope.keys import address

Number = float | jax.Array
STEEPEST = 0.5  # norm of a gradient; longer ones are cut
ADAM = optax.chain(optax.clip_by_global_norm(STEEPEST), optax.scale_by_adam(eps=1e-5))


def rest(network: Recurrent) -> Any:
    """Adam's memory before the first step."""
    return ADAM.init(eqx.filter(network, eqx.is_array))


def numbers(**settings: float) -> dict[str, jax.Array]:
    """Settings as arrays: data, so that trainings that differ in them share compiled code."""
    return {k: jnp.asarray(v, jnp.float32) for k, v in settings.items()}


def falling(start: Number, end: Number, done: jax.Array, total: Number) -> jax.Array:
    """A number that falls linearly from start before the first update towards end after the last."""
    return start + (end - start) * done / total


def descend(
    key: jax.Array,
    network: Recurrent,
    memory: Any,
    batch: Any,
    loss: Callable[[Recurrent, Any], jax.Array],
    *,
    rate: jax.Array,
    epochs: int,
    minibatches: int,
) -> tuple[Recurrent, Any]:
    """Goes down the slope of a loss, one step of Adam per minibatch.

    Args:
        key: of the order.
        network: before it.
        memory: Adam's.
        batch: arrays with the lifetimes on axis 1.
        loss: loss(network, part of the batch) [].
        rate: Adam's step size.
        epochs: passes over the batch, each in an order of its own.
        minibatches: parts of a batch.

    Returns:
        The network and Adam's memory after it.
    """
    arrays, still = eqx.partition(network, eqx.is_array)
    lifetimes = jax.tree.leaves(batch)[0].shape[1]

    def step(held, rows):
        arrays, memory = held
        part = jax.tree.map(lambda x: x[:, rows], batch)
        slope = jax.grad(lambda a: loss(eqx.combine(a, still), part))(arrays)
        change, memory = ADAM.update(slope, memory)
        return (jax.tree.map(lambda a, c: a - rate * c, arrays, change), memory), None

    orders = [jax.random.permutation(address(key, "order", i), lifetimes) for i in range(epochs)]
    rows = jnp.concatenate(orders).reshape(epochs * minibatches, -1)
    (arrays, memory), _ = jax.lax.scan(step, (arrays, memory), rows)
    return eqx.combine(arrays, still), memory


def check(settings: dict[str, Any], **ranges: tuple[float, float]) -> None:
    """Raises where a setting is out of range, or the lifetimes cannot be split into the minibatches.

    Args:
        settings: of a recipe.
        ranges: the least and the largest value by name; whole numbers where the setting is one.
    """
    for name, (least, most) in ranges.items():
        if not least <= settings[name] <= most:
            what = "whole number" if isinstance(settings[name], int) else "number"
            where = f"from {least:g}" + ("" if most == float("inf") else f" to {most:g}")
            raise MesascopeError(f"{name}={settings[name]} is out of range.", f"Give a {what} {where}.")
    if settings.get("lifetimes", 0) % settings.get("minibatches", 1):
        raise MesascopeError(
            f"lifetimes={settings['lifetimes']} cannot be split into minibatches={settings['minibatches']}.",
            "Give a multiple.",
        )


MANY = float("inf")
COUNTED = {"updates": (1, MANY), "lifetimes": (1, MANY), "seed": (0, MANY)}
STEPPED = {"rate": (0.0, 10.0), "final_rate": (0.0, 10.0)}
JUDGED = {"discount": (0.0, 1.0), "trace": (0.0, 1.0)}
