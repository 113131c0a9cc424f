"""Hands its carry from one lifetime to the next: it must be refused."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.choices import means, outcomes
from mesascope.contracts.scripted import Choosing, Family, Percept, choose, keep_settings


class Store:
    """Where the last carry lies between lifetimes; no array, so no fingerprint sees it."""

    last: np.ndarray | None = None


class Leaking(Choosing):
    """Counts [N, K, 2], softmax over posterior means; born with the counts that the life before left."""

    store: Any

    traceable: ClassVar[bool] = False

    def fresh(self, n: int) -> np.ndarray:
        """The carry that was left behind, zeros at the very first."""
        if self.store.last is None or len(self.store.last) != n:
            return np.zeros((n, self.choices, 2), np.float32)
        return self.store.last.copy()

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, leaves the counts behind, chooses by softmax."""
        carry, response = _counted(key, jnp.asarray(carry), percept, self.choices)
        self.store.last = np.asarray(carry)
        return self.store.last, response


def _count(key, carry, percept, choices):
    carry = carry + outcomes(percept, choices)
    return carry, choose(key, jax.nn.log_softmax(8.0 * means(carry)))


_counted = jax.jit(_count, static_argnums=3)


@keep_settings
def subject(family: Family) -> Leaking:
    """Hands its carry from one lifetime to the next: it must be refused."""
    return Leaking(family.choices, Store())
