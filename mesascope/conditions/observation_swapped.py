"""Replaces the observation with another lifetime's observation at every step, if the family has observations."""

from mesascope.contracts import Condition, take_rows


class ObservationSwapped(Condition):
    """Replaces every observation with the partner's observation; the condition has no settings."""

    def apply(self, carry, percept, second_carry, context):
        """Replaces the observation with the partner's observation."""
        return carry, percept._replace(observation=take_rows(percept.observation, context.partners)), second_carry


def condition() -> ObservationSwapped:
    """At every step, the subject gets another lifetime's observation."""
    return ObservationSwapped()
