"""At every trial the observation is another lifetime's; does not apply if the task has no observations."""

from mesascope.contracts.condition import Condition, take


class ObservationSwapped(Condition):
    """No settings."""

    def apply(self, carry, percept, shadow, context):
        """Takes the partner's observation."""
        return carry, percept._replace(observation=take(percept.observation, context.partner)), shadow


def condition() -> ObservationSwapped:
    """At every trial the observation is another lifetime's."""
    return ObservationSwapped()
