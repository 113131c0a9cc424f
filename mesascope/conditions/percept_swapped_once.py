"""For one response, at every step in turn, all that it is shown and told is another lifetime's; the life goes on."""

from typing import ClassVar

from mesascope.contracts.condition import Condition, select, take


class PerceptSwappedOnce(Condition):
    """No settings."""

    one_step: ClassVar = True

    def apply(self, carry, percept, shadow, context):
        """The partner's observation, last action and feedback; the trial, the step and the carry stay."""
        other = take(percept, context.partner)
        swapped = percept._replace(
            observation=other.observation, action=other.action, feedback=other.feedback
        )
        return carry, select(percept.first, percept, swapped), shadow


def condition() -> PerceptSwappedOnce:
    """For one response what it is shown and told is another lifetime's."""
    return PerceptSwappedOnce()
