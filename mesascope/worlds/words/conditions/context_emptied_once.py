"""For one response, at every trial in turn, the context is empty and only the present observation is shown."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mesascope.contracts.condition import Condition
from mesascope.worlds.words.fit import reason_without_words

TRIED = "word_labels:trials=12"


class ContextEmptiedOnce(Condition):
    """Empties the context for one response."""

    one_step: ClassVar = True

    def unfit(self, family):
        """The reason if the family has no words; other families have another condition with a fresh carry."""
        return reason_without_words(family)

    def apply(self, carry, percept, shadow, context):
        """A fresh carry, and the percept of a first trial."""
        xp = np if isinstance(percept.first, np.ndarray) else jnp
        first_percept = percept._replace(
            action=context.start.action, feedback=context.start.feedback, first=xp.ones_like(percept.first)
        )
        return context.fresh, first_percept, shadow


def condition() -> ContextEmptiedOnce:
    """For one response the context is empty: the subject answers by prior knowledge alone."""
    return ContextEmptiedOnce()
