"""For one response, at every trial in turn, it stands at the start of a life, with the present observation."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from mesascope.contracts.condition import Condition
from mesascope.worlds.words.fit import why_without_words

TRIED = "word_labels:trials=12"


class ContextEmptiedOnce(Condition):
    """No settings."""

    one_step: ClassVar = True

    def unfit(self, family):
        """Where the family has no words: a fresh carry is asked for by another condition there."""
        return why_without_words(family)

    def apply(self, carry, percept, shadow, context):
        """A fresh carry, and a percept that tells of no trial before."""
        xp = np if isinstance(percept.first, np.ndarray) else jnp
        born = percept._replace(
            action=context.start.action, feedback=context.start.feedback, first=xp.ones_like(percept.first)
        )
        return context.fresh, born, shadow


def condition() -> ContextEmptiedOnce:
    """For one response the context is empty: what it answers by what it knows, before anything is told."""
    return ContextEmptiedOnce()
