"""Shared code of the subjects of Markov chains, which read the last transition from a percept and count transitions."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Choosing, Family, Percept, require_family
from mesascope.worlds.sequences.families.markov_chain import MarkovChain


class TransitionSubject(Choosing):
    """A subject that carries a table [N, K, K] with one row for each symbol, zeros at birth."""

    def fresh(self, n: int) -> jax.Array:
        """Returns a table of zeros."""
        return jnp.zeros((n, self.choices, self.choices))

    def count_transition(self, percept: Percept) -> jax.Array:
        """[N, K, K] A count of 1 for the last transition, and of 0 for all others."""
        present, before = split_symbols(percept, self.choices)
        return before[:, :, None] * present[:, None, :]

    def take_present_row(self, table: jax.Array, percept: Percept) -> jax.Array:
        """[N, K] The row of a table [N, K, K] for the present symbol."""
        return jnp.einsum("nij,ni->nj", table, split_symbols(percept, self.choices)[0])


def split_symbols(percept: Percept, choices: int) -> tuple[jax.Array, jax.Array]:
    """The present symbol and the one before it, one-hot [N, K]; on the first trial the one before is all zero."""
    return percept.observation[:, :choices], percept.observation[:, choices:]


def require_chain(family: Family) -> MarkovChain:
    """Returns the family if it shows symbols of a Markov chain.

    Raises:
        MesascopeError: the family does not show such symbols.
    """
    return require_family(family, MarkovChain, "shows no Markov chain", "Take --family markov_chain.")
