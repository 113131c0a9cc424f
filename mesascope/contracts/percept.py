"""The percept: what a subject observes before it acts."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = Any  # a JAX array in compiled code, a NumPy array in a Python loop


class Percept(NamedTuple):
    """Everything that a subject observes before it acts; every array has leading axis N (lifetimes).

    Attributes:
        observation: [N, D] what the task shows. D may be 0. An observation may also have several axes instead of D.
        action: [N] the last action; before the first action -1, or 0 if actions are real numbers.
        feedback: [N] the noisy pay-off of the last action, 0 before the first action.
        trial: [N] the index of the coming step's trial, from 0.
        step: [N] the index of the coming step inside its trial, from 0.
        first: [N] whether this is the first step of a lifetime.
    """

    observation: Array
    action: Array
    feedback: Array
    trial: Array
    step: Array
    first: Array


def exchange_earlier_events(percept: Percept, observation: Array) -> Percept:
    """Replaces the observation in a percept on every second trial, from trial 1 on.

    A family uses this function to exchange what an observation shows of earlier trials besides the last outcome, such
    as an earlier cue or symbol. On the other trials, only the outcome is exchanged. If the outcome and the earlier
    events were always exchanged together, a subject that uses only the relation between them would never respond
    differently.

    Args:
        percept: the percept with the opposite outcome.
        observation: [N, D] the percept's observation, in which earlier events are also exchanged.
    """
    xp = np if isinstance(observation, np.ndarray) else jnp
    odd = (percept.trial % 2 == 1).reshape(-1, *[1] * (observation.ndim - 1))
    return percept._replace(observation=xp.where(odd, observation, percept.observation))


def make_first_percept(observation: jax.Array) -> Percept:
    """Makes the first percept of a lifetime from an observation [N, D], for actions that are whole numbers."""
    n = len(observation)
    zero, none = jnp.zeros(n, jnp.int32), jnp.full(n, -1, jnp.int32)
    return Percept(observation, none, jnp.zeros(n), zero, zero, jnp.ones(n, bool))


def make_next_percept(
    observation: jax.Array, action: jax.Array, feedback: jax.Array, trial: jax.Array, step: Any = None
) -> Percept:
    """Makes the percept after an action.

    Args:
        observation: [N, D] what the task shows next.
        action: [N] the action.
        feedback: [N] the action's noisy pay-off.
        trial: [N] the index of the coming step's trial.
        step: [N] the index of the coming step inside its trial; None for 0.
    """
    zeros = jnp.zeros_like(trial)
    return Percept(observation, action, feedback, trial, zeros if step is None else step, zeros.astype(bool))
