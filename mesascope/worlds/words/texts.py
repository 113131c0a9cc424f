"""The words, label words and wordings of `word_labels`."""

import functools
import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np

N_DIGITS = 10  # both numbers of a pair are from 0 to 9


class Texts(NamedTuple):
    """All texts of the family.

    Attributes:
        items: the words, category by category, and then the pairs of numbers.
        labels: the label words: the names of the categories, and then words without meaning.
        wordings: the templates of each wording: 'intro', 'shot' and 'query'.
        pairs: [6, 2] the indices of the two categories of each pair.
        n_categories: the number of categories.
        words_per_category: the number of words in each category.
    """

    items: tuple[str, ...]
    labels: tuple[str, ...]
    wordings: tuple[dict[str, str], ...]
    pairs: np.ndarray
    n_categories: int
    words_per_category: int

    @property
    def n_words(self) -> int:
        """The number of items that are words."""
        return self.n_categories * self.words_per_category

    @property
    def is_second(self) -> np.ndarray:
        """[12] Whether each category is the second of its pair."""
        return np.isin(np.arange(self.n_categories), self.pairs[:, 1])


@functools.cache
def read_texts() -> Texts:
    """Reads the texts from the TOML file beside this module."""
    file = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    names = list(file["categories"])
    words = [w for name in names for w in file["categories"][name]["words"].split()]
    numbers = [f"{a} {b}" for a in range(N_DIGITS) for b in range(N_DIGITS)]
    pairs = np.asarray([[names.index(c) for c in pair] for pair in file["pairs"]["names"]])
    items, labels = (*words, *numbers), (*names, *file["labels"]["abstract"])
    return Texts(items, labels, tuple(file["wordings"]), pairs, len(names), len(words) // len(names))
