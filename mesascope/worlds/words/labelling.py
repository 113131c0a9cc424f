"""What a scripted answerer of `word_labels` holds of the labels that it was told, and what it predicts from them.

Three ways to see a lifetime: two known categories of a pair, either of which may have either label; words that
each have a label of their own; pairs of numbers parted by a line. Each has a posterior, and the predictive is
their mixture.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.scripted import Family, Percept, Scripted, as_arrays, choose, require_family
from mesascope.worlds.words.families.word_labels import (
    FIRST,
    ITEM,
    LAST,
    SAID,
    WordLabels,
    distance_beyond_line,
    texts,
)

TILTS = 64  # lines that are thought of
SLIP = 0.02  # part of the labels that may be told wrongly


class Knowledge(NamedTuple):
    """mapping [N, 2] and line [N, TILTS] log-likelihoods; memory [N, I], for label 1; alone [N], of words alone."""

    mapping: jax.Array
    line: jax.Array
    memory: jax.Array
    alone: jax.Array


class Labeller(Scripted):
    """A scripted answerer; its numbers are data, compiled once.

    Attributes:
        remembers: 1 if words may have labels of their own, and numbers be parted by a line.
        trust: that a label which names a category is meant for it.
        keeps: what part of the evidence is kept from one trial to the next.
        minimise: whether it gives the other label.
    """

    remembers: jax.Array
    trust: jax.Array
    keeps: jax.Array
    minimise: jax.Array

    def fresh(self, n: int) -> Knowledge:
        """Nothing known."""
        known = len(texts().items)
        return Knowledge(jnp.zeros((n, 2)), jnp.zeros((n, TILTS)), jnp.zeros((n, known)), jnp.zeros(n))

    def respond(self, key, carry, percept: Percept):
        """Takes in the label of the last item, then predicts that of the present one."""
        carry = jax.tree.map(lambda x: self.keeps * x, carry)
        shown = percept.observation
        item, last = (shown[:, i].astype(jnp.int32) for i in (ITEM, LAST))
        held = jax.tree.map(
            lambda new, old: jnp.where(percept.first.reshape((-1,) + (1,) * (old.ndim - 1)), old, new),
            self._taken(carry, last, shown[:, SAID]),
            carry,
        )
        first = self._predicted(held, item, shown)
        probabilities = jnp.stack([1.0 - first, first], -1)
        probabilities = jnp.where(self.minimise, probabilities[:, ::-1], probabilities)
        return held, choose(key, jnp.log(jnp.clip(probabilities, 1e-6, 1.0)))

    def _taken(self, carry: Knowledge, last: jax.Array, said: jax.Array) -> Knowledge:
        """The evidence with one more label."""
        rows, told = jnp.arange(len(last)), jnp.where(said > 0.5, 1.0, -1.0)
        side = _side(last)
        right = jnp.stack([side == said, side != said], -1)
        first = _recalled(carry, last)
        beyond_it = _lines()[:, last - _words()].T > 0
        return Knowledge(
            carry.mapping + _log(right),
            carry.line + _log(beyond_it == (said > 0.5)[:, None]),
            carry.memory.at[rows, last].add(told),
            carry.alone + jnp.log(jnp.where(said > 0.5, first, 1.0 - first)),
        )

    def _predicted(self, held: Knowledge, item: jax.Array, shown: jax.Array) -> jax.Array:
        """[N] the probability of label 1."""
        prior = jnp.log(_meant(shown, self.trust))
        mapping = held.mapping + prior
        side = _side(item).astype(jnp.int32)
        one = jnp.where(side == 1, 0, 1)  # which mapping gives the item label 1
        categories = jnp.take_along_axis(jax.nn.softmax(mapping), one[:, None], 1)[:, 0]
        odds = jax.nn.logsumexp(mapping, -1) - held.alone
        own = jnp.where(self.remembers > 0, jax.nn.sigmoid(-odds), 0.0)
        words = (1.0 - own) * _softened(categories) + own * _recalled(held, item)
        line = (jax.nn.softmax(held.line) * (_lines()[:, item - _words()].T > 0)).sum(-1)
        line = jnp.where(self.remembers > 0, line, 0.5)
        return jnp.where(item < _words(), words, _softened(line))


def _words() -> int:
    """The number of items that are words."""
    return texts().categories * texts().each


def _side(item: jax.Array) -> jax.Array:
    """[N] 1 where an item is of the second category of its pair; 0 for numbers."""
    known = texts()
    second = np.zeros(known.categories + 1)
    second[known.pairs[:, 1]] = 1
    return jnp.asarray(second)[jnp.minimum(item // known.each, known.categories)]


def _meant(shown: jax.Array, trust: jax.Array) -> jax.Array:
    """[N, 2] the prior of the two mappings: what the label words name is trusted."""
    known = texts()
    words = shown[:, FIRST:].astype(jnp.int32)
    second = jnp.asarray(np.isin(np.arange(len(known.labels)), known.pairs[:, 1]))
    names = (words < known.categories).all(-1)
    straight = second[words[:, 1]]
    meant = jnp.where(straight, trust, 1.0 - trust)
    return jnp.where(names[:, None], jnp.stack([meant, 1.0 - meant], -1), 0.5)


def _recalled(held: Knowledge, item: jax.Array) -> jax.Array:
    """[N] the probability of label 1 for a word whose label is its own."""
    seen = jnp.take_along_axis(held.memory, item[:, None], 1)[:, 0]
    return jax.nn.sigmoid(seen * np.log((1 - SLIP) / SLIP))


def _softened(p: jax.Array) -> jax.Array:
    return SLIP + (1.0 - 2.0 * SLIP) * p


def _log(right: jax.Array) -> jax.Array:
    return jnp.log(jnp.where(right, 1.0 - SLIP, SLIP))


def _lines() -> jax.Array:
    """[TILTS, 100] how far every pair of numbers lies beyond every line."""
    return distance_beyond_line(2.0 * jnp.pi * (jnp.arange(TILTS) + 0.5) / TILTS)


def require_labels(family: Family) -> WordLabels:
    """The family, if it gives words labels.

    Raises:
        MesascopeError: it does not.
    """
    return require_family(family, WordLabels, "has no words to label", "Take --family word_labels.")


def make_labeller(
    trained_on: str,
    remembers: bool,
    trust: float,
    keeps: float = 1.0,
    *,
    minimise: bool = False,
    name: str = "",
) -> Labeller:
    """A labeller from plain numbers."""
    numbers = as_arrays(remembers=remembers, trust=trust, keeps=keeps)
    return Labeller(**numbers, minimise=jnp.asarray(bool(minimise)), name=name, trained_on=trained_on)
