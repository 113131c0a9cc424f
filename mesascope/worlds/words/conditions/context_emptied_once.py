"""Empties the context for one response on each trial in turn, so that only the present observation remains."""

from typing import ClassVar

from mesascope.contracts import AsksQuestions, Condition


class ContextEmptiedOnce(Condition):
    """Empties the context for one response."""

    is_one_step: ClassVar = True

    def explain_mismatch(self, family):
        """Returns why the condition does not apply to a family without words; None for a family with words.

        For families without words, other conditions replace the carry, such as `carry_reset`.
        """
        return None if isinstance(family, AsksQuestions) else "it has no words"

    def apply(self, carry, percept, second_carry, context):
        """Returns a fresh carry, and the percept as a first one, but with its own observation, trial and step."""
        start = context.first_percept
        first_percept = percept._replace(action=start.action, feedback=start.feedback, first=start.first)
        return context.fresh_carry, first_percept, second_carry


def condition() -> ContextEmptiedOnce:
    """Empties the context for one response, so that the subject answers from prior knowledge alone."""
    return ContextEmptiedOnce()
