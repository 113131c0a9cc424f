"""The subject gives each word one of two labels; then a label is shown, as a shot in the context.

This is the correct label, except if labels are random.

Gold, random and flipped labels separate what a model recognises from what it acquires from the shots (Min et al. 2022,
arXiv 2202.12837; Pan et al. 2023, 2305.09731; Wei et al. 2023, 2303.03846). A subject that only chooses between the two
assignments of labels to two known categories is locating. On the restructured splits, labels do not follow categories.

With two categories, each shot shows the whole task, so an action hardly needs older trials. With more categories, every
category has a label of its own. Then a task has independent parts, and the shots of other categories do not help.
"""

from collections.abc import Callable, Sequence
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
    draw_from_bank,
    keep_settings,
    make_reference_roles,
)
from mesascope.contracts.percept import Array, Percept, exchange_earlier_events, make_first_percept, make_next_percept
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key
from mesascope.worlds.words.draws import (
    draw_abstract_words,
    draw_category_labels,
    draw_cyclic_indices,
    draw_mixed_labels,
    draw_number_pairs,
)
from mesascope.worlds.words.texts import N_DIGITS, read_texts

LABEL_KINDS = ("abstract", "gold", "random", "flipped")
RARE_PROBABILITY = 0.15  # the probability of the rarer category on the rare split
MAX_CATEGORIES = 8  # the largest number of categories in a lifetime; a learner considers all 2^C tables of labels
# indices into the observation; the two label words are at its end
ITEM, LAST_ITEM, LAST_LABEL, WORDING, FIRST_LABEL_WORD = range(5)


class Tasks(NamedTuple):
    """N sequences of items.

    Attributes:
        items: [N, T] the index of each item.
        correct_action: [N, T] the action that scores 1.
        shown_label: [N, T] the label that is shown after the answer, as the action that gives this label.
        wording: [N] the index of the wording.
        label_words: [N, 2] the indices of the two label words.
        item_labels: [N, I] the correct action for each of all I items (before labels are exchanged), whether or not the
            item occurs; -1 for items of which the task says nothing.
    """

    items: jax.Array
    correct_action: jax.Array
    shown_label: jax.Array
    wording: jax.Array
    label_words: jax.Array
    item_labels: jax.Array


class WordLabels(ConfiguredFamily):
    """Classification of words; see `family` for the settings."""

    label_kind: str
    wording: int
    category_count: int
    bank_tables: jax.Array | None  # [M, C]

    controls: ClassVar = {"learner": "label_learner", "lookalike": "last_answer", "still": "fixed"}
    # the learner knows the categories, remembers the labels of words, and infers lines between numbers
    references: ClassVar = make_reference_roles(
        "label_learner",
        "label_learner:discount=0.6",
        "label_recogniser",
        strongest="label_learner",
        against_setting="",
    )
    has_full_feedback: ClassVar = True

    @property
    def has_parts(self) -> bool:
        """Whether tasks have independent parts, one for each category.

        Two categories have opposite labels, so each of them tells the other's label. More categories have independent
        labels.
        """
        return self.category_count > 2

    @property
    def categories(self) -> np.ndarray:
        """The indices [C] of the categories that occur, if tasks have parts."""
        return read_texts().pairs[: self.category_count // 2].ravel()

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits: seen, fresh, a rare category, exchanged labels, and two in which labels follow no category.

        There is a split 'seen' only with a bank. On the restructured splits, the label words never name a category.
        """

        def make_split(name: str, **options: Any) -> Split:
            """Makes a split whose tasks are drawn by `draw` with the split's name."""
            return self.make_split(name, split=name, **options)

        parts = {"part_count": self.category_count} if self.has_parts else {}
        return (
            *(() if self.bank_tables is None else (make_split("seen", draw_table=self._draw_bank_table),)),
            make_split("fresh", **parts),
            make_split("shifted:rare", **parts),
            make_split("exchanged:labels", change_trial=self.horizon // 2, **parts),
            make_split("restructured:halves", is_beyond_banks=True),
            make_split("restructured:rule", is_beyond_banks=True),
        )

    def draw(
        self,
        key: jax.Array,
        n: int,
        split: str = "fresh",
        draw_table: Callable[[jax.Array, int], jax.Array] | None = None,
    ) -> Tasks:
        """Draws n tasks of a split.

        Args:
            key: the random key of all draws.
            n: the number of tasks.
            split: the name of the split.
            draw_table: a function of a key and n that draws the labels of the categories, [n, C], if tasks have parts;
                None for uniform draws.
        """
        data, shape = read_texts(), (n, self.horizon)
        mapping = jax.random.bernoulli(derive_key(key, "mapping"), 0.5, (n,)).astype(jnp.int32)
        if split == "restructured:rule":
            items, item_labels = draw_number_pairs(key, shape)
        elif split == "restructured:halves":
            items, item_labels = draw_mixed_labels(key, shape)
        else:
            pair_shape, pairs = (
                (shape, data.pairs[: self.category_count // 2]) if self.has_parts else ((n,), data.pairs)
            )
            pair = jnp.asarray(pairs)[jax.random.randint(derive_key(key, "pair"), pair_shape, 0, len(pairs))]
            rare_probability = RARE_PROBABILITY if split == "shifted:rare" else 0.5
            side = jax.random.bernoulli(derive_key(key, "side"), rare_probability, shape)
            rare = jax.random.bernoulli(derive_key(key, "rare"), 0.5, (n, 1))
            side = (side ^ rare if split == "shifted:rare" else side).astype(jnp.int32)
            index = draw_cyclic_indices(derive_key(key, "word"), n, data.words_per_category, self.horizon)
            category = jnp.take_along_axis(jnp.broadcast_to(pair.reshape(n, -1, 2), (*shape, 2)), side[..., None], 2)
            items = category[..., 0] * data.words_per_category + index
            category_labels = jnp.full((n, data.n_categories), -1)
            if self.has_parts:
                table = draw_table(key, n) if draw_table else draw_category_labels(key, n, self.category_count)
                category_labels = category_labels.at[:, self.categories].set(table)
            else:
                category_labels = jax.vmap(lambda row, at, label: row.at[at].set(label))(
                    category_labels, pair, jnp.arange(2) ^ mapping[:, None]
                )
            words = jnp.repeat(category_labels, data.words_per_category, 1)
            item_labels = jnp.pad(words, ((0, 0), (0, N_DIGITS**2)), constant_values=-1)
        correct_action = jnp.take_along_axis(item_labels, items, 1)
        label_words = draw_abstract_words(key, n, data)
        if self.label_kind != "abstract" and not split.startswith("restructured"):
            is_order_exchanged = mapping if self.label_kind != "flipped" else 1 - mapping
            label_words = jnp.where(is_order_exchanged[:, None] == 1, pair[:, ::-1], pair)
        if split == "exchanged:labels":
            correct_action = jnp.where(self._find_exchanged_trials(), 1 - correct_action, correct_action)
        shown_label = correct_action
        if self.label_kind == "random":
            shown_label = jax.random.bernoulli(derive_key(key, "said"), 0.5, shape).astype(jnp.int32)
        wording = jnp.full((n,), self.wording)
        if self.wording < 0:
            wording = jax.random.randint(derive_key(key, "wording"), (n,), 0, len(data.wordings))
        return Tasks(items, correct_action, shown_label, wording, label_words, item_labels.astype(jnp.int8))

    def _draw_bank_table(self, key: jax.Array, n: int) -> jax.Array:
        """Draws tables from the bank, [n, C]."""
        return draw_from_bank(derive_key(key, "table"), self.bank_tables, n)

    def _find_exchanged_trials(self) -> np.ndarray:
        """Returns for each trial, [T], whether the split 'exchanged:labels' exchanges its labels."""
        return np.arange(self.horizon) >= self.horizon // 2

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task; the hidden state is the trial index [N]."""
        zero = jnp.zeros(len(tasks.items), jnp.int32)
        return zero, make_first_percept(self._observe(tasks, zero))

    def _observe(self, tasks: Tasks, trial: jax.Array) -> jax.Array:
        """Makes the observations of a trial, [N, D]: item, last item and its label, wording, and label words."""
        rows, last = jnp.arange(len(trial)), jnp.maximum(trial - 1, 0)
        now = jnp.minimum(trial, self.horizon - 1)
        before = [jnp.where(trial > 0, x[rows, last], -1) for x in (tasks.items, tasks.shown_label)]
        parts = [tasks.items[rows, now], *before, tasks.wording, *tasks.label_words.T]
        return jnp.stack(parts, -1).astype(jnp.float32)

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Scores the answers, and shows the label of the item; without an answer (-1), score and feedback are NaN."""
        rows, has_no_answer = jnp.arange(len(action)), action < 0
        score = jnp.where(has_no_answer, jnp.nan, action == tasks.correct_action[rows, state])
        feedback = jnp.where(has_no_answer, jnp.nan, action == tasks.shown_label[rows, state])
        percept = make_next_percept(self._observe(tasks, state + 1), action, feedback.astype(jnp.float32), state + 1)
        return state + 1, percept, score.astype(jnp.float32)

    def compute_action_values(
        self, tasks: Tasks, split: str, observation: np.ndarray, action: np.ndarray
    ) -> np.ndarray:
        """Computes the pay-off above chance [N, T, M] of labels on each of M tasks, given the observed words.

        An action is the position of a label word, not its meaning: a transplanted context shows its labels with the
        recipient's label words. So if the label words are the names of categories, that context may show 'dog: food'.
        On a task that says nothing about the word, both labels have the value 0 (chance). With two categories, five in
        six tasks are of this kind, because they have another pair. So a transplant needs more lifetimes than with more
        categories.
        """
        labels = self._find_labels(tasks, split, observation)
        is_correct = labels == (action[..., None] if action.ndim == 2 else action)
        return np.where(labels < 0, 0.0, is_correct - 0.5)

    def find_best_actions(self, tasks: Tasks, split: str, observation: np.ndarray) -> np.ndarray:
        """Finds the correct label [N, T, M] on each of M tasks for the observed words; 0 if there is none."""
        return np.maximum(self._find_labels(tasks, split, observation), 0)

    def _find_labels(self, tasks: Tasks, split: str, observation: np.ndarray) -> np.ndarray:
        """Finds the label [N, T, M] on each of M tasks for the words in the observations [N, T, D]; -1 for no label."""
        labels = np.asarray(tasks.item_labels).T[observation[..., ITEM].astype(int)]
        is_exchanged = self._find_exchanged_trials()[:, None] & (split == "exchanged:labels") & (labels >= 0)
        return np.where(is_exchanged, 1 - labels, labels)

    def compute_latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Returns the latents right (the action that scores 1), chance, best, worst, fixed [N, T], and wording [N].

        With more than two categories, the latent `part` [N, T] is the category, except on the restructured splits,
        where labels do not follow categories.
        """
        correct_action = np.asarray(tasks.correct_action, np.float32)
        has_known_labels = self.label_kind != "abstract" and not split.startswith(("restructured", "exchanged"))
        latents: dict[str, np.ndarray] = {
            "right": correct_action,
            "wording": np.asarray(tasks.wording, np.float32),
            "chance": np.full_like(correct_action, 0.5),
            "best": np.ones_like(correct_action),
            "worst": np.zeros_like(correct_action),
            "fixed": np.full_like(correct_action, 1.0 if has_known_labels else 0.5),
        }
        if self.has_parts and not split.startswith("restructured"):
            category = np.asarray(tasks.items) // read_texts().words_per_category
            latents["part"] = np.argsort(self.categories)[np.searchsorted(np.sort(self.categories), category)]
        if split == "seen":
            most_frequent = np.asarray(self.bank_tables).mean(0) >= 0.5
            latents["fixed"] = (most_frequent[latents["part"]] == correct_action).astype(np.float32)
        return latents

    def mark_as_first(self, percept: Percept, first_percept: Percept) -> Percept:
        """Returns the percept as if the lifetime began now: it shows the present word and no label."""
        observation = percept.observation
        for index in (LAST_ITEM, LAST_LABEL):
            observation = _replace_column(observation, index, first_percept.observation[:, index])
        return first_percept._replace(observation=observation)

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
        """Writes the question about the item in the present observation [D], after past items with their labels.

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


@keep_settings(labels=LABEL_KINDS, trials=(2, 1000), categories=(2, MAX_CATEGORIES), bank=(0, 1_000_000))
def family(
    labels: str = "abstract",
    trials: int = 17,
    wording: int = -1,
    categories: int = 2,
    bank: int = 0,
    bank_seed: int = 0,
) -> Any:
    """The subject gives a word one of two labels, after it has seen 0 to T - 1 words with their labels.

    Args:
        labels: the kind of label words: 'abstract', words without meaning; 'gold', the names of the categories;
            'random', these names, shown at random after answers, but scored as for 'gold'; or 'flipped', these names,
            swapped.
        trials: T, the number of words, at least 2; the question about the last word follows T - 1 shots.
        wording: the index of the wording, from 0; -1 to draw a wording for each lifetime.
        categories: C, the number of categories in a lifetime, which is even. Two categories are one of six pairs and
            have different labels; 4, 6 or 8 categories have independent labels.
        bank: M, the number of training tasks, each of which gives every category a label; 0 for no limit.
        bank_seed: the seed that the bank is drawn from.
    """
    check_range(-1, len(read_texts().wordings) - 1, wording=wording)
    if categories % 2 or (categories > 2 and labels != "abstract"):
        problem = f"categories={categories} and labels={labels} do not go together."
        raise MesascopeError(problem, "Give categories=2, or with labels=abstract also 4, 6 or 8.")
    if bank and categories == 2:
        raise MesascopeError("Tasks with two categories have no bank.", "Give for example categories=6.")
    tables = draw_category_labels(derive_key(jax.random.key(bank_seed), "bank"), bank, categories) if bank else None
    return WordLabels(labels, wording, categories, tables, choices=2, horizon=trials)
