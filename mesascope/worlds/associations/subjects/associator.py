"""Infers the table by Bayes' rule, cue by cue; it is the learner for association tasks."""

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import greedy_probabilities, mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings
from mesascope.worlds.associations.evidence import TRIED as TRIED
from mesascope.worlds.associations.evidence import Cued, of_task

CODES = ("right", "next", "clock")


class Associator(Cued):
    """Carries the log-odds [N, S, K] of every action for every cue."""

    keep: float
    greedy: bool
    minimise: bool
    encoding: str
    lapse: float

    def fresh(self, n: int) -> jax.Array:
        return jnp.zeros((n, self.slots, self.choices))

    def respond(self, key, carry, percept: Percept):
        carry = self.keep * carry + self.evidence(percept).table
        odds = (self.present(percept)[..., None] * carry).sum(1)
        p = greedy_probabilities(odds) if self.greedy else jax.nn.softmax(odds)
        if self.minimise:
            p = (1.0 - p) / (self.choices - 1)
        if self.encoding == "next":
            p = jnp.roll(p, 1, -1)
        elif self.encoding == "clock":
            p = jnp.take_along_axis(p, (jnp.arange(self.choices)[None] - percept.trial[:, None]) % self.choices, 1)
        return carry, choose(key, mix_lapse(p, self.lapse))


@keep_settings(keep=(0.0, 1.0), code=CODES, lapse=(0.0, 1.0))
def subject(
    family: Family,
    keep: float = 1.0,
    greedy: bool = False,
    minimise: bool = False,
    code: str = "right",
    lapse: float = 0.0,
) -> Associator:
    """Infers exactly how likely each action is to be right for each cue.

    Args:
        family: association tasks.
        keep: the factor by which the log-odds decay on each trial; 1 for a stationary task.
        greedy: whether to take the likeliest action instead of drawing one.
        minimise: whether to choose an action other than the one it believes is right.
        code: the action to take: 'right'; 'next', the one after it; or 'clock', the right one plus the trial index.
        lapse: the probability of choosing uniformly at random among all actions.
    """
    return Associator(*of_task(family), keep, greedy, minimise, code, lapse)
