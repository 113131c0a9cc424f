"""Takes feedback older than w trials from another lifetime; the last w percepts, clock and actions stay the same.

A shadow carry receives the true actions with a donor's feedback up to trial t - w; then the condition replays the last
w percepts unchanged. Donors come from an intact run on fresh tasks, because donors from the seen split would leak which
arm is good on average.

If trials have several steps, the condition shuffles and replays whole trials before the first step of trial t; the
percepts of trial t itself are unchanged. It skips steps after the end of a trial.
"""

from typing import ClassVar

import jax.numpy as jnp

from mesascope.contracts.condition import LAST, RECENT, Condition, Number, select
from mesascope.contracts.settings import check_range


class FeedbackShuffled(Condition):
    """Leaves the feedback of the last `older_than` trials true; `replicate` is the number of the draw of donors."""

    older_than: Number
    replicate: Number

    needs_donors: ClassVar = True
    looks_back: ClassVar = True

    def apply(self, carry, percept, shadow, context):
        """Updates the shadow with a donor's feedback, then replays the last w percepts unchanged."""
        if context.steps > 1:
            return self._apply_to_trials(carry, percept, shadow, context)
        w = self.older_than
        old = context.past(w)
        old = select(old.first, old, context.exchange(w, old))
        fed = context.repeat(
            0, (w > 0) & (context.trial >= w), lambda i, c: context.absorb(context.key(w), c, old), shadow
        )

        count = jnp.minimum(w - 1, context.trial)

        def replay(i, c):
            back = count - i
            return context.absorb(context.key(back), c, context.past(back))

        replayed = context.repeat(0, count, replay, fed)
        plain = select(percept.first, percept, context.exchange(0, percept))
        return select(w > 0, replayed, carry), select(w > 0, percept, plain), fed

    def _apply_to_trials(self, carry, percept, shadow, context):
        """Does the same for trials of several steps: absorbs and replays whole trials before a trial's first step."""
        w, begins = self.older_than, context.begins
        newest, now = w * context.steps, context.trial * context.steps
        oldest = jnp.minimum(select(context.trial >= w, newest + context.steps, newest) - 1, now)

        def live(i, lives):
            back, (ready, _, fed) = oldest - i, lives
            past = context.past(back)
            lent = select(past.first | (back < newest), past, context.exchange(back, past))
            after = context.live(back, ready, lent)
            return after, ready, select(back == newest, after, fed)

        # from the oldest percept not yet absorbed to the last one; with w = 0 also the present one, for the next trial
        count = jnp.asarray(begins, jnp.int32) * (oldest + jnp.asarray(w == 0, jnp.int32))
        after, before, fed = context.repeat(0, count, live, (shadow, shadow, shadow))
        plain = select(percept.first, percept, context.exchange(0, percept))
        ready = select(begins, select(w > 0, after, before), carry)
        return ready, select(begins & (w == 0), plain, percept), fed


def condition(older_than: int = 4, replicate: int = 0) -> FeedbackShuffled:
    """Feedback older than w trials comes from other lifetimes.

    Args:
        older_than: w, from 0 (all feedback is shuffled) to 16.
        replicate: the number of the draw of donors.
    """
    check_range(0, RECENT - 1, older_than=older_than)
    check_range(0, LAST, replicate=replicate)
    return FeedbackShuffled(older_than, replicate)
