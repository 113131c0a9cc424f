"""Shared by subjects of Markov chains: the transition in a percept, and counts of transitions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Family, require_family
from mesascope.contracts.percept import Percept
from mesascope.worlds.sequences.families.markov_chain import MarkovChain

TRIED = "markov_chain:symbols=3,trials=12,bank=2"


class Transition(NamedTuple):
    """before and now [N, K], one-hot symbols; before is all zero at the first trial."""

    before: jax.Array
    now: jax.Array


def last_transition(percept: Percept, choices: int) -> Transition:
    """The last transition that a percept shows."""
    return Transition(percept.observation[:, choices:], percept.observation[:, :choices])


def count_transition(transition: Transition) -> jax.Array:
    """[N, K, K] 1 at the transition, 0 elsewhere."""
    return transition.before[:, :, None] * transition.now[:, None, :]


def row(table: jax.Array, transition: Transition) -> jax.Array:
    """[N, K] the row of a table [N, K, K] for the present symbol."""
    return jnp.einsum("nij,ni->nj", table, transition.now)


def require_chain(family: Family) -> MarkovChain:
    """The family, if it shows symbols of a Markov chain.

    Raises:
        MesascopeError: it does not.
    """
    return require_family(family, MarkovChain, "shows no Markov chain", "Take --family markov_chain.")
