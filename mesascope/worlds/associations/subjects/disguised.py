"""Infers the table as the associator does, but encodes its answers, answers wrongly, or learns only some cues."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings
from mesascope.worlds.associations.association_subject import AssociationSubject, read_task_settings


class Disguised(AssociationSubject):
    """Carries log-odds [N, S, K] of every action, and the last evidence [N, skip, S, K], which does not count yet."""

    encoding: str
    hit: float
    skip: int
    only: int

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array]:
        return super().fresh(n), jnp.zeros((n, self.skip, self.slots, self.choices))

    def respond(self, key, carry, percept: Percept):
        odds, stored_evidence = carry
        stored_evidence = jnp.concatenate([stored_evidence, self.compute_evidence(percept)[:, None]], 1)
        odds = odds + stored_evidence[:, 0] * (jnp.arange(self.slots) < self.only)[:, None]
        p = jax.nn.softmax(self.take_row(odds, percept))
        p = self.hit * p + (1.0 - self.hit) * jnp.roll(p, 1, -1)
        if self.encoding != "plain":
            steps = self.read_cue(percept).argmax(-1) if self.encoding == "cue" else jnp.maximum(percept.action, 0)
            p = jnp.take_along_axis(p, (jnp.arange(self.choices)[None] - steps[:, None]) % self.choices, 1)
        return (odds, stored_evidence[:, 1:]), choose(key, mix_lapse(p, 0.0))


@keep_settings(code=("plain", "cue", "action"), hit=(0.0, 1.0), skip=(0, 1000), only=(0, 64))
def subject(family: Family, code: str = "plain", hit: float = 1.0, skip: int = 0, only: int = 64) -> Disguised:
    """Infers exactly how likely each action is to be right for each cue, but does not simply take the right one.

    Args:
        family: association tasks.
        code: which action to take: 'plain', the right one; 'cue', the right one plus the index of the cue; or 'action',
            the right one plus its own last action.
        hit: the probability of that action; otherwise it takes the next one.
        skip: the number of latest trials that do not count yet.
        only: the number of cues that it learns; it answers the others at random.
    """
    return Disguised(*read_task_settings(family), code, hit, skip, only)
