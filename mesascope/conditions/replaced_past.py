"""Deletes the older past before a response, or replaces it with another lifetime's past.

The condition takes a fresh carry, or the carry that another lifetime of the same subject had w trials ago. It then
replays the last w percepts, including the present one, unchanged. A subject that reads the trial index from the percept
still knows it. A clock in the carry is reset by deletion and kept by a transplant.
"""

from typing import Any, ClassVar

import jax.numpy as jnp

from mesascope.contracts.condition import LARGEST_TRIAL, PAST_PERCEPTS, Condition, Number, select, take_rows
from mesascope.contracts.settings import check_range


class ReplacedPast(Condition):
    """Replaces the older past for one response.

    Attributes:
        window: w, the number of last percepts that are kept, including the present one.
        birth: 1 if the fresh carry first receives the percept of w trials ago, marked as first and without its outcome.
        is_transplanted: 1 for the carry that another lifetime had w trials ago, 0 for a fresh carry.
        replicate: the number of the draw of other lifetimes.
    """

    window: Number
    birth: Number
    is_transplanted: Number
    replicate: Number

    one_step: ClassVar = True
    looks_back: ClassVar = True
    judged: ClassVar = True

    def __check_init__(self) -> None:
        check_range(1, PAST_PERCEPTS - 1, window=int(self.window))
        check_range(0, 1, birth=int(self.birth))
        check_range(0, LARGEST_TRIAL, replicate=int(self.replicate))

    @property
    def label(self) -> str:
        """The label, past_transplanted_once:window=w,replicate=r or past_deleted_once:window=w,birth=b."""
        if self.is_transplanted == 1:
            return f"past_transplanted_once:window={self.window},replicate={self.replicate}"
        return f"past_deleted_once:window={self.window},birth={self.birth}"

    @property
    def seam(self) -> int | None:
        """w if another lifetime's carry replaced the subject's own, else None."""
        return int(self.window) if self.is_transplanted == 1 else None

    def unfit(self, family: Any) -> str | None:
        """The reason why the condition makes no sense if trials have several steps, else None."""
        several_steps = "its trials have several steps, and the past is cut between trials of one step"
        return several_steps if family.steps > 1 else None

    def apply(self, carry, percept, shadow, context):
        """Builds the carry before the present percept; the shadow is the subject's own carry of w trials ago."""
        old_percept = context.past(self.window)
        first_percept = context.as_first(old_percept)._replace(trial=old_percept.trial)
        own_carry = absorb_old(self.window, old_percept, shadow, context)
        fresh_carry = absorb_old(self.window, first_percept, context.fresh, context, self.birth == 1)
        old_carry = select(self.is_transplanted == 1, take_rows(own_carry, context.partner), fresh_carry)
        replaced_carry = replay_recent(self.window - 1, old_carry, context)
        return select(context.trial >= self.window, replaced_carry, carry), percept, own_carry


class DeletedPast(ReplacedPast):
    """Deletes the older past before every response, so that the subject always knows its last w percepts only."""

    one_step: ClassVar = False
    judged: ClassVar = False

    def unfit(self, family: Any) -> str | None:
        """The reason why it makes no sense if trials have several steps or a lifetime at most w trials, else None."""
        if self.window >= family.horizon:
            return f"a lifetime has {family.horizon} trials, which the subject would all know"
        return super().unfit(family)

    @property
    def label(self) -> str:
        """The label, past_deleted:window=w,birth=b."""
        return f"past_deleted:window={self.window},birth={self.birth}"


def absorb_old(window: Number, percept: Any, carry: Any, context: Any, is_needed: Any = True) -> Any:
    """The carry after the percept of `window` trials ago; unchanged without one, or if `is_needed` is false."""
    repeats = is_needed & (context.trial >= window)
    return context.repeat(0, repeats, lambda _, carry: context.absorb(context.key(window), carry, percept), carry)


def replay_recent(window: Number, carry: Any, context: Any) -> Any:
    """The carry after the last `window` percepts before the present one, or after fewer if the lifetime is younger."""
    count = jnp.minimum(window, context.trial)

    def replay_percept(i, carry):
        steps_back = count - i
        return context.absorb(context.key(steps_back), carry, context.past(steps_back))

    return context.repeat(0, count, replay_percept, carry)
