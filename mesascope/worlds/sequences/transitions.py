"""What subjects of Markov chains share: the transition that a percept shows, and the family that shows one."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.family import Family, require_family
from mesascope.contracts.percept import Percept
from mesascope.worlds.sequences.families.markov_chain import MarkovChain

TRIED = "markov_chain:symbols=3,trials=12,bank=2"


class Transition(NamedTuple):
    """before and now [N, K], one-hot symbols; before is all zero where there was none."""

    before: jax.Array
    now: jax.Array


def last_transition(percept: Percept, choices: int) -> Transition:
    """The last transition that a percept shows."""
    return Transition(percept.observation[:, choices:], percept.observation[:, :choices])


def count_transition(transition: Transition) -> jax.Array:
    """[N, K, K] one where the transition went, zero elsewhere."""
    return transition.before[:, :, None] * transition.now[:, None, :]


def row(table: jax.Array, transition: Transition) -> jax.Array:
    """[N, K] the row of a table [N, K, K] that belongs to the present symbol."""
    return jnp.einsum("nij,ni->nj", table, transition.now)


def require_chain(family: Family) -> MarkovChain:
    """The family, if it shows symbols of a Markov chain.

    Raises:
        MesascopeError: it does not.
    """
    return require_family(family, MarkovChain, "shows no Markov chain", "Take --family markov_chain.")
