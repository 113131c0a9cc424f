"""Empties the context for one response, on each trial in turn, and shows only the present observation."""

from typing import ClassVar

from mesascope.contracts import Condition, SpeaksWords


class ContextEmptiedOnce(Condition):
    """Empties the context for one response."""

    one_step: ClassVar = True

    def explain_misfit(self, family):
        """The reason if the family has no words; such families have another condition with a fresh carry."""
        return None if isinstance(family, SpeaksWords) else "it has no words"

    def apply(self, carry, percept, shadow, context):
        """Returns a fresh carry, and the percept as if on a first trial."""
        start = context.start
        first_percept = percept._replace(action=start.action, feedback=start.feedback, first=start.first)
        return context.fresh, first_percept, shadow


def condition() -> ContextEmptiedOnce:
    """Empties the context for one response, so that the subject answers from prior knowledge alone."""
    return ContextEmptiedOnce()
