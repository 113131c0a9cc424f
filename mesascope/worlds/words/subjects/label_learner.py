"""Knows the categories, remembers the label of every word and infers lines between numbers: an exact learner."""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.contracts.settings import name_with_settings
from mesascope.worlds.words.labelling import Labeller, make_labeller, require_labels

TRIED = "word_labels"
TRUST = 0.9  # that a label which names a category is meant for it


@keep_settings(keeps=(0, 1))
def subject(family: Family, keeps: float = 1.0, minimise: bool = False) -> Labeller:
    """Finds out which category has which label, which word has which, or what line parts pairs of numbers.

    Args:
        family: word_labels.
        keeps: part of the evidence that is kept from one trial to the next.
        minimise: gives the other label.
    """
    require_labels(family)
    name = name_with_settings(subject, keeps=float(keeps), minimise=bool(minimise))
    return make_labeller("unlimited", True, TRUST, keeps, minimise=minimise, name=name)
