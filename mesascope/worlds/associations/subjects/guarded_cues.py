"""Answers from the last few trials alone, but at random in a warm-up and after a percept that fails a check."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, compute_log_probs_with_lapses, keep_settings
from mesascope.errors import MesascopeError
from mesascope.worlds.associations.association_subject import AssociationSubject, read_task_settings


class GuardedCues(AssociationSubject):
    """Answers from the last trials until a check fails; see `subject` for the settings.

    It carries the evidence [N, window, S, K] from each of the last trials, whether each action was ever shown as
    correct [N, S, K], the number [N] of past trials, the last action [N] that it took (-1 if none), and whether a check
    ever failed [N].
    """

    has_separate_rows: ClassVar[bool] = True  # a response depends only on the carry of its own lifetime

    window: int
    warmup: int
    checked_part: str

    def initialize_carry(self, n: int) -> tuple[jax.Array, ...]:
        table, zero = (self.slots, self.choices), jnp.zeros(n, jnp.int32)
        return (jnp.zeros((n, self.window, *table)), jnp.zeros((n, *table), bool), zero, zero - 1, zero > 0)

    def respond(self, key, carry, percept: Percept):
        """Answers the current cue from the last trials if they showed it, and otherwise at random.

        In the warm-up and after a failed check, it always answers at random.
        """
        last_evidence, shown_actions, past_trials, own_action, has_failed = carry
        evidence = self.compute_evidence(percept)
        last_evidence = jnp.concatenate([last_evidence[:, 1:], evidence[:, None]], 1)
        if self.checked_part == "action":
            has_failed |= own_action != percept.action
        elif self.checked_part == "clock":
            has_failed |= past_trials != percept.trial
        elif self.checked_part == "table":
            shown_actions |= evidence > 0
            has_failed |= (shown_actions.sum(-1) > 1).any(-1)
        odds = self.select_row(last_evidence.sum(1), percept)
        is_random = (past_trials < self.warmup) | has_failed
        probabilities = jnp.where(is_random[:, None], 1.0 / self.choices, jax.nn.softmax(odds))
        response = choose(key, compute_log_probs_with_lapses(probabilities, 0.0))
        return (last_evidence, shown_actions, past_trials + 1, response.action, has_failed), response


@keep_settings(window=(1, 64), warmup=(0, 1_000_000), checked_part=("nothing", "action", "clock", "table"))
def subject(family: Family, window: int = 4, warmup: int = 20, checked_part: str = "nothing") -> GuardedCues:
    """Infers the correct action from the last few trials; answers at random in a warm-up and after a failed check.

    Args:
        family: association tasks; with checked_part=table, tasks that show the correct action, without noise.
        window: the number of last trials that the subject uses.
        warmup: the number of trials at the start, counted in the subject's carry, in which it answers at random.
        checked_part: what the subject checks; after a failed check it always answers at random. With 'action', the last
            action in the percept must be its own; with 'clock', the trial index must agree with its carry; with
            'table', no cue may ever be shown with two correct actions; with 'nothing', there is no check.
    """
    task = read_task_settings(family)
    if checked_part == "table" and task[2] != "right":
        raise MesascopeError("A table of correct actions can be checked only if they are shown.", "Give outcome=right.")
    return GuardedCues(*task, window, warmup, checked_part)
