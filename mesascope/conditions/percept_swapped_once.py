"""For one response, at every step in turn, the percept is another lifetime's; the lifetime continues undisturbed."""

from typing import ClassVar

from mesascope.contracts.condition import Condition, select, take


class PerceptSwappedOnce(Condition):
    """No settings."""

    one_step: ClassVar = True

    def apply(self, carry, percept, shadow, context):
        """Takes the partner's observation, last action and feedback; the trial, step and carry stay."""
        other = take(percept, context.partner)
        swapped = percept._replace(observation=other.observation, action=other.action, feedback=other.feedback)
        return carry, select(percept.first, percept, swapped), shadow


def condition() -> PerceptSwappedOnce:
    """For one response the observation, last action and feedback are another lifetime's."""
    return PerceptSwappedOnce()
