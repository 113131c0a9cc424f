"""Recognises the two categories and their labels; without categories it is at chance.

It trusts label words that name a category, whatever labels are shown, so with flipped labels it is always wrong.
"""

import jax.numpy as jnp

from mesascope.contracts import Family, as_arrays, keep_settings
from mesascope.worlds.words.labelling import Labeller, require_labels

CHECK_FAMILY = "word_labels"


@keep_settings
def subject(family: Family) -> Labeller:
    """Locates its task: it chooses between the two ways to label two known categories, by name if the labels name them.

    Args:
        family: the family `word_labels`.
    """
    require_labels(family)
    numbers = as_arrays(has_memory=False, trust=1.0, discount=1.0)
    return Labeller(**numbers, minimise=jnp.asarray(False), trained_on="unknown")
