"""Infers labels by Bayes' rule: knows the categories, remembers the label of every word, and infers lines."""

import jax.numpy as jnp

from mesascope.contracts import Family, convert_to_arrays, keep_settings
from mesascope.worlds.words.labelling import Labeller, list_all_tables, list_assignments, require_labels

CHECK_FAMILY = "word_labels"
NAME_TRUST = 0.9  # the prior probability that a label word that names a category stands for this category


@keep_settings(discount=(0, 1))
def subject(family: Family, discount: float = 1.0, should_minimise: bool = False) -> Labeller:
    """Infers the labels of categories, the labels of single words, or the line that separates pairs of numbers.

    Args:
        family: the family `word_labels`.
        discount: the fraction of the evidence that the subject keeps from one trial to the next.
        should_minimise: whether the subject gives the opposite of the inferred label.
    """
    words = require_labels(family)
    tables = list_all_tables(words.categories) if words.has_parts else list_assignments()
    return Labeller(
        tables,
        **convert_to_arrays(has_memory=True, label_trust=NAME_TRUST, discount=discount),
        should_minimise=jnp.asarray(should_minimise),
    )
