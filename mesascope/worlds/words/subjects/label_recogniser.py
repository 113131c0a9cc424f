"""Recognises which two categories it has to do with and which has which label; can do nothing where there are none.

Labels that name the categories are believed whatever is told: under flipped labels it is wrong throughout.
"""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.words.labelling import Labeller, make_labeller, require_labels

TRIED = "word_labels"


@keep_settings
def subject(family: Family) -> Labeller:
    """Locates: chooses between the two ways to name two categories that it knows, by name where these are the labels.

    Args:
        family: word_labels.
    """
    require_labels(family)
    return make_labeller("unknown", False, 1.0)
