"""Infers the table as the associator does, but encodes its answers, answers wrongly, or learns only some cues."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.worlds.associations.association_subject import AssociationSubject, read_task_settings


class DisguisedAssociator(AssociationSubject):
    """Carries the log-odds of actions, [N, S, K], and the evidence that does not count yet, [N, delay, S, K]."""

    action_mapping: str
    hit_probability: float
    delay: int
    learned_cues: int

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        return super().initialize_carry(n), jnp.zeros((n, self.delay, self.slots, self.choices))

    def respond(self, key, carry, percept: Percept):
        odds, stored_evidence = carry
        stored_evidence = jnp.concatenate([stored_evidence, self.compute_evidence(percept)[:, None]], 1)
        odds = odds + stored_evidence[:, 0] * (jnp.arange(self.slots) < self.learned_cues)[:, None]
        p = jax.nn.softmax(self.select_row(odds, percept))
        p = self.hit_probability * p + (1.0 - self.hit_probability) * jnp.roll(p, 1, -1)
        if self.action_mapping != "plain":
            steps = (
                self.read_cue(percept).argmax(-1) if self.action_mapping == "cue" else jnp.maximum(percept.action, 0)
            )
            p = jnp.take_along_axis(p, (jnp.arange(self.choices)[None] - steps[:, None]) % self.choices, 1)
        return (odds, stored_evidence[:, 1:]), choose(key, compute_log_probs_with_lapses(p, 0.0))


@keep_settings(
    action_mapping=("plain", "cue", "action"), hit_probability=(0.0, 1.0), delay=(0, 1000), learned_cues=(0, 64)
)
def subject(
    family: Family, action_mapping: str = "plain", hit_probability: float = 1.0, delay: int = 0, learned_cues: int = 64
) -> DisguisedAssociator:
    """Infers exactly how likely each action is to be correct for each cue, but does not simply take the correct one.

    Args:
        family: association tasks.
        action_mapping: which action to take: 'plain', the correct one; 'cue', the correct one plus the index of the
            cue, modulo K; or 'action', the correct one plus the subject's last action, modulo K.
        hit_probability: the probability of taking the action of `action_mapping`; otherwise the subject takes the
            action after it.
        delay: the number of latest trials that the subject ignores for the present; it uses each of them later.
        learned_cues: the number of cues that the subject learns, from the first; it answers the others at random.
    """
    return DisguisedAssociator(*read_task_settings(family), action_mapping, hit_probability, delay, learned_cues)
