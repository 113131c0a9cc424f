"""One response without the older past, or with another lifetime's past in its place.

The last w percepts, including the present one, are replayed unchanged. Before them comes a fresh carry, or the carry
that another lifetime of the same subject had w trials ago. Percepts keep their trial, so a subject that reads the clock
from the percept keeps it. A clock in the carry is lost by deletion and kept by transplanting.
"""

from typing import Any, ClassVar

import jax.numpy as jnp

from mesascope.contracts.condition import Condition, Number, select, take

SEVERAL_STEPS = "its trials have several steps, and the past is cut between trials of one step"


class ReplacedPast(Condition):
    """The older past is replaced before one response.

    Attributes:
        of: w, the number of last percepts that are kept.
        birth: 1 if the fresh carry first receives the percept of w trials ago without its outcome, as at the start of a
            lifetime.
        transplanted: 1 for another lifetime's carry of w trials ago, 0 for a fresh one.
        replicate: which draw of other lifetimes.
    """

    of: Number
    birth: Number
    transplanted: Number
    replicate: Number

    one_step: ClassVar = True
    looks_back: ClassVar = True

    @property
    def label(self) -> str:
        """past_transplanted_once:of=w,replicate=r or past_deleted_once:of=w,birth=b."""
        if self.transplanted == 1:
            return f"past_transplanted_once:of={self.of},replicate={self.replicate}"
        return f"past_deleted_once:of={self.of},birth={self.birth}"

    @property
    def draw(self) -> int:
        """Replicates have other partners."""
        return int(self.replicate)

    def unfit(self, family: Any) -> str | None:
        """Trials of several steps are cut elsewhere."""
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
        """A fresh carry, after the percept of w trials ago without its outcome if `birth` is 1."""
        first = context.as_first(old)._replace(trial=old.trial)
        return context.repeat(
            0,
            (self.birth == 1) & (context.trial >= self.of),
            lambda _, c: context.absorb(context.key(self.of), c, first),
            context.fresh,
        )

    def replay(self, before: Any, context: Any) -> Any:
        """The carry after the last percepts but the present one."""
        count = jnp.minimum(self.of - 1, context.trial)
        return context.repeat(
            0, count, lambda i, c: context.absorb(context.key(count - i), c, context.past(count - i)), before
        )


class DeletedPast(ReplacedPast):
    """The same before every response, and the lifetime goes on under it: the subject knows only its last w trials."""

    one_step: ClassVar = False

    @property
    def label(self) -> str:
        """past_deleted:of=w,birth=b."""
        return f"past_deleted:of={self.of},birth={self.birth}"
