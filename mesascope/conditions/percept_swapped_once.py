"""Shows another lifetime's percept for one response, at every step in turn; the lifetime continues undisturbed."""

from typing import ClassVar

from mesascope.contracts import Condition, select, take_rows


class PerceptSwappedOnce(Condition):
    """Shows another lifetime's percept for one response; the condition has no settings."""

    is_one_step: ClassVar = True

    def apply(self, carry, percept, second_carry, context):
        """Shows the partner's observation, last action and feedback, with the subject's own trial, step and carry."""
        swapped = take_rows(percept, context.partners)._replace(
            trial=percept.trial, step=percept.step, first=percept.first
        )
        return carry, select(percept.first, percept, swapped), second_carry


def condition() -> PerceptSwappedOnce:
    """For one response, the subject gets another lifetime's observation, last action and feedback."""
    return PerceptSwappedOnce()
