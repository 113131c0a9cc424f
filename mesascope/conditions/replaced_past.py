"""Deletes the past before the last w percepts, or replaces it with a donor's, for single responses or a lifetime.

The condition takes a fresh carry, or the carry that another lifetime of the same subject had w trials ago. It then
replays the last w percepts, including the present one, unchanged. So the subject still knows the trial index if it
observes this index. Deletion resets a trial counter in the carry, whereas a transplant does not change its value.

If trials have several steps, the last w trials are replayed unchanged, and the carry is replaced only before the first
step of a trial, so that memory within a trial never counts. The first replayed percept keeps its observation. But its
last action and feedback are older than w trials, so they come from the other lifetime, or are absent under deletion.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from mesascope.contracts import MAX_TRIAL_INDEX, READABLE_PERCEPTS, Condition, Number, check_range, select, take_rows


class ReplacedPast(Condition):
    """Replaces or deletes the past before the last w percepts.

    Attributes:
        window: w, the number of last percepts that the subject still knows, including the present one; if trials have
            several steps, the number of past trials that the subject still knows.
        birth: 1 if the fresh carry first receives the percept of w trials ago, marked as first and without its outcome.
            If trials have several steps, the carry receives this percept in any case; 1 marks the percept as first.
        transplant_flag: 1 for the carry that another lifetime had w trials ago, 0 for a fresh carry.
        replicate: the number of the draw of donors (the other lifetimes), counted from 0.
        whole_lifetime_flag: 1 to disturb a lifetime from its first to its last trial, 0 to disturb single responses.
    """

    window: Number
    birth: Number
    transplant_flag: Number
    replicate: Number
    whole_lifetime_flag: Number = 0

    looks_back: ClassVar = True

    def __check_init__(self) -> None:
        check_range(1, READABLE_PERCEPTS - 1, window=int(self.window))
        check_range(0, 1, birth=int(self.birth))
        check_range(0, MAX_TRIAL_INDEX, replicate=int(self.replicate))

    @property
    def is_one_step(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the condition disturbs single responses, while the lifetime itself continues undisturbed."""
        return self.whole_lifetime_flag == 0

    @property
    def is_worth_recorded(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether rollouts record the worth of the disturbed responses."""
        return bool(self.whole_lifetime_flag == 0)

    @property
    def label(self) -> str:
        """The condition's name with its settings, which are window and either replicate (transplant) or birth."""
        if self.transplant_flag == 1:
            return f"past_transplanted_once:window={self.window},replicate={self.replicate}"
        return f"past_deleted{'' if self.whole_lifetime_flag else '_once'}:window={self.window},birth={self.birth}"

    @property
    def trials_since_transplant(self) -> int | None:
        """w, the number of trials since the donor's carry replaced the subject's own carry; None for a deletion."""
        return int(self.window) if self.transplant_flag == 1 else None

    def explain_mismatch(self, family: Any) -> str | None:
        """Explains in a clause why this condition does not fit a family; returns None if it fits.

        The condition does not fit if it disturbs a whole lifetime that has at most w trials. It does not fit either if
        trials have several steps and the family cannot value the first action of a trial.
        """
        if self.whole_lifetime_flag and self.window >= family.horizon:
            return f"a lifetime has {family.horizon} trials, all of which the subject would still know"
        is_without_values = family.steps > 1 and not family.can_value_actions
        return (
            "its trials have several steps, and the family cannot value single actions" if is_without_values else None
        )

    def apply(self, carry, percept, second_carry, context):
        """Builds the carry before the present percept.

        In a transplant, the second carry is the subject's own carry of w trials ago.
        """
        if context.steps > 1:
            return self._apply_to_trials(carry, percept, second_carry, context)
        is_transplanted, percept_at_cut = self.transplant_flag == 1, context.get_past_percept(self.window)
        first_percept = context.mark_as_first(percept_at_cut)._replace(trial=percept_at_cut.trial)

        def exchange(own_carry):
            return select(is_transplanted, take_rows(own_carry, context.partners), own_carry)

        second_carry, replaced_carry = replay_past(
            self.window,
            select(is_transplanted, second_carry, context.fresh_carry),
            second_carry,
            context,
            oldest=select(is_transplanted, percept_at_cut, first_percept),
            has_oldest=is_transplanted | (self.birth == 1),
            replace_carry=exchange,
        )
        return select(context.trial >= self.window, replaced_carry, carry), percept, second_carry

    def _apply_to_trials(self, carry, percept, second_carry, context):
        """Does the same as `apply`, but only before the first step of a trial.

        The second carry is the subject's own carry before the percept of w · S steps ago. Before the first step of a
        trial, it is therefore the carry with which the subject began the trial of w trials ago.
        """
        length, is_old_enough = self.window * context.steps, context.trial >= self.window
        percept_at_cut = context.get_past_percept(length)
        donor = take_rows(percept_at_cut, context.partners)
        with_donor_outcome = percept_at_cut._replace(action=donor.action, feedback=donor.feedback)
        without_outcome = context.mark_as_first(percept_at_cut)._replace(
            trial=percept_at_cut.trial, first=percept_at_cut.first | (self.birth == 1)
        )
        first_replayed = select(self.transplant_flag == 1, with_donor_outcome, without_outcome)
        old_carry = select(self.transplant_flag == 1, take_rows(second_carry, context.partners), context.fresh_carry)

        def replay_step(i, carry):
            steps_back = length - i
            percept = select(i == 0, first_replayed, context.get_past_percept(steps_back))
            return context.respond_in_past(steps_back, carry, percept)

        is_replaced = context.is_trial_start & is_old_enough
        replaced_carry = context.repeat(0, is_replaced * length, replay_step, old_carry)
        needs_shadow = is_old_enough & (self.transplant_flag == 1)
        second_carry = context.repeat(
            0, needs_shadow * 1, lambda _, own: context.respond_in_past(length, own, percept_at_cut), second_carry
        )
        return select(is_replaced, replaced_carry, carry), percept, second_carry


def replay_past(
    window: Number,
    carry: Any,
    second_carry: Any,
    context: Any,
    *,
    oldest: Any,
    has_oldest: Any = True,
    replace_carry: Callable[[Any], Any] = lambda carry: carry,
) -> tuple[Any, Any]:
    """Rebuilds the carry before the present percept, in a lifetime that is at least w trials old.

    One loop updates the carry with all percepts, because JAX would compile every further call of `update_carry`
    separately.

    Args:
        window: w, the number of last percepts that the subject still knows, including the present one.
        carry: the carry before the percept of w trials ago.
        second_carry: the second carry as the condition returned it on the trial before.
        context: the condition's context.
        oldest: the percept that the subject observes instead of the percept of w trials ago.
        has_oldest: whether the subject observes the percept `oldest`, or begins with the percept after it.
        replace_carry: a function that replaces the carry after the percept `oldest`.

    Returns:
        The new second carry, which is the carry after the percept `oldest`, before `replace_carry` replaces it; and the
        rebuilt carry. In a lifetime of fewer than w trials, these are `second_carry` and `carry` unchanged.
    """

    def replay_percept(i, carries):
        second_carry, carry = carries
        is_oldest, steps_back = (i == 0) & has_oldest, window - 1 + has_oldest - i
        replayed = select(is_oldest, oldest, context.get_past_percept(steps_back))
        after = context.update_carry(context.get_response_key(steps_back), carry, replayed)
        return select(is_oldest, after, second_carry), select(is_oldest, replace_carry(after), after)

    count = (context.trial >= window) * (window - 1 + has_oldest)
    return context.repeat(0, count, replay_percept, (second_carry, carry))
