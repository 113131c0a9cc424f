"""Gives each cue the answer that it gave the first time, whatever was right: a table of its own making."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings
from mesascope.worlds.associations.evidence import TRIED as TRIED
from mesascope.worlds.associations.evidence import Cued, of_task


class FirstAnswer(Cued):
    """Carries its first answer to each cue, one-hot [N, S, K]; zeros for cues that it has not answered."""

    def fresh(self, n: int) -> jax.Array:
        return jnp.zeros((n, self.slots, self.choices))

    def respond(self, key, carry, percept: Percept):
        """Notes what it answered to the previous cue if that was new; never looks at what was right."""
        previous = percept.observation[:, self.slots : 2 * self.slots]
        new = previous * (carry.sum(-1) < 0.5)
        carry = carry + new[..., None] * jax.nn.one_hot(percept.action, self.choices)[:, None]
        answered = (self.present(percept)[..., None] * carry).sum(1)
        acts = jnp.where(answered.sum(-1, keepdims=True) > 0.5, answered, 1.0 / self.choices)
        return carry, choose(key, mix_lapse(acts, 0.0))


@keep_settings
def subject(family: Family) -> FirstAnswer:
    """Repeats the first answer that it gave to each cue, and looks at no outcome.

    Args:
        family: association tasks.
    """
    return FirstAnswer(*of_task(family))
