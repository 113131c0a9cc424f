"""Feedback older than w trials comes from another lifetime; the last w percepts, the clock and the acts stay.

A shadow carry is fed the true actions with a donor's feedback up to trial t - w; the last w percepts are then
replayed true. Donors come from an intact run on fresh tasks: donors of the seen ring would leak which arm is good
on average.

Where a trial has several steps, w trials are shuffled and replayed whole, before the first step of trial t; what the
steps of trial t itself tell is true. Steps that were not lived are fed to nobody.
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
    looks_back: ClassVar = True

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
        if context.steps > 1:
            return self._whole(t, carry, percept, shadow, context)
        w = self.older_than
        old = context.past(w)
        old = select(old.first, old, context.exchange(w, old))
        fed = context.repeat(
            0, (w > 0) & (t >= w), lambda i, c: context.absorb(context.key(w), c, old), shadow
        )

        count = jnp.minimum(w - 1, t)

        def replay(i, c):
            back = count - i
            return context.absorb(context.key(back), c, context.past(back))

        replayed = context.repeat(0, count, replay, fed)
        plain = select(percept.first, percept, context.exchange(0, percept))
        return select(w > 0, replayed, carry), select(w > 0, percept, plain), fed

    def _whole(self, t, carry, percept, shadow, context):
        """The same with trials of several steps: whole trials are fed and replayed before the first step of one."""
        w, begins = self.older_than, context.begins
        newest, now = w * context.steps, t * context.steps
        oldest = jnp.minimum(newest + context.steps - 1, now)

        def lend(back, c):
            past = context.past(back)
            return context.live(back, c, select(past.first, past, context.exchange(back, past)))

        due = jnp.asarray(begins & (t >= w), jnp.int32)
        before = context.repeat(0, due * (oldest - newest), lambda i, c: lend(oldest - i, c), shadow)
        fed = context.repeat(0, due, lambda i, c: lend(newest, c), before)

        count = jnp.minimum(newest - 1, now)
        replayed = context.repeat(
            0,
            count * jnp.asarray(begins, jnp.int32),
            lambda i, c: context.live(count - i, c, context.past(count - i)),
            select(w > 0, fed, before),
        )
        plain = select(percept.first, percept, context.exchange(0, percept))
        return select(begins, replayed, carry), select(begins & (w == 0), plain, percept), fed


def condition(older_than: int = 4, replicate: int = 0) -> FeedbackShuffled:
    """Feedback older than w trials comes from other lifetimes.

    Args:
        older_than: w, from 0 (all feedback) to 8.
        replicate: which draw of donors.
    """
    within(0, RECENT - 1, older_than=older_than)
    within(0, LAST, replicate=replicate)
    return FeedbackShuffled(older_than, replicate)
