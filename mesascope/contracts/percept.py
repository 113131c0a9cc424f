"""What a subject sees before it acts."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = Any  # of JAX in compiled code, of NumPy for looped subjects


class Percept(NamedTuple):
    """All that a subject sees before it acts; every array has leading axis N (lifetimes).

    Attributes:
        observation: [N, D] what the task shows; D may be 0, and several axes may stand in its place.
        action: [N] the last action, -1 before the first; a real number, 0 before the first, where actions are real.
        feedback: [N] the noisy pay-off of the last action, 0 before the first.
        trial: [N] index of the trial of the coming step, from 0.
        step: [N] index of the coming step inside its trial, from 0.
        first: [N] true at the first step of a lifetime.
    """

    observation: Array
    action: Array
    feedback: Array
    trial: Array
    step: Array
    first: Array


def first_percept(observation: jax.Array) -> Percept:
    """The start-of-life percept that shows an observation [N, D]."""
    n = len(observation)
    zero, none = jnp.zeros(n, jnp.int32), jnp.full(n, -1, jnp.int32)
    return Percept(observation, none, jnp.zeros(n), zero, zero, jnp.ones(n, bool))


def next_percept(
    observation: jax.Array, action: jax.Array, feedback: jax.Array, trial: jax.Array, step: Any = None
) -> Percept:
    """The percept before trial `trial` [N] and its step [N], the first where None: what the last action paid."""
    still = jnp.zeros_like(trial)
    return Percept(observation, action, feedback, trial, still if step is None else step, still.astype(bool))
