"""For one response, at every trial in turn, all outcomes in the context are other lifetimes'; the life goes on.

What is left of its score is what it recognises without being told; what is lost it had acquired from the outcomes.
"""

from typing import ClassVar

import jax

from mesascope.contracts.condition import LAST, Condition, select
from mesascope.contracts.settings import check_range
from mesascope.worlds.words.fit import why_without_words

TRIED = "word_labels:trials=12"


class OutcomesExchangedOnce(Condition):
    """replicate: which draw of donors."""

    replicate: int | jax.Array

    one_step: ClassVar = True
    needs_donors: ClassVar = True

    def unfit(self, family):
        """Where the family has no words: the shuffled feedback of other families is asked for elsewhere."""
        return why_without_words(family)

    def apply(self, carry, percept, shadow, context):
        """The shadow has taken in exchanged outcomes only; the last one is exchanged too."""
        exchanged = select(percept.first, percept, context.exchange(0, percept))
        return shadow, exchanged, context.absorb(context.key(0), shadow, exchanged)


def condition(replicate: int = 0) -> OutcomesExchangedOnce:
    """For one response all outcomes in the context are other lifetimes'.

    Args:
        replicate: which draw of donors.
    """
    check_range(0, LAST, replicate=replicate)
    return OutcomesExchangedOnce(replicate)
