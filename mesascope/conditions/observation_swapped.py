"""Replaces the observation with another lifetime's on every trial; it has no effect without observations."""

from mesascope.contracts import Condition, take_rows


class ObservationSwapped(Condition):
    """Replaces every observation; it has no settings."""

    def apply(self, carry, percept, shadow, context):
        """Replaces the observation with the partner's."""
        return carry, percept._replace(observation=take_rows(percept.observation, context.partner)), shadow


def condition() -> ObservationSwapped:
    """On every trial the subject observes another lifetime's observation."""
    return ObservationSwapped()
