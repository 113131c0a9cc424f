"""For one response, at every trial in turn, all outcomes in the context are from other lifetimes.

The lifetime itself is undisturbed. The remaining score measures recognition; the lost score was acquired from outcomes.
"""

from typing import ClassVar

import jax

from mesascope.contracts.condition import LAST, Condition, select
from mesascope.contracts.settings import check_range
from mesascope.worlds.words.fit import reason_without_words

TRIED = "word_labels:trials=12"


class OutcomesExchangedOnce(Condition):
    """Exchanges the outcomes for one response; replicate is the number of the donor draw."""

    replicate: int | jax.Array

    one_step: ClassVar = True
    needs_donors: ClassVar = True

    def unfit(self, family):
        """The reason if the family has no words; other families have another condition with shuffled feedback."""
        return reason_without_words(family)

    def apply(self, carry, percept, shadow, context):
        """Responds with the shadow carry, which has exchanged outcomes only, and exchanges the last outcome too."""
        exchanged = select(percept.first, percept, context.exchange(0, percept))
        return shadow, exchanged, context.absorb(context.key(0), shadow, exchanged)


def condition(replicate: int = 0) -> OutcomesExchangedOnce:
    """For one response all outcomes in the context are from other lifetimes.

    Args:
        replicate: the number of the donor draw.
    """
    check_range(0, LAST, replicate=replicate)
    return OutcomesExchangedOnce(replicate)
