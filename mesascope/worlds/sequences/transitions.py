"""Shared code of scripted subjects of Markov chains, which read the last transition from the percept."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, require_family
from mesascope.worlds.sequences.families.markov_chain import MarkovChain


class TransitionSubject(ChoosingSubject):
    """A subject that carries a table [N, K, K] with one row for each symbol; the fresh carry is a table of zeros."""

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns a table of zeros."""
        return jnp.zeros((n, self.choices, self.choices))

    def count_transition(self, percept: Percept) -> jax.Array:
        """Counts the last transition: returns [N, K, K], 1 for it and 0 for all others; on the first trial all 0."""
        present, before = split_symbols(percept, self.choices)
        return before[:, :, None] * present[:, None, :]

    def take_current_row(self, table: jax.Array, percept: Percept) -> jax.Array:
        """Returns the row [N, K] of a table [N, K, K] for the present symbol."""
        return jnp.einsum("nij,ni->nj", table, split_symbols(percept, self.choices)[0])


def split_symbols(percept: Percept, choices: int) -> tuple[jax.Array, jax.Array]:
    """Splits the observation into the present symbol and the symbol before it, one-hot [N, K] each.

    On the first trial, the second array is zero.
    """
    return percept.observation[:, :choices], percept.observation[:, choices:]


def require_chain(family: Family) -> MarkovChain:
    """Returns the family if it shows symbols of a Markov chain.

    Raises:
        MesascopeError: the family does not show symbols of a Markov chain.
    """
    return require_family(family, MarkovChain, "shows no Markov chain", "Take --family markov_chain.")
