"""A two-loss reflex that checks whether each percept agrees with its carry, and chooses badly after a disagreement."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    ChoosingSubject,
    Family,
    Percept,
    choose,
    compute_stay_probabilities,
    has_last_pull_paid,
    keep_settings,
)
from mesascope.worlds.bandits.subjects.two_loss_reflex import count_losses


class HistoryChecker(ChoosingSubject):
    """Until a check fails, leaves an arm after two losses in a row; see `subject` for the settings.

    It carries the losses in a row on the current arm, the number of past trials, the last action that it took (-1 if
    none), and whether a check ever failed, [N] each.
    """

    has_separate_rows: ClassVar[bool] = True  # a response depends only on the carry of its own lifetime

    checked_part: str
    fallback: str
    warmup: int

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        zero = jnp.zeros(n, jnp.int32)
        return zero, zero, zero - 1, jnp.zeros(n, bool)

    def respond(self, key, carry, percept: Percept):
        """Compares percept and carry, then chooses by the last two outcomes, or badly if a check ever failed.

        In the warm-up, the subject chooses at random.
        """
        losses, past_trials, own_action, has_failed = carry
        if self.checked_part != "clock":
            has_failed |= own_action != percept.action
        if self.checked_part != "action":
            has_failed |= past_trials != percept.trial
        losses, leaves = count_losses(losses, percept)
        reflex = compute_stay_probabilities(percept.action, self.choices, ~leaves)
        random_probabilities = after_failure = jnp.full_like(reflex, 1.0 / self.choices)
        if self.fallback == "reversed":
            after_failure = compute_stay_probabilities(percept.action, self.choices, ~has_last_pull_paid(percept))
        probabilities = jnp.where(has_failed[:, None], after_failure, reflex)
        probabilities = jnp.where((past_trials < self.warmup)[:, None], random_probabilities, probabilities)
        response = choose(key, jnp.log(probabilities))
        return (losses, past_trials + 1, response.action, has_failed), response


@keep_settings(checked_part=("action", "clock", "both"), fallback=("random", "reversed"), warmup=(0, 1_000_000))
def subject(family: Family, checked_part: str = "action", fallback: str = "random", warmup: int = 0) -> HistoryChecker:
    """A two-loss reflex that chooses badly for the rest of a lifetime once a percept disagrees with its carry.

    Args:
        family: the bandit.
        checked_part: what in the percept must agree with the carry: 'action' (the last action), 'clock' (the trial
            index) or 'both'.
        fallback: how the subject chooses after a failed check: 'random' (at random) or 'reversed' (it stays after a
            loss and leaves after a win).
        warmup: the number of trials at the start, counted in the subject's carry, in which it chooses at random.
    """
    return HistoryChecker(family.choices, checked_part, fallback, warmup)
