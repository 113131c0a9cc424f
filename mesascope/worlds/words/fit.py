"""Conditions that are put to families with words alone, where they are what a metric of language models asks for."""

from mesascope.contracts.capabilities import SpeaksWords
from mesascope.contracts.family import Family


def why_without_words(family: Family) -> str | None:
    """Why a condition of language models does not apply, None where the family has words."""
    return None if isinstance(family, SpeaksWords) else "it has no words"
