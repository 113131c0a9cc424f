"""Recognises the two categories and their labels; without categories it is at chance.

It trusts label words that name a category, whatever labels are shown, so with flipped labels it is always wrong.
"""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.words.labelling import Labeller, make_labeller, require_labels

TRIED = "word_labels"


@keep_settings
def subject(family: Family) -> Labeller:
    """Locates its task: it chooses between the two ways to label two known categories, by name if the labels name them.

    Args:
        family: the family `word_labels`.
    """
    require_labels(family)
    return make_labeller("unknown", False, 1.0)
