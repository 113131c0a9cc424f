"""Infers the table by Bayes' rule, separately for each cue. This is the learner for association tasks."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    choose,
    compute_greedy_probabilities,
    compute_log_probs_with_lapses,
    keep_settings,
)
from mesascope.worlds.associations.association_subject import AssociationSubject, read_task_settings


class Associator(AssociationSubject):
    """Carries the log-odds of every action for every cue, [N, S, K]."""

    discount: float
    is_greedy: bool
    should_minimise: bool
    action_mapping: str
    lapse: float

    def respond(self, key, carry, percept: Percept):
        carry = self.discount * carry + self.compute_evidence(percept)
        odds = self.select_row(carry, percept)
        p = compute_greedy_probabilities(odds) if self.is_greedy else jax.nn.softmax(odds)
        if self.should_minimise:
            p = (1.0 - p) / (self.choices - 1)
        if self.action_mapping == "next":
            p = jnp.roll(p, 1, -1)
        elif self.action_mapping == "clock":
            p = jnp.take_along_axis(p, (jnp.arange(self.choices)[None] - percept.trial[:, None]) % self.choices, 1)
        return carry, choose(key, compute_log_probs_with_lapses(p, self.lapse))


@keep_settings(discount=(0.0, 1.0), action_mapping=("right", "next", "clock"), lapse=(0.0, 1.0))
def subject(
    family: Family,
    discount: float = 1.0,
    greedy: bool = False,
    should_minimise: bool = False,
    action_mapping: str = "right",
    lapse: float = 0.0,
) -> Associator:
    """Infers exactly how likely each action is to be the correct one for each cue.

    Args:
        family: association tasks.
        discount: the factor by which the log-odds are multiplied on each trial; 1 for a stationary task.
        greedy: whether to take the most probable action instead of drawing one.
        should_minimise: whether to choose an action other than the one that the subject believes to be correct.
        action_mapping: which action to take: 'right', the correct one; 'next', the one after it; or 'clock', the
            correct one plus the trial index, modulo K.
        lapse: the probability of choosing uniformly at random among all actions.
    """
    return Associator(*read_task_settings(family), discount, greedy, should_minimise, action_mapping, lapse)
