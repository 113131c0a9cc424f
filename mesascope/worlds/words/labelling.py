"""A scripted Bayesian classifier for `word_labels`, which predicts labels from the labels shown so far.

The classifier has three hypotheses about a lifetime. In the first, each known category has a label, by one of several
tables: with two categories, by one of the two possible assignments. In the second, each word has a label of its own. In
the third, a line separates pairs of numbers. The prediction for a word is the mean of the predictions of the first two
hypotheses, weighted by their posterior probabilities. The prediction for a pair of numbers is that of the third.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import Family, Percept, ScriptedSubject, choose, require_family
from mesascope.worlds.words.draws import compute_line_distances
from mesascope.worlds.words.families import word_labels
from mesascope.worlds.words.families.word_labels import WordLabels
from mesascope.worlds.words.texts import read_texts

N_LINES = 64  # the number of lines that the classifier considers
LABEL_ERROR = 0.02  # the assumed probability of a wrong label


class Evidence(NamedTuple):
    """The evidence from the labels shown so far.

    Attributes:
        table_log_likelihoods: [N, H] the log-likelihood of each of H tables of labels.
        line_log_likelihoods: [N, L] the log-likelihood of each of L lines between pairs of numbers.
        item_evidence: [N, I] how often each of I items was shown with label 1, minus how often with label 0.
        own_label_log_likelihood: [N] the log-likelihood of the hypothesis that each word has a label of its own.
    """

    table_log_likelihoods: jax.Array
    line_log_likelihoods: jax.Array
    item_evidence: jax.Array
    own_label_log_likelihood: jax.Array


class Labeller(ScriptedSubject):
    """A scripted classifier of words, whose settings are arrays.

    Attributes:
        tables: [H, 13] the label of each category in each table, 0.5 for categories without a label; the last column
            stands for pairs of numbers.
        has_memory: 1 if the subject considers labels of single words, and lines between numbers; else 0.
        label_trust: the prior probability that a label word that names a category stands for this category.
        discount: the fraction of the evidence that is kept from one trial to the next.
        should_minimise: whether the subject gives the opposite of the inferred label.
    """

    tables: jax.Array
    has_memory: jax.Array
    label_trust: jax.Array
    discount: jax.Array
    should_minimise: jax.Array

    def initialize_carry(self, n: int) -> Evidence:
        """Returns a carry without evidence."""
        items = len(read_texts().items)
        return Evidence(jnp.zeros((n, len(self.tables))), jnp.zeros((n, N_LINES)), jnp.zeros((n, items)), jnp.zeros(n))

    def respond(self, key, carry, percept: Percept):
        """Updates the evidence with the label of the last item, then predicts the label of the present item."""
        carry = jax.tree.map(lambda x: self.discount * x, carry)
        observation = percept.observation
        item, last_item = (observation[:, i].astype(jnp.int32) for i in (word_labels.ITEM, word_labels.LAST_ITEM))
        updated = jax.tree.map(
            lambda new, old: jnp.where(percept.first.reshape((-1,) + (1,) * (old.ndim - 1)), old, new),
            self._update_evidence(carry, last_item, observation[:, word_labels.LAST_LABEL]),
            carry,
        )
        first = self._predict_label(updated, item, observation)
        probabilities = jnp.stack([1.0 - first, first], -1)
        probabilities = jnp.where(self.should_minimise, probabilities[:, ::-1], probabilities)
        return updated, choose(key, jnp.log(jnp.clip(probabilities, 1e-6, 1.0)))

    def _update_evidence(self, carry: Evidence, last_item: jax.Array, label: jax.Array) -> Evidence:
        """Returns the evidence after one more item with its label."""
        rows, vote = jnp.arange(len(last_item)), jnp.where(label > 0.5, 1.0, -1.0)
        agrees = self._list_labels(last_item) == label[:, None]
        recalled = _predict_from_memory(carry, last_item)
        return Evidence(
            carry.table_log_likelihoods + _compute_log_likelihood(agrees),
            carry.line_log_likelihoods
            + _compute_log_likelihood(_compare_with_lines(last_item) == (label > 0.5)[:, None]),
            carry.item_evidence.at[rows, last_item].add(vote),
            carry.own_label_log_likelihood + jnp.log(jnp.where(label > 0.5, recalled, 1.0 - recalled)),
        )

    def _list_labels(self, item: jax.Array) -> jax.Array:
        """Lists the label that each of H tables gives to each item, [N, H]."""
        data = read_texts()
        return self.tables[:, jnp.minimum(item // data.words_per_category, data.n_categories)].T

    def _predict_label(self, evidence: Evidence, item: jax.Array, observation: jax.Array) -> jax.Array:
        """Computes the probability that the present item has label 1, [N]."""
        prior = jnp.log(_compute_prior(observation, self.label_trust, self.tables))
        log_posterior = evidence.table_log_likelihoods + prior
        categories = (jax.nn.softmax(log_posterior) * self._list_labels(item)).sum(-1)
        log_odds = jax.nn.logsumexp(log_posterior, -1) - evidence.own_label_log_likelihood
        own_labels = jnp.where(self.has_memory > 0, jax.nn.sigmoid(-log_odds), 0.0)
        words = (1.0 - own_labels) * _mix_label_error(categories) + own_labels * _predict_from_memory(evidence, item)
        line = (jax.nn.softmax(evidence.line_log_likelihoods) * _compare_with_lines(item)).sum(-1)
        line = jnp.where(self.has_memory > 0, line, 0.5)
        return jnp.where(item < read_texts().n_words, words, _mix_label_error(line))


def list_assignments() -> jax.Array:
    """Lists the two tables that give the two categories of every pair different labels, [2, 13]; see `Labeller`."""
    first = np.append(read_texts().is_second, False)
    return jnp.asarray([first, ~first], jnp.float32)


def extend_tables(tables: Any, categories: np.ndarray) -> jax.Array:
    """Extends H tables of the labels of C categories, [H, C], to all columns, [H, 13]; the added labels are 0.5."""
    return jnp.full((len(tables), read_texts().n_categories + 1), 0.5).at[:, categories].set(jnp.asarray(tables))


def list_all_tables(categories: np.ndarray) -> jax.Array:
    """Lists all tables of labels of C categories, [2^C, 13]."""
    return extend_tables(np.asarray(list(itertools.product((0.0, 1.0), repeat=len(categories)))), categories)


def _compute_prior(observation: jax.Array, trust: jax.Array, tables: jax.Array) -> jax.Array:
    """Computes the prior probabilities of the tables, [N, H], from the meaning of the label words."""
    words = observation[:, word_labels.FIRST_LABEL_WORD :].astype(jnp.int32)
    n_categories = read_texts().n_categories
    agrees = tables[:, jnp.minimum(words[:, 1], n_categories)].T == 1
    by_name = jnp.where((words < n_categories).all(-1)[:, None], jnp.where(agrees, trust, 1.0 - trust), 0.5)
    return by_name * (2.0 / len(tables))


def _predict_from_memory(evidence: Evidence, item: jax.Array) -> jax.Array:
    """Computes the probability of label 1 for a word that has a label of its own, [N]."""
    balance = jnp.take_along_axis(evidence.item_evidence, item[:, None], 1)[:, 0]
    return jax.nn.sigmoid(balance * np.log((1 - LABEL_ERROR) / LABEL_ERROR))


def _mix_label_error(p: jax.Array) -> jax.Array:
    """Computes the probability of a shown label from that of the true label, for labels that may be wrong."""
    return LABEL_ERROR + (1.0 - 2.0 * LABEL_ERROR) * p


def _compute_log_likelihood(is_correct: jax.Array) -> jax.Array:
    """Computes the log-likelihood of labels, given whether each agrees with the hypothesis."""
    return jnp.log(jnp.where(is_correct, 1.0 - LABEL_ERROR, LABEL_ERROR))


def _compare_with_lines(item: jax.Array) -> jax.Array:
    """Finds whether each pair of numbers lies on the positive side of each line, [N, L]."""
    distance = compute_line_distances(2.0 * jnp.pi * (jnp.arange(N_LINES) + 0.5) / N_LINES)
    return distance[:, item - read_texts().n_words].T > 0


def require_labels(family: Family) -> WordLabels:
    """Returns the family if its tasks are to label words.

    Raises:
        MesascopeError: the family is not `word_labels`.
    """
    return require_family(family, WordLabels, "has no words to label", "Take --family word_labels.")
