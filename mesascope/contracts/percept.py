"""What families share: percepts of one-step trials, random orders, settings in range, the name that one would type."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Percept
from mesascope.errors import MesascopeError

MOST_GIB = 1.0  # that what a block of lifetimes shows may take


def born(observation: jax.Array) -> Percept:
    """The start-of-life percept that shows an observation [N, D]."""
    n = len(observation)
    zero, none = jnp.zeros(n, jnp.int32), jnp.full(n, -1, jnp.int32)
    return Percept(observation, none, jnp.zeros(n), zero, zero, jnp.ones(n, bool))


def told(observation: jax.Array, action: jax.Array, feedback: jax.Array, trial: jax.Array) -> Percept:
    """The percept before trial `trial` [N]: what the last action was and what it paid."""
    still = jnp.zeros_like(trial)
    return Percept(observation, action, feedback, trial, still, still.astype(bool))


@functools.partial(jax.jit, static_argnums=(1, 2))
def orders(key: jax.Array, n: int, many: int) -> jax.Array:
    """[n, many] the numbers from 0, each row in an order of its own."""
    return jax.vmap(lambda k: jax.random.permutation(k, many))(jax.random.split(key, n))


def whole(**given: tuple[int, int, int]) -> None:
    """Raises where a setting (value, least, most) is no whole number in its range."""
    for label, (value, least, most) in given.items():
        if not least <= value <= most:
            raise MesascopeError(
                f"{label}={value} is out of range.", f"Give a whole number from {least} to {most}."
            )


def fits(numbers: int, what: str, remedy: str) -> None:
    """Raises where what one lifetime shows, so many numbers, does not fit into memory for a whole block of them."""
    size = 4 * 64 * numbers / 2**30
    if size > MOST_GIB:
        raise MesascopeError(
            f"{what} show {numbers:,} numbers in a lifetime: {size:,.1f} GiB for every block of 64.", remedy
        )


def named(factory: Callable[..., Any], **given: Any) -> str:
    """The family's name (its file's) with the given settings; bank and bank_seed only where there is a bank."""
    known = inspect.signature(factory).parameters
    shown = {k: v for k, v in given.items() if k not in ("bank", "bank_seed") and v != known[k].default}
    shown |= {k: given[k] for k in ("bank", "bank_seed") if given.get("bank")}
    settings = ",".join(f"{k}={v}" for k, v in shown.items())
    return factory.__module__.rpartition(".")[2] + (f":{settings}" if settings else "")
