"""Recognises how labels are assigned to categories; if labels follow no category, it is at chance.

With two categories, it chooses between the two assignments of labels to the categories. With more categories, it
chooses among the training tasks of the family's bank. It trusts label words that name a category, whatever labels are
shown. So with flipped labels, all its answers are wrong.
"""

import jax.numpy as jnp

from mesascope.contracts import Family, convert_to_arrays, keep_settings, require_bank
from mesascope.worlds.words.labelling import Labeller, extend_tables, list_assignments, require_labels

CHECK_FAMILY = "word_labels"


@keep_settings
def subject(family: Family) -> Labeller:
    """Locates its task among the assignments of labels to categories that it knows.

    Args:
        family: the family `word_labels`; with more than two categories, it needs a bank.
    """
    words, parameters = require_labels(family), convert_to_arrays(has_memory=False, label_trust=1.0, discount=1.0)
    tables, trained_on = list_assignments(), "unknown"
    if words.has_parts:
        remedy = f"Take {words.name},bank=4."
        trained_on, stored_tables = require_bank(words, words.bank_tables, "has no training tasks", remedy)
        tables = extend_tables(stored_tables, words.categories)
    return Labeller(tables, **parameters, should_minimise=jnp.asarray(False), trained_on=trained_on)
