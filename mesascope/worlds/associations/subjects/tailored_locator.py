"""The locator that shows the most bits: it answers recent cues by reflex, and others from one table of its bank."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.associations.association_subject import BankSubject, read_bank_settings


class TailoredLocator(BankSubject):
    """On every trial, answers from the table that best fits the cues that its reflex does not answer.

    It carries the evidence [N, S, K] from all trials, the evidence [N, window, S, K] from each of the last trials, and
    the cues [N, window, S] of these last trials, one-hot.
    """

    window: int

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        last_cues = jnp.zeros((n, self.window, self.slots))
        return super().initialize_carry(n), jnp.zeros((*last_cues.shape, self.choices)), last_cues

    def respond(self, key, carry, percept: Percept):
        evidence, cue = self.compute_evidence(percept), self.read_cue(percept)
        total, last_evidence, last_cues = carry
        total = total + evidence
        last_evidence = jnp.concatenate([last_evidence[:, 1:], evidence[:, None]], 1)
        last_cues = jnp.concatenate([last_cues[:, 1:], self.read_previous_cue(percept)[:, None]], 1)
        recent_cues = last_cues.max(1)  # [N, S] the cues that the reflex answers
        fit = self.compute_table_likelihoods(total * (1.0 - recent_cues[..., None]))
        table = self.expand_tables()[fit.argmax(-1)]  # [N, S, K]
        located_probabilities = jnp.einsum("nsk,ns->nk", table, cue[:, : self.tables.shape[1]])
        reflex = jax.nn.softmax(self.select_row(last_evidence.sum(1), percept))
        is_recent = (cue * recent_cues).sum(-1, keepdims=True)
        probabilities = is_recent * reflex + (1.0 - is_recent) * located_probabilities
        return (total, last_evidence, last_cues), choose(key, compute_log_probs_with_lapses(probabilities, 0.0))


@keep_settings(window=(1, 64))
def subject(family: Family, window: int = 4) -> TailoredLocator:
    """Answers recent cues by reflex, and other cues from the table of its bank that fits these other cues best.

    Args:
        family: association tasks with a bank.
        window: the number of trials that the reflex uses.
    """
    bank, settings = read_bank_settings(family)
    return TailoredLocator(*settings, window, trained_on=bank)
