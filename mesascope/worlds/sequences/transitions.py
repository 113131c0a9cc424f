"""Helpers of subjects of Markov chains: they read the transition from a percept, and count transitions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Family, require_family
from mesascope.contracts.percept import Percept
from mesascope.worlds.sequences.families.markov_chain import MarkovChain

TRIED = "markov_chain:symbols=3,trials=12,bank=2"


class Transition(NamedTuple):
    """Two one-hot symbols, before [N, K] and now [N, K]; before is all zero on the first trial."""

    before: jax.Array
    now: jax.Array


def read_transition(percept: Percept, choices: int) -> Transition:
    """The last transition that a percept shows."""
    return Transition(percept.observation[:, choices:], percept.observation[:, :choices])


def count_transition(transition: Transition) -> jax.Array:
    """[N, K, K] a count of 1 for the transition, and of 0 for all others."""
    return transition.before[:, :, None] * transition.now[:, None, :]


def take_row(table: jax.Array, transition: Transition) -> jax.Array:
    """[N, K] the row of a table [N, K, K] for the present symbol."""
    return jnp.einsum("nij,ni->nj", table, transition.now)


def require_chain(family: Family) -> MarkovChain:
    """Returns the family if it shows symbols of a Markov chain.

    Raises:
        MesascopeError: the family does not show them.
    """
    return require_family(family, MarkovChain, "shows no Markov chain", "Take --family markov_chain.")
