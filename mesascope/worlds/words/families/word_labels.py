"""The subject gives each word one of two labels; then the correct label is shown, as a shot in the context.

Gold, random and flipped labels separate what a model recognises from what it acquires from the shots (Min et al. 2022,
arXiv 2202.12837; Pan et al. 2023, 2305.09731; Wei et al. 2023, 2303.03846). A subject that only chooses between the two
assignments of labels to two known categories is locating. On the restructured splits, labels do not follow categories.
"""

import functools
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import (
    ConfiguredFamily,
    PastTrial,
    Question,
    Split,
    check_range,
    keep_settings,
    make_reference_roles,
)
from mesascope.contracts.percept import Array, Percept, exchange_earlier_events, make_first_percept, make_next_percept
from mesascope.keys import derive_key

LABEL_KINDS = ("abstract", "gold", "random", "flipped")
RARE_PROBABILITY = 0.15  # the probability of the rarer category on the rare split
N_REPEATED_WORDS = 6  # the number of words on the split 'restructured:halves'; half of them have each label
N_DIGITS = 10  # both numbers of a pair are from 0 to 9
MIN_LINE_DISTANCE = 0.5  # the smallest distance of a pair of numbers from the line that determines the labels
# indices into the observation; the two label words are at its end
ITEM, LAST_ITEM, LAST_LABEL, WORDING, FIRST_LABEL_WORD = range(5)


class Texts(NamedTuple):
    """All texts of the family.

    Attributes:
        items: the words, category by category, and then the pairs of numbers.
        labels: the label words: the names of the categories, and then words without meaning.
        wordings: the templates of each wording.
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


class Tasks(NamedTuple):
    """N sequences of items.

    Attributes:
        items: [N, T] the index of each item.
        correct_action: [N, T] the action that scores 1.
        shown_label: [N, T] the label that is shown after the answer, as the action that gives this label.
        wording: [N] the index of the wording.
        label_words: [N, 2] the indices of the two label words.
    """

    items: jax.Array
    correct_action: jax.Array
    shown_label: jax.Array
    wording: jax.Array
    label_words: jax.Array


class WordLabels(ConfiguredFamily):
    """Classification of words; see `family` for the settings."""

    label_kind: str
    wording: int

    controls: ClassVar = {"learner": "label_learner", "lookalike": "last_answer", "still": "fixed"}
    # the learner knows the categories, remembers the labels of words, and infers lines between numbers
    references: ClassVar = make_reference_roles(
        "label_learner", "label_learner:discount=0.6", strongest="label_learner", against_setting=""
    )
    has_full_feedback: ClassVar = True

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: fresh, a rare category, exchanged labels, and two kinds of labels that follow no category.

        On the restructured splits, the label words never name a category.
        """

        def make_split(name: str, **options: Any) -> Split:
            """Makes a split whose tasks are drawn by `draw` with the split's name."""
            return self.make_split(name, split=name, **options)

        return (
            make_split("fresh"),
            make_split("shifted:rare"),
            make_split("exchanged:labels", change_trial=self.horizon // 2),
            make_split("restructured:halves", is_beyond_banks=True),
            make_split("restructured:rule", is_beyond_banks=True),
        )

    def draw(self, key: jax.Array, n: int, split: str = "fresh") -> Tasks:
        """Draws n tasks of a split."""
        data, shape = read_texts(), (n, self.horizon)
        mapping = jax.random.bernoulli(derive_key(key, "mapping"), 0.5, (n,)).astype(jnp.int32)
        if split == "restructured:rule":
            items, correct_action = _draw_number_pairs(key, shape)
        elif split == "restructured:halves":
            items, correct_action = _draw_mixed_labels(key, shape)
        else:
            pair = jnp.asarray(data.pairs)[jax.random.randint(derive_key(key, "pair"), (n,), 0, len(data.pairs))]
            rare_probability = RARE_PROBABILITY if split == "shifted:rare" else 0.5
            side = jax.random.bernoulli(derive_key(key, "side"), rare_probability, shape)
            rare = jax.random.bernoulli(derive_key(key, "rare"), 0.5, (n, 1))
            side = (side ^ rare if split == "shifted:rare" else side).astype(jnp.int32)
            index = _draw_cyclic_indices(derive_key(key, "word"), n, data.words_per_category, self.horizon)
            category = jnp.take_along_axis(pair, side, 1)
            items, correct_action = category * data.words_per_category + index, side ^ mapping[:, None]
        label_words = _draw_abstract_words(key, n, data)
        if self.label_kind != "abstract" and not split.startswith("restructured"):
            is_order_exchanged = mapping if self.label_kind != "flipped" else 1 - mapping
            label_words = jnp.where(is_order_exchanged[:, None] == 1, pair[:, ::-1], pair)
        if split == "exchanged:labels":
            correct_action = jnp.where(
                jnp.arange(self.horizon) >= self.horizon // 2, 1 - correct_action, correct_action
            )
        shown_label = correct_action
        if self.label_kind == "random":
            shown_label = jax.random.bernoulli(derive_key(key, "said"), 0.5, shape).astype(jnp.int32)
        wording = jnp.full((n,), self.wording)
        if self.wording < 0:
            wording = jax.random.randint(derive_key(key, "wording"), (n,), 0, len(data.wordings))
        return Tasks(items, correct_action, shown_label, wording, label_words)

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task; the hidden state is the trial index [N]."""
        zero = jnp.zeros(len(tasks.items), jnp.int32)
        return zero, make_first_percept(self._observe(tasks, zero))

    def _observe(self, tasks: Tasks, trial: jax.Array) -> jax.Array:
        """Makes the observations [N, D] of a trial: item, last item and its label, wording, and label words."""
        rows, last = jnp.arange(len(trial)), jnp.maximum(trial - 1, 0)
        now = jnp.minimum(trial, self.horizon - 1)
        before = [jnp.where(trial > 0, x[rows, last], -1) for x in (tasks.items, tasks.shown_label)]
        parts = [tasks.items[rows, now], *before, tasks.wording, *tasks.label_words.T]
        return jnp.stack(parts, -1).astype(jnp.float32)

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Scores the answers and shows the label of the item; a negative action stands for no answer."""
        rows, has_no_answer = jnp.arange(len(action)), action < 0
        score = jnp.where(has_no_answer, jnp.nan, action == tasks.correct_action[rows, state])
        feedback = jnp.where(has_no_answer, jnp.nan, action == tasks.shown_label[rows, state])
        percept = make_next_percept(self._observe(tasks, state + 1), action, feedback.astype(jnp.float32), state + 1)
        return state + 1, percept, score.astype(jnp.float32)

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents right (the action that scores 1), chance, best, worst, fixed [N, T], and wording [N]."""
        correct_action = np.asarray(tasks.correct_action, np.float32)
        has_known_labels = self.label_kind != "abstract" and not split.startswith(("restructured", "exchanged"))
        return {
            "right": correct_action,
            "wording": np.asarray(tasks.wording, np.float32),
            "chance": np.full_like(correct_action, 0.5),
            "best": np.ones_like(correct_action),
            "worst": np.zeros_like(correct_action),
            "fixed": np.full_like(correct_action, 1.0 if has_known_labels else 0.5),
        }

    def read_target(self, percept: Percept) -> Array:
        """Returns the label that was shown last, [N]; -1 before the first label."""
        return percept.observation[:, LAST_LABEL].astype(int)

    def with_outcome(self, percept: Percept, feedback: Array, observation: Array) -> Percept:
        """Returns the percept with another lifetime's label for the last item, and with feedback that fits it."""
        return _replace_label(percept, observation[:, LAST_LABEL])

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """Returns the percept with the other label for the last item, and on odd trials with another last item."""
        opposite = _replace_label(percept, 1.0 - percept.observation[:, LAST_LABEL])
        next_item = (opposite.observation[:, LAST_ITEM] + 1) % len(read_texts().items)
        return exchange_earlier_events(opposite, _replace_column(opposite.observation, LAST_ITEM, next_item))

    def write_question(self, past_trials: Sequence[PastTrial], observation: Sequence[float]) -> Question:
        """Makes the question about the item in `now`, the present observation [D], after past items with their labels.

        All labels are written with the label words of the present lifetime.
        """
        data = read_texts()
        wording = data.wordings[int(observation[WORDING])]
        labels = tuple(data.labels[int(i)] for i in observation[FIRST_LABEL_WORD:])
        shots = tuple(
            wording["shot"].format(
                item=data.items[int(m.observation[LAST_ITEM])], label=labels[int(m.observation[LAST_LABEL])]
            )
            for m in past_trials
        )
        query = wording["query"].format(item=data.items[int(observation[ITEM])])
        request = f"Answer with one word, {labels[0]} or {labels[1]}."
        intro = wording["intro"].format(first=labels[0], second=labels[1])
        return Question(intro, shots, query, labels, request)


def _replace_label(percept: Percept, label: Array) -> Percept:
    """Returns the percept with another label for the last item, and with feedback that fits this label."""
    xp = np if isinstance(percept.observation, np.ndarray) else jnp
    agrees = (percept.action == label).astype(percept.feedback.dtype)
    feedback = xp.where(percept.action < 0, percept.feedback, agrees)
    return percept._replace(observation=_replace_column(percept.observation, LAST_LABEL, label), feedback=feedback)


def _replace_column(observation: Array, index: int, values: Array) -> Array:
    """Returns the observations [N, D] with other values [N] in one column."""
    xp = np if isinstance(observation, np.ndarray) else jnp
    is_column = np.arange(observation.shape[-1]) == index
    return xp.where(is_column, xp.asarray(values, observation.dtype)[:, None], observation)


def _draw_cyclic_indices(key: jax.Array, n: int, size: int, length: int) -> jax.Array:
    """Draws indices [n, length] into lists of this size, which are shuffled once and then repeated in this order."""
    order = jnp.argsort(jax.random.uniform(key, (n, size)), -1)
    return order[:, jnp.arange(length) % size]


def _draw_abstract_words(key: jax.Array, n: int, data: Texts) -> jax.Array:
    """Draws the indices [n, 2] of two different label words without meaning, in random order."""
    scores = jax.random.uniform(derive_key(key, "words"), (n, len(data.labels) - data.n_categories))
    return data.n_categories + jnp.argsort(scores, -1)[:, :2]


def _draw_mixed_labels(key: jax.Array, shape: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """Draws items and correct actions, [n, T] each: a few words of one category recur, half of them with each label."""
    n, trials = shape
    data = read_texts()
    category = jax.random.randint(derive_key(key, "category"), (n, 1), 0, data.n_categories)
    size = data.words_per_category
    words = category * size + _draw_cyclic_indices(derive_key(key, "word"), n, size, N_REPEATED_WORDS)
    half = jnp.argsort(jax.random.uniform(derive_key(key, "half"), (n, N_REPEATED_WORDS)), -1) % 2
    index = jax.random.randint(derive_key(key, "which"), (n, trials), 0, N_REPEATED_WORDS)
    return jnp.take_along_axis(words, index, 1), jnp.take_along_axis(half, index, 1)


def compute_line_distances(angle: Array) -> Array:
    """Computes the signed distance [..., 100] of each pair of numbers from lines through the centre at these angles."""
    centred_digits = jnp.arange(N_DIGITS) - (N_DIGITS - 1) / 2
    a, b = (x.ravel() for x in jnp.meshgrid(centred_digits, centred_digits, indexing="ij"))
    return jnp.cos(angle)[..., None] * a + jnp.sin(angle)[..., None] * b


def _draw_number_pairs(key: jax.Array, shape: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """Draws items and correct actions, [n, T] each: pairs of numbers, whose labels a line separates.

    The line differs from every rule that has a simple description, such as that the first number is larger, or that the
    sum is large.
    """
    n, trials = shape
    eighth = jnp.pi / 4
    offset = jax.random.uniform(derive_key(key, "tilt"), (n,), minval=0.3, maxval=0.7)
    distance = compute_line_distances(eighth * (jax.random.randint(derive_key(key, "eighth"), (n,), 0, 8) + offset))
    order = jax.random.uniform(derive_key(key, "pair"), distance.shape) + 2.0 * (jnp.abs(distance) < MIN_LINE_DISTANCE)
    index = jnp.argsort(order, -1)[:, jnp.arange(trials) % 60]
    correct_action = jnp.take_along_axis(distance, index, 1) > 0
    return read_texts().n_words + index, correct_action.astype(jnp.int32)


@keep_settings(labels=LABEL_KINDS, trials=(2, 1000))
def family(labels: str = "abstract", trials: int = 17, wording: int = -1) -> Any:
    """The subject gives a word one of two labels, after it has seen 0 to T - 1 words with their labels.

    Args:
        labels: the label words: abstract (words without meaning), gold (the names of the categories), random (these
            names, shown at random after answers, but scored as for gold), flipped (these names, swapped).
        trials: T, the number of words, at least 2; the last word is asked after T - 1 shots.
        wording: the index of the wording, from 0; -1 to draw a wording for each lifetime.
    """
    check_range(-1, len(read_texts().wordings) - 1, wording=wording)
    return WordLabels(labels, wording, choices=2, horizon=trials)
