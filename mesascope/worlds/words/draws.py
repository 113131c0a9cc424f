"""Draws the items and labels of the tasks of `word_labels`."""

import jax
import jax.numpy as jnp

from mesascope.contracts.percept import Array
from mesascope.keys import derive_key
from mesascope.worlds.words.texts import N_DIGITS, Texts, read_texts

N_REPEATED_WORDS = 6  # the number of words on the split 'restructured:halves'; half of them have each label
MIN_LINE_DISTANCE = 0.5  # the smallest distance of a pair of numbers from the line that determines the labels


def draw_cyclic_indices(key: jax.Array, n: int, size: int, length: int) -> jax.Array:
    """Draws indices into n lists of `size` entries, [n, length]; each list is shuffled once and then repeated."""
    order = jnp.argsort(jax.random.uniform(key, (n, size)), -1)
    return order[:, jnp.arange(length) % size]


def draw_abstract_words(key: jax.Array, n: int, data: Texts) -> jax.Array:
    """Draws the indices of two different label words without meaning, [n, 2], in random order."""
    scores = jax.random.uniform(derive_key(key, "words"), (n, len(data.labels) - data.n_categories))
    return data.n_categories + jnp.argsort(scores, -1)[:, :2]


def draw_category_labels(key: jax.Array, n: int, category_count: int) -> jax.Array:
    """Draws the labels of categories uniformly and independently, [n, C]."""
    return jax.random.bernoulli(derive_key(key, "table"), 0.5, (n, category_count)).astype(jnp.int32)


def draw_mixed_labels(key: jax.Array, shape: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """Draws a few words of one category, half of them with each label.

    Returns the items of each trial, [n, T], and the label of each of I items, [n, I]; -1 for items without a label.

    The n tasks share the words, so that each of the tasks has a label for the words of the others.
    """
    n, trials = shape
    data = read_texts()
    category = jax.random.randint(derive_key(key, "category"), (), 0, data.n_categories)
    size = data.words_per_category
    words = category * size + draw_cyclic_indices(derive_key(key, "word"), 1, size, N_REPEATED_WORDS)[0]
    half = jnp.argsort(jax.random.uniform(derive_key(key, "half"), (n, N_REPEATED_WORDS)), -1) % 2
    index = jax.random.randint(derive_key(key, "which"), (n, trials), 0, N_REPEATED_WORDS)
    return words[index], jnp.full((n, len(data.items)), -1).at[:, words].set(half)


def compute_line_distances(angle: Array) -> Array:
    """Computes the signed distance [..., 100] of each pair of numbers from the line through the centre for each angle.

    The angle is that of the normal of the line.
    """
    centred_digits = jnp.arange(N_DIGITS) - (N_DIGITS - 1) / 2
    a, b = (x.ravel() for x in jnp.meshgrid(centred_digits, centred_digits, indexing="ij"))
    return jnp.cos(angle)[..., None] * a + jnp.sin(angle)[..., None] * b


def draw_number_pairs(key: jax.Array, shape: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """Draws pairs of numbers, and labels of these pairs that a line separates.

    Returns the items of each trial, [n, T], and the label of each of I items, [n, I]; -1 for words.

    The line differs from every rule that has a simple description, such as that the first number is larger, or that the
    sum is large.
    """
    n, trials = shape
    eighth = jnp.pi / 4
    offset = jax.random.uniform(derive_key(key, "tilt"), (n,), minval=0.3, maxval=0.7)
    distance = compute_line_distances(eighth * (jax.random.randint(derive_key(key, "eighth"), (n,), 0, 8) + offset))
    order = jax.random.uniform(derive_key(key, "pair"), distance.shape) + 2.0 * (jnp.abs(distance) < MIN_LINE_DISTANCE)
    index = jnp.argsort(order, -1)[:, jnp.arange(trials) % 60]
    n_words = read_texts().n_words
    return n_words + index, jnp.pad((distance > 0).astype(jnp.int32), ((0, 0), (n_words, 0)), constant_values=-1)
