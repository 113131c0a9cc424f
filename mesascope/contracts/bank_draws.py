"""Draws banks of training tasks, and tasks from a bank."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from mesascope.errors import MesascopeError
from mesascope.keys import derive_key

T = TypeVar("T")


def draw_bank(
    draw: Callable[[jax.Array], T],
    size: int,
    seed: int,
    *,
    find_property: Callable[[T], np.ndarray],
    description: str,
    remedy: str = "Take a larger bank.",
) -> T | None:
    """Draws a bank of M tasks that do not all agree in a property, such as the best arm.

    Args:
        draw: draw(key) draws M tasks, a pytree or array.
        size: M, the number of tasks, or 0 for no bank. If M is 1, any task is accepted.
        seed: the seed of the draw.
        find_property: find_property(tasks) returns the property of each task, an array [M, ...].
        description: what the error message says about the bank after its size, such as 'with two different best arms'.
        remedy: the remedy in the error message.

    Returns:
        The tasks; None if `size` is 0.

    Raises:
        MesascopeError: in each of a thousand draws, all tasks had the same property.
    """
    if not size:
        return None
    for attempt in range(1000):
        tasks = draw(derive_key(jax.random.key(seed), "bank", attempt))
        if size == 1 or len(np.unique(find_property(tasks), axis=0)) > 1:
            return tasks
    raise MesascopeError(f"In 1,000 draws there was no bank of {size} {description}.", remedy)


def draw_from_bank(key: jax.Array, bank: Any, n: int) -> Any:
    """Draws n tasks uniformly and with replacement from a bank; the leaves of the result have leading axis n."""
    indices = jax.random.randint(key, (n,), 0, len(jax.tree.leaves(bank)[0]))
    return jax.tree.map(lambda x: x[indices], bank)
