"""Decides which families the conditions of language models apply to."""

from mesascope.contracts.capabilities import SpeaksWords
from mesascope.contracts.family import Family


def explain_no_words(family: Family) -> str | None:
    """The reason why a condition of language models does not apply, or None if the family has words."""
    return None if isinstance(family, SpeaksWords) else "it has no words"
