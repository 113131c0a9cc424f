"""Recognises the two categories and their labels; without categories it is at chance.

It believes label words that name a category, whatever the labels shown: with flipped labels it is always wrong.
"""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.words.labelling import Labeller, make_labeller, require_labels

TRIED = "word_labels"


@keep_settings
def subject(family: Family) -> Labeller:
    """Locates: chooses between the two ways to name two known categories, by their names if these are the labels.

    Args:
        family: the family `word_labels`.
    """
    require_labels(family)
    return make_labeller("unknown", False, 1.0)
