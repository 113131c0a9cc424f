"""Replaces feedback older than w trials with another lifetime's feedback; everything else in the past is unchanged.

Before every trial t, the second carry has received the subject's percepts up to trial t - w, with a donor's feedback.
From this carry, the condition replays the last w percepts unchanged. Donors are intact lifetimes on fresh tasks,
because donors on the seen split would reveal which arm is good on average.

If trials have several steps, the condition shuffles and replays whole trials before the first step of trial t. It does
not change the percepts of trial t, except for the outcome in the first one if w is 0. Steps after the end of a trial
are skipped.
"""

from typing import ClassVar

import jax.numpy as jnp

from mesascope.conditions.replaced_past import replay_past
from mesascope.contracts import MAX_TRIAL_INDEX, READABLE_PERCEPTS, Condition, Number, check_range, select


class FeedbackShuffled(Condition):
    """Shuffles feedback, except in the last `older_than` trials; `replicate` is the number of the draw of donors."""

    older_than: Number
    replicate: Number

    needs_donors: ClassVar = True
    looks_back: ClassVar = True

    def apply(self, carry, percept, second_carry, context):
        """Updates the second carry with a donor's feedback, then replays the last w percepts unchanged."""
        if context.steps > 1:
            return self._apply_to_trials(carry, percept, second_carry, context)
        w = self.older_than
        oldest = _exchange_outcome(w, context.get_past_percept(w), context)
        second_carry, replayed_carry = replay_past(
            w, second_carry, second_carry, context, oldest=oldest, has_oldest=w > 0
        )
        is_rebuilt, shuffled_percept = (w > 0) & (context.trial >= w), _exchange_outcome(0, percept, context)
        return select(is_rebuilt, replayed_carry, carry), select(w > 0, percept, shuffled_percept), second_carry

    def _apply_to_trials(self, carry, percept, second_carry, context):
        """Does what `apply` does, but for trials of several steps, and only before the first step of a trial."""
        w, begins = self.older_than, context.is_trial_start
        newest_shuffled, now = w * context.steps, context.trial * context.steps
        oldest = jnp.minimum(select(context.trial >= w, newest_shuffled + context.steps, newest_shuffled) - 1, now)

        def replay_step(i, carries):
            steps_back, (latest, _, shuffled) = oldest - i, carries
            past = context.get_past_percept(steps_back)
            past = select(steps_back < newest_shuffled, past, _exchange_outcome(steps_back, past, context))
            after = context.respond_in_past(steps_back, latest, past)
            return after, latest, select(steps_back == newest_shuffled, after, shuffled)

        # from the oldest percept that the carry does not contain to the last percept; if w = 0, to the present percept
        count = jnp.asarray(begins, jnp.int32) * (oldest + jnp.asarray(w == 0, jnp.int32))
        latest, previous, shuffled = context.repeat(0, count, replay_step, (second_carry, second_carry, second_carry))
        carry = select(begins, select(w > 0, latest, previous), carry)
        return carry, select(begins & (w == 0), _exchange_outcome(0, percept, context), percept), shuffled


def _exchange_outcome(steps_back, percept, context):
    """Replaces the outcome in a percept with a donor's outcome, unless the percept is marked as first."""
    return select(percept.first, percept, context.exchange_outcome(steps_back, percept))


def condition(older_than: int = 4, replicate: int = 0) -> FeedbackShuffled:
    """Feedback older than w trials comes from other lifetimes.

    Args:
        older_than: w, the number of last trials with unchanged feedback, from 0 to 16.
        replicate: the number of the draw of donors, counted from 0.
    """
    check_range(0, READABLE_PERCEPTS - 1, older_than=older_than)
    check_range(0, MAX_TRIAL_INDEX, replicate=replicate)
    return FeedbackShuffled(older_than, replicate)
