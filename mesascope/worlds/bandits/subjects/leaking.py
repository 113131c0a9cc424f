"""A faulty subject that passes its carry from one lifetime to the next; mesascope must refuse it."""

import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_posterior_means,
    count_last_outcome,
    keep_settings,
)


class CarryStore:
    """Keeps the last carry between lifetimes, outside the subject's arrays, so that a check of arrays misses it."""

    last_carry: np.ndarray | None = None


class LeakingSubject(ChoosingSubject):
    """Carries counts [N, K, 2]; chooses by softmax over posterior means; starts with the last lifetime's counts."""

    carry_store: Any

    is_traceable: ClassVar[bool] = False

    def initialize_carry(self, n: int) -> np.ndarray:
        """Returns the last carry of the previous lifetimes; zeros if there is none for this number of lifetimes."""
        if self.carry_store.last_carry is None or len(self.carry_store.last_carry) != n:
            return np.zeros((n, self.choices, 2), np.float32)
        return self.carry_store.last_carry.copy()

    def respond(self, key, carry, percept: Percept):
        """Counts the last outcome, stores the counts, and chooses by softmax."""
        carry, response = _update_and_choose(key, jnp.asarray(carry), percept, self.choices)
        self.carry_store.last_carry = np.asarray(carry)
        return self.carry_store.last_carry, response


@functools.partial(jax.jit, static_argnames="choices")
def _update_and_choose(key, carry, percept, choices):
    carry = carry + count_last_outcome(percept, choices)
    return carry, choose(key, jax.nn.log_softmax(8.0 * compute_posterior_means(carry)))


@keep_settings
def subject(family: Family) -> LeakingSubject:
    """A faulty subject that passes its carry from one lifetime to the next; mesascope must refuse it."""
    return LeakingSubject(family.choices, CarryStore())
