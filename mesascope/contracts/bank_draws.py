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
    """Draws a bank of tasks that do not all have the same property; None if `size` is 0.

    `find_property` returns the property of each of the M tasks [M, ...].

    Raises:
        MesascopeError: none of a thousand draws gave such a bank. The message names the tasks with `description`.
    """
    if not size:
        return None
    for attempt in range(1000):
        tasks = draw(derive_key(jax.random.key(seed), "bank", attempt))
        if size == 1 or len(np.unique(find_property(tasks), axis=0)) > 1:
            return tasks
    raise MesascopeError(f"In 1,000 draws there was no bank of {size} {description}.", remedy)


def draw_from_bank(key: jax.Array, bank: Any, n: int) -> Any:
    """Draws n tasks uniformly from a bank; the leading axis of the leaves, M in the bank, is n in the result."""
    indices = jax.random.randint(key, (n,), 0, len(jax.tree.leaves(bank)[0]))
    return jax.tree.map(lambda x: x[indices], bank)
