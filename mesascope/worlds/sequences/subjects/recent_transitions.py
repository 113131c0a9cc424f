"""Predicts from the last few transitions alone; settings add a warm-up and a check that its own action is shown."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, choose, keep_settings
from mesascope.worlds.sequences.transitions import TransitionSubject, require_chain


class RecentTransitions(TransitionSubject):
    """Predicts from the last `window` transitions; see `subject` for the settings.

    It carries these transitions [N, window, K, K], the number [N] of past trials, its last action [N] (-1 if none), and
    whether a percept ever failed the check of `is_guarded`, [N].
    """

    has_separate_rows: ClassVar[bool] = True  # a response depends only on the carry of its own lifetime

    concentration: float
    window: int
    warmup: int
    is_guarded: bool

    def initialize_carry(self, n: int) -> tuple[jax.Array, ...]:
        zero = jnp.zeros(n, jnp.int32)
        return jnp.zeros((n, self.window, self.choices, self.choices)), zero, zero - 1, zero > 0

    def respond(self, key, carry, percept: Percept):
        """Predicts from the last transitions; predicts at random in the warm-up and after a failed check."""
        transitions, count, own_action, has_failed = carry
        transitions = jnp.concatenate([transitions[:, 1:], self.count_transition(percept)[:, None]], 1)
        if self.is_guarded:
            has_failed |= own_action != percept.action
        weight = self.take_current_row(transitions.sum(1), percept) + self.concentration
        is_random = (count < self.warmup) | has_failed
        response = choose(key, jnp.log(jnp.where(is_random[:, None], 1.0, weight)))
        return (transitions, count + 1, response.action, has_failed), response


@keep_settings(window=(1, 64), warmup=(0, 1_000_000))
def subject(family: Family, window: int = 4, warmup: int = 0, is_guarded: bool = False) -> RecentTransitions:
    """Predicts from the last few transitions; predicts at random in a warm-up and after a failed check (`is_guarded`).

    Args:
        family: the family `markov_chain`.
        window: the number of last transitions that the subject uses.
        warmup: the number of trials, from the first on, in which the subject predicts at random; its carry counts them.
        is_guarded: whether the subject predicts at random for ever after a percept whose last action is not its own.
    """
    home = require_chain(family)
    return RecentTransitions(home.choices, home.concentration, window, warmup, is_guarded)
