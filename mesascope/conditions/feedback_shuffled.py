"""Feedback older than w trials comes from another lifetime; the last w percepts, the clock and the acts stay.

A shadow carry is fed the true actions with a donor's feedback up to trial t - w; the last w percepts are then
replayed true. Donors come from an intact run on fresh tasks: donors of the seen ring would leak which arm is good
on average.
"""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp

from mesascope.conditions import LAST, RECENT, Condition, select, within


class FeedbackShuffled(Condition):
    """older_than: w, the trials that stay true; replicate: which draw of donors."""

    older_than: int | jax.Array
    replicate: int | jax.Array

    needs_donors: ClassVar = True

    @property
    def label(self) -> str:
        """'feedback older than w shuffled', with the replicate behind it."""
        return f"feedback_shuffled:older_than={self.older_than},replicate={self.replicate}"

    @property
    def draw(self) -> int:
        """The replicate."""
        return int(self.replicate)

    def apply(self, key, t, carry, percept, shadow, context):
        """Feeds the shadow, then replays the last w percepts true."""
        w = self.older_than
        old = jax.tree.map(lambda x: x[w], context.recent)
        old = select(old.first, old, context.exchange(w, old))
        fed = context.repeat(
            0, (w > 0) & (t >= w), lambda i, c: context.absorb(context.key(w), c, old), shadow
        )

        count = jnp.minimum(w - 1, t)

        def replay(i, c):
            back = count - i
            past = jax.tree.map(lambda x: x[back], context.recent)
            return context.absorb(context.key(back), c, past)

        replayed = context.repeat(0, count, replay, fed)
        plain = select(percept.first, percept, context.exchange(0, percept))
        return select(w > 0, replayed, carry), select(w > 0, percept, plain), fed


def condition(older_than: int = 4, replicate: int = 0) -> FeedbackShuffled:
    """Feedback older than w trials comes from other lifetimes.

    Args:
        older_than: w, from 0 (all feedback) to 8.
        replicate: which draw of donors.
    """
    within(0, RECENT - 1, older_than=older_than)
    within(0, LAST, replicate=replicate)
    return FeedbackShuffled(older_than, replicate)
