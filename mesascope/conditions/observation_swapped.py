"""At every trial the observation is another lifetime's; does not apply where the task shows nothing."""

from mesascope.contracts.condition import Condition, take


class ObservationSwapped(Condition):
    """No settings."""

    def apply(self, carry, percept, shadow, context):
        """The partner's observation."""
        return carry, percept._replace(observation=take(percept.observation, context.partner)), shadow


def condition() -> ObservationSwapped:
    """At every trial the observation is another lifetime's."""
    return ObservationSwapped()
