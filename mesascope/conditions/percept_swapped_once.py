"""Shows another lifetime's percept for one response, at every step in turn; the lifetime continues undisturbed."""

from typing import ClassVar

from mesascope.contracts.condition import Condition, select, take


class PerceptSwappedOnce(Condition):
    """Swaps the percept for one response; it has no settings."""

    one_step: ClassVar = True

    def apply(self, carry, percept, shadow, context):
        """Shows the partner's observation, last action and feedback; the trial, step and carry stay the same."""
        other = take(percept, context.partner)
        swapped = percept._replace(observation=other.observation, action=other.action, feedback=other.feedback)
        return carry, select(percept.first, percept, swapped), shadow


def condition() -> PerceptSwappedOnce:
    """For one response the subject observes another lifetime's observation, last action and feedback."""
    return PerceptSwappedOnce()
