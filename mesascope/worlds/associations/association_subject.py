"""Shared code of the association tasks' subjects, which infer correct actions for the cues from their percepts."""

import jax
import jax.numpy as jnp

from mesascope.contracts import ChoosingSubject, Family, Percept, require_bank, require_family
from mesascope.worlds.associations.families.associations import Associations

MARGIN = 1e-4  # probabilities are kept at least this far from 0 and 1


class AssociationSubject(ChoosingSubject):
    """A scripted subject of association tasks. By default its fresh carry is a table of zeros, [N, S, K].

    The table has a row for each of the S cues and a column for each of the K actions.

    Attributes:
        slots: S, the number of cues that the observation has room for.
        outcome: what the subject observes after a trial: 'right' (the correct action) or 'payoff' (only the pay-off
            of its own action).
        payoffs: [2] the family's settings `low` and `high`; see `associations.family`.
    """

    slots: int
    outcome: str
    payoffs: jax.Array

    def initialize_carry(self, n: int):
        return jnp.zeros((n, self.slots, self.choices))

    def read_cue(self, percept: Percept) -> jax.Array:
        """Reads the current cue [N, S], one-hot."""
        return percept.observation[:, : self.slots]

    def read_previous_cue(self, percept: Percept) -> jax.Array:
        """Reads the previous cue [N, S], one-hot; zeros before the first trial ends."""
        return percept.observation[:, self.slots : 2 * self.slots]

    def select_row(self, table: jax.Array, percept: Percept) -> jax.Array:
        """Selects the row [N, K] of a table [N, S, K] for the current cue."""
        return (self.read_cue(percept)[..., None] * table).sum(1)

    def compute_evidence(self, percept: Percept) -> jax.Array:
        """Computes the log-likelihood of the last outcome if each action is the correct one for the previous cue.

        In the result [N, S, K], a constant is left out, and the rows of the other cues are 0.
        """
        low, high = self.payoffs
        if self.outcome == "right":
            shown_action = percept.observation[:, 2 * self.slots :]
            wrong, right = (jnp.clip(p, MARGIN, 1.0) for p in (low, 1.0 - low * (self.choices - 1)))
            log_likelihood = shown_action * (jnp.log(right) - jnp.log(wrong))
        else:
            low, high = (jnp.clip(p, MARGIN, 1.0 - MARGIN) for p in (low, high))
            if_paid, if_not_paid = jnp.log(high) - jnp.log(low), jnp.log1p(-high) - jnp.log1p(-low)
            log_ratio = jnp.where(percept.feedback > 0.5, if_paid, if_not_paid)[:, None]
            log_likelihood = jax.nn.one_hot(percept.action, self.choices) * log_ratio
        return self.read_previous_cue(percept)[..., None] * log_likelihood[:, None]


class BankSubject(AssociationSubject):
    """A subject of association tasks that knows the tables of a bank."""

    tables: jax.Array  # [M, S] the correct action for each cue

    def expand_tables(self) -> jax.Array:
        """Expands the tables to one-hot actions [M, S, K]."""
        return jax.nn.one_hot(self.tables, self.choices)

    def compute_table_likelihoods(self, evidence: jax.Array) -> jax.Array:
        """Computes the log-likelihood [N, M] of each table, given the evidence [N, S, K]."""
        return jnp.einsum("nsk,msk->nm", evidence[:, : self.tables.shape[1]], self.expand_tables())

    def average_answers(self, weights: jax.Array, percept: Percept) -> jax.Array:
        """Averages the tables' one-hot answers to the current cue with the weights [N, M]; returns [N, K]."""
        cue = self.read_cue(percept)[:, : self.tables.shape[1]]
        return jnp.einsum("nm,msk,ns->nk", weights, self.expand_tables(), cue)


def require_associations(family: Family) -> Associations:
    """Returns the family if it has association tasks.

    Raises:
        MesascopeError: the family does not have association tasks.
    """
    return require_family(family, Associations, "shows no cues with correct actions", "Use --family associations.")


def read_task_settings(family: Family) -> tuple[int, int, str, jax.Array]:
    """Returns the first arguments of the scripted subjects' constructors: K, and the fields of `AssociationSubject`.

    Raises:
        MesascopeError: the family does not have association tasks.
    """
    task = require_associations(family)
    return task.choices, task.slots, task.outcome, task.payoffs


def read_bank_settings(
    family: Family, purpose: str = "locate one in"
) -> tuple[str, tuple[int, int, str, jax.Array, jax.Array]]:
    """Returns the name of the family's bank, and the first arguments of every `BankSubject`'s constructor.

    Args:
        family: any family.
        purpose: what the subject uses the tables for, as a verb phrase after 'to'; the error message for a family
            without a bank contains it.

    Raises:
        MesascopeError: the family does not have association tasks, or has no bank.
    """
    settings, tables = read_task_settings(family), require_associations(family).bank_tables
    bank, tables = require_bank(family, tables, f"has no bank of tables to {purpose}", "Use associations:bank=4.")
    return bank, (*settings, tables)
