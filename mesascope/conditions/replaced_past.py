"""Deletes the older past before a response, or replaces it with another lifetime's past.

The condition replays the last w percepts, including the present one, unchanged. They follow a fresh carry, or the carry
that another lifetime of the same subject had w trials ago. Percepts keep their trial index, so a subject that reads the
clock from the percept keeps it. Deletion resets a clock in the carry; transplanting keeps it.
"""

from typing import Any, ClassVar

import jax.numpy as jnp

from mesascope.contracts.condition import Condition, Number, select, take

SEVERAL_STEPS = "its trials have several steps, and the past is cut between trials of one step"


class ReplacedPast(Condition):
    """Replaces the older past for one response.

    Attributes:
        of: w, the number of last percepts that are kept, including the present one.
        birth: 1 if the fresh carry first receives the percept of w trials ago without its outcome, as at the start of a
            lifetime.
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

    @property
    def label(self) -> str:
        """The label, past_transplanted_once:of=w,replicate=r or past_deleted_once:of=w,birth=b."""
        if self.transplanted == 1:
            return f"past_transplanted_once:of={self.of},replicate={self.replicate}"
        return f"past_deleted_once:of={self.of},birth={self.birth}"

    @property
    def draw(self) -> int:
        """The number of the draw of partners, so that every replicate has its own partners."""
        return int(self.replicate)

    @property
    def seam(self) -> int | None:
        """w if another lifetime's carry replaced the subject's own, else None."""
        return int(self.of) if self.transplanted == 1 else None

    def unfit(self, family: Any) -> str | None:
        """The condition makes no sense if trials have several steps."""
        return SEVERAL_STEPS if family.steps > 1 else None

    def apply(self, carry, percept, shadow, context):
        """Builds the carry before the present percept; the shadow is the subject's own carry of w trials ago."""
        old = context.past(self.of)
        own = context.repeat(
            0, context.trial >= self.of, lambda _, c: context.absorb(context.key(self.of), c, old), shadow
        )
        before = select(self.transplanted == 1, take(own, context.partner), self.begin(old, context))
        replaced = self.replay(before, context)
        return select(context.trial >= self.of, replaced, carry), percept, own

    def begin(self, old: Any, context: Any) -> Any:
        """A fresh carry; if `birth` is 1, it has received the percept of w trials ago without its outcome."""
        first = context.as_first(old)._replace(trial=old.trial)
        return context.repeat(
            0,
            (self.birth == 1) & (context.trial >= self.of),
            lambda _, c: context.absorb(context.key(self.of), c, first),
            context.fresh,
        )

    def replay(self, before: Any, context: Any) -> Any:
        """Replays the last percepts except the present one, and returns the carry."""
        count = jnp.minimum(self.of - 1, context.trial)
        return context.repeat(
            0, count, lambda i, c: context.absorb(context.key(count - i), c, context.past(count - i)), before
        )


class DeletedPast(ReplacedPast):
    """Deletes the older past before every response, so that the subject always knows only w percepts."""

    one_step: ClassVar = False
    judged: ClassVar = False

    def unfit(self, family: Any) -> str | None:
        """The condition makes no sense if trials have several steps, or if a lifetime has no more than w trials."""
        if self.of >= family.horizon:
            return f"a lifetime has {family.horizon} trials, and it knows as many"
        return super().unfit(family)

    @property
    def label(self) -> str:
        """The label, past_deleted:of=w,birth=b."""
        return f"past_deleted:of={self.of},birth={self.birth}"
