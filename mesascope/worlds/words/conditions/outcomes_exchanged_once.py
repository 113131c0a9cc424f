"""Exchanges all outcomes in the context for those of other lifetimes, for one response on each trial in turn.

The lifetime itself is undisturbed. The score under this condition measures recognition. The difference from the intact
score measures what the subject acquired from outcomes.
"""

from typing import ClassVar

import jax

from mesascope.contracts import MAX_TRIAL_INDEX, AsksQuestions, Condition, check_range, select


class OutcomesExchangedOnce(Condition):
    """Exchanges the outcomes for one response; `replicate` is the index of the random draw of donors."""

    replicate: int | jax.Array

    is_one_step: ClassVar = True
    needs_donors: ClassVar = True

    def explain_mismatch(self, family):
        """Returns why the condition does not apply to a family without words; None for a family with words.

        For families without words, the condition `feedback_shuffled` exchanges the feedback.
        """
        return None if isinstance(family, AsksQuestions) else "it has no words"

    def apply(self, carry, percept, second_carry, context):
        """Uses the second carry, which is updated with exchanged outcomes only, and exchanges the last outcome."""
        exchanged = select(percept.first, percept, context.exchange_outcome(0, percept))
        return second_carry, exchanged, context.update_carry(context.get_response_key(0), second_carry, exchanged)


def condition(replicate: int = 0) -> OutcomesExchangedOnce:
    """Exchanges all outcomes in the context for those of other lifetimes, for one response.

    Args:
        replicate: the index of the random draw of donors.
    """
    check_range(0, MAX_TRIAL_INDEX, replicate=replicate)
    return OutcomesExchangedOnce(replicate)
