"""Recognises the two categories of a lifetime and their labels; if labels follow no category, it is at chance.

The subject trusts label words that name a category, whatever labels are shown. So with flipped labels, all its answers
are wrong.
"""

import jax.numpy as jnp

from mesascope.contracts import Family, as_arrays, keep_settings
from mesascope.worlds.words.labelling import Labeller, require_labels

CHECK_FAMILY = "word_labels"


@keep_settings
def subject(family: Family) -> Labeller:
    """Locates its task: chooses between the two assignments of labels to two known categories.

    Args:
        family: the family `word_labels`.
    """
    require_labels(family)
    parameters = as_arrays(has_memory=False, label_trust=1.0, discount=1.0)
    return Labeller(**parameters, should_minimise=jnp.asarray(False), trained_on="unknown")
