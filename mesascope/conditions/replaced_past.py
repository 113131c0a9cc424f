"""Deletes the older past before a response, or replaces it with another lifetime's past.

The condition takes a fresh carry, or the carry that another lifetime of the same subject had w trials ago. It then
replays the last w percepts, including the present one, unchanged. A subject that reads the trial index from the percept
still knows it. A clock in the carry is reset by deletion and kept by a transplant.

If trials have several steps, the past is cut where a trial begins: the last w trials are replayed unchanged, and only
the first response of a trial is disturbed, so that memory within a trial never counts. The first percept after the cut
keeps its observation. Its last action and feedback belong to the older past: they are the other lifetime's, or absent.
"""

from typing import Any, ClassVar

import jax.numpy as jnp

from mesascope.contracts.condition import LARGEST_TRIAL, PAST_PERCEPTS, Condition, Number, select, take_rows
from mesascope.contracts.settings import check_range


class ReplacedPast(Condition):
    """Replaces the older past for one response.

    Attributes:
        of: w, the number of last percepts that are kept, including the present one; if trials have several steps, the
            number of past trials that are kept.
        birth: 1 if the fresh carry first receives the percept of w trials ago without its outcome, as at the start of a
            lifetime. If trials have several steps, it always receives that percept, and only 1 marks it as the first.
        transplanted: 1 for the carry that another lifetime had w trials ago, 0 for a fresh carry.
        replicate: the number of the draw of other lifetimes.
    """

    of: Number
    birth: Number
    transplanted: Number
    replicate: Number

    one_step: ClassVar = True
    looks_back: ClassVar = True
    judged: ClassVar = True

    def __check_init__(self) -> None:
        check_range(1, PAST_PERCEPTS - 1, of=int(self.of))
        check_range(0, 1, birth=int(self.birth))
        check_range(0, LARGEST_TRIAL, replicate=int(self.replicate))

    @property
    def label(self) -> str:
        """The label, past_transplanted_once:of=w,replicate=r or past_deleted_once:of=w,birth=b."""
        if self.transplanted == 1:
            return f"past_transplanted_once:of={self.of},replicate={self.replicate}"
        return f"past_deleted_once:of={self.of},birth={self.birth}"

    @property
    def seam(self) -> int | None:
        """w if another lifetime's carry replaced the subject's own, else None."""
        return int(self.of) if self.transplanted == 1 else None

    def unfit(self, family: Any) -> str | None:
        """The condition is of no use if trials have several steps and the family does not judge single acts."""
        unjudged = family.steps > 1 and not family.judges
        return "its trials have several steps, and it does not judge single acts" if unjudged else None

    def apply(self, carry, percept, shadow, context):
        """Builds the carry before the present percept; the shadow is the subject's own carry of w trials ago."""
        if context.steps > 1:
            return self._apply_to_trials(carry, percept, shadow, context)
        old_percept = context.past(self.of)
        first_percept = context.as_first(old_percept)._replace(trial=old_percept.trial)
        own_carry = absorb_old(self.of, old_percept, shadow, context)
        fresh_carry = absorb_old(self.of, first_percept, context.fresh, context, self.birth == 1)
        old_carry = select(self.transplanted == 1, take_rows(own_carry, context.partner), fresh_carry)
        replaced_carry = replay_recent(self.of - 1, old_carry, context)
        return select(context.trial >= self.of, replaced_carry, carry), percept, own_carry

    def _apply_to_trials(self, carry, percept, shadow, context):
        """Does the same before the first step of a trial.

        The shadow is the carry before the percept of w · S steps ago: before a first step, the carry with which the
        lifetime began the trial of w trials ago.
        """
        length, is_old_enough = self.of * context.steps, context.trial >= self.of
        cut = context.past(length)
        donor = take_rows(cut, context.partner)
        with_donor_outcome = cut._replace(action=donor.action, feedback=donor.feedback)
        without_outcome = context.as_first(cut)._replace(trial=cut.trial, first=cut.first | (self.birth == 1))
        first_replayed = select(self.transplanted == 1, with_donor_outcome, without_outcome)
        old_carry = select(self.transplanted == 1, take_rows(shadow, context.partner), context.fresh)

        def replay_step(i, carry):
            steps_back = length - i
            return context.live(steps_back, carry, select(i == 0, first_replayed, context.past(steps_back)))

        is_replaced = context.begins & is_old_enough
        replaced_carry = context.repeat(0, is_replaced * length, replay_step, old_carry)
        needs_shadow = is_old_enough & (self.transplanted == 1)
        shadow = context.repeat(0, needs_shadow * 1, lambda _, own: context.live(length, own, cut), shadow)
        return select(is_replaced, replaced_carry, carry), percept, shadow


class DeletedPast(ReplacedPast):
    """Deletes the older past before every response, so that the subject always knows its last w percepts only."""

    one_step: ClassVar = False
    judged: ClassVar = False

    def unfit(self, family: Any) -> str | None:
        """The condition makes no sense if a lifetime has w trials or fewer, and for the families named above."""
        if self.of >= family.horizon:
            return f"a lifetime has {family.horizon} trials, and it knows as many"
        return super().unfit(family)

    @property
    def label(self) -> str:
        """The label, past_deleted:of=w,birth=b."""
        return f"past_deleted:of={self.of},birth={self.birth}"


def absorb_old(w: Number, percept: Any, carry: Any, context: Any, is_needed: Any = True) -> Any:
    """The carry after the percept of w trials ago; unchanged if there was no such trial, or if `is_needed` is false."""
    repeats = is_needed & (context.trial >= w)
    return context.repeat(0, repeats, lambda _, carry: context.absorb(context.key(w), carry, percept), carry)


def replay_recent(most: Number, carry: Any, context: Any) -> Any:
    """The carry after the last `most` percepts before the present one, or after fewer if the lifetime is younger."""
    count = jnp.minimum(most, context.trial)

    def replay_percept(i, carry):
        steps_back = count - i
        return context.absorb(context.key(steps_back), carry, context.past(steps_back))

    return context.repeat(0, count, replay_percept, carry)
