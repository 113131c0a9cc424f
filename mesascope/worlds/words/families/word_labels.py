"""Words are to be given one of two labels; after every answer the right label is told, as a shot of the context.

Gold, random and flipped labels set what a model recognises apart from what it acquires from the shots (Min et al.
2022, arXiv 2202.12837; Pan et al. 2023, 2305.09731; Wei et al. 2023, 2303.03846). Choosing between the two ways to
name two known categories is locating; the restructured splits hold partitions that no known category expresses.
"""

import functools
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.configured import (
    Array,
    Configured,
    Percept,
    Split,
    first_percept,
    next_percept,
    reference_roles,
)
from mesascope.contracts.questions import Moment, Question
from mesascope.contracts.settings import check_range, keep_settings
from mesascope.keys import address

LABELS = ("abstract", "gold", "random", "flipped")
RARE = 0.15  # how often the rarer category comes where one is rare
REPEATED = 6  # words of one category, half of them under either label, that come again and again
DIGITS = 10  # both numbers of a pair run from 0 to 9
MARGIN = 0.5  # how far a pair of numbers is from the line that parts them, at least
ITEM, LAST, SAID, WORDING, FIRST = range(5)  # places in the observation; the label words stand from FIRST on


class Texts(NamedTuple):
    """All texts: items (words, then pairs of numbers), label words (categories, then words that name nothing)."""

    items: tuple[str, ...]
    labels: tuple[str, ...]
    wordings: tuple[dict[str, str], ...]
    pairs: np.ndarray  # [6, 2] categories
    categories: int
    each: int


@functools.cache
def texts() -> Texts:
    """The texts of the data file beside this one."""
    data = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    names = list(data["categories"])
    words = [w for name in names for w in data["categories"][name]["words"].split()]
    numbers = [f"{a} {b}" for a in range(DIGITS) for b in range(DIGITS)]
    pairs = np.asarray([[names.index(c) for c in pair] for pair in data["pairs"]["names"]])
    return Texts(
        (*words, *numbers),
        (*names, *data["labels"]["abstract"]),
        tuple(data["wordings"]),
        pairs,
        len(names),
        len(words) // len(names),
    )


class Tasks(NamedTuple):
    """Items [N, T]; right [N, T], the action that scores; said [N, T], the one told; wording [N]; words [N, 2]."""

    items: jax.Array
    right: jax.Array
    said: jax.Array
    wording: jax.Array
    words: jax.Array


class WordLabels(Configured):
    """Words with labels; see `family` for the settings."""

    labels: str
    wording: int

    controls: ClassVar = {"learner": "label_learner", "lookalike": "last_answer", "still": "fixed"}
    # the learner knows the categories, remembers words and infers lines
    references: ClassVar = reference_roles(
        "label_learner", "label_learner:keeps=0.6", strongest="label_learner", against=""
    )
    full_feedback: ClassVar = True

    def splits(self) -> tuple[Split, ...]:
        """On the restructured ones the label words name nothing, whatever is set."""

        def split(name: str, **told: Any) -> Split:
            return self.varied(name, split=name, **told)

        return (
            split("fresh"),
            split("shifted:rare"),
            split("exchanged:labels", changes_at=self.horizon // 2),
            split("restructured:halves", beyond_banks=True),
            split("restructured:rule", beyond_banks=True),
        )

    def draw(self, key: jax.Array, n: int, split: str = "fresh") -> Tasks:
        """Draws n tasks of a split."""
        known, shape = texts(), (n, self.horizon)
        mapping = jax.random.bernoulli(address(key, "mapping"), 0.5, (n,)).astype(jnp.int32)
        if split == "restructured:rule":
            items, right = _rule(key, shape)
        elif split == "restructured:halves":
            items, right = _halves(key, shape)
        else:
            pair = jnp.asarray(known.pairs)[
                jax.random.randint(address(key, "pair"), (n,), 0, len(known.pairs))
            ]
            often = RARE if split == "shifted:rare" else 0.5
            side = jax.random.bernoulli(address(key, "side"), often, shape)
            rare = jax.random.bernoulli(address(key, "rare"), 0.5, (n, 1))
            side = (side ^ rare if split == "shifted:rare" else side).astype(jnp.int32)
            place = _without_return(address(key, "word"), n, known.each, self.horizon)
            category = jnp.take_along_axis(pair, side, 1)
            items, right = category * known.each + place, side ^ mapping[:, None]
        words = _abstract(key, n, known)
        if self.labels != "abstract" and not split.startswith("restructured"):
            turned = mapping if self.labels != "flipped" else 1 - mapping
            words = jnp.where(turned[:, None] == 1, pair[:, ::-1], pair)
        if split == "exchanged:labels":
            right = jnp.where(jnp.arange(self.horizon) >= self.horizon // 2, 1 - right, right)
        said = right
        if self.labels == "random":
            said = jax.random.bernoulli(address(key, "said"), 0.5, shape).astype(jnp.int32)
        wording = jnp.full((n,), self.wording)
        if self.wording < 0:
            wording = jax.random.randint(address(key, "wording"), (n,), 0, len(known.wordings))
        return Tasks(items, right, said, wording, words)

    def begin(self, key: jax.Array, tasks: Tasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task; the hidden state is the trial index [N]."""
        zero = jnp.zeros(len(tasks.items), jnp.int32)
        return zero, first_percept(self._shown(tasks, zero))

    def _shown(self, tasks: Tasks, trial: jax.Array) -> jax.Array:
        """The observation [N, D] before a trial: the item, the last one and its label, the wording, the label words."""
        rows, last = jnp.arange(len(trial)), jnp.maximum(trial - 1, 0)
        now = jnp.minimum(trial, self.horizon - 1)
        before = [jnp.where(trial > 0, x[rows, last], -1) for x in (tasks.items, tasks.said)]
        parts = [tasks.items[rows, now], *before, tasks.wording, *tasks.words.T]
        return jnp.stack(parts, -1).astype(jnp.float32)

    def step(self, key: jax.Array, tasks: Tasks, state: jax.Array, action: jax.Array):
        """Tells the label of the item, whatever was answered; an answer below 0 is none."""
        rows, none = jnp.arange(len(action)), action < 0
        score = jnp.where(none, jnp.nan, action == tasks.right[rows, state])
        feedback = jnp.where(none, jnp.nan, action == tasks.said[rows, state])
        percept = next_percept(self._shown(tasks, state + 1), action, feedback.astype(jnp.float32), state + 1)
        return state + 1, percept, score.astype(jnp.float32)

    def latents(self, tasks: Tasks, split: str) -> dict[str, np.ndarray]:
        """Right [N, T], the action that scores; wording [N]; chance, best, worst and fixed [N, T]."""
        right = np.asarray(tasks.right, np.float32)
        named_so = self.labels != "abstract" and not split.startswith(("restructured", "exchanged"))
        return {
            "right": right,
            "wording": np.asarray(tasks.wording, np.float32),
            "chance": np.full_like(right, 0.5),
            "best": np.ones_like(right),
            "worst": np.zeros_like(right),
            "fixed": np.full_like(right, 1.0 if named_so else 0.5),
        }

    def target(self, percept: Percept) -> Array:
        """[N] the label that was told last, -1 before the first."""
        return percept.observation[:, SAID].astype(int)

    def with_outcome(self, percept: Percept, feedback: Array, observation: Array) -> Percept:
        """Another lifetime's label for the last item; whether the own answer was right goes by that."""
        return _relabelled(percept, observation[:, SAID])

    def with_opposite_outcome(self, percept: Percept) -> Percept:
        """The other label for the last item."""
        return _relabelled(percept, 1.0 - percept.observation[:, SAID])

    def question(self, past: Sequence[Moment], now: Sequence[float]) -> Question:
        """What is asked: the item of the observation now [D], after the items and labels that were told.

        All labels are written in the words of the present lifetime.
        """
        known = texts()
        wording = known.wordings[int(now[WORDING])]
        labels = tuple(known.labels[int(i)] for i in now[FIRST:])
        shots = tuple(
            wording["shot"].format(item=known.items[int(m.shown[LAST])], label=labels[int(m.shown[SAID])])
            for m in past
        )
        asked = wording["query"].format(item=known.items[int(now[ITEM])])
        request = f"Answer with one word, {labels[0]} or {labels[1]}."
        intro = wording["intro"].format(first=labels[0], second=labels[1])
        return Question(intro, shots, asked, labels, request)

    def text(self, action: int, feedback: float) -> str:
        """One trial in words."""
        return f"answered label {action + 1}, {'right' if feedback > 0.5 else 'wrong'}"


def _relabelled(percept: Percept, said: Array) -> Percept:
    """A percept whose last item had another label."""
    own, feedback = percept.observation, (percept.action == said).astype(percept.feedback.dtype)
    if isinstance(own, np.ndarray):
        shown = own.copy()
        shown[:, SAID] = said
        feedback = np.where(percept.action < 0, percept.feedback, feedback)
    else:
        shown = own.at[:, SAID].set(said)
        feedback = jnp.where(percept.action < 0, percept.feedback, feedback)
    return percept._replace(observation=shown, feedback=feedback)


def _without_return(key: jax.Array, n: int, size: int, many: int) -> jax.Array:
    """[n, many] places in a list, each list shuffled and read in order, from its start again where it ends."""
    order = jnp.argsort(jax.random.uniform(key, (n, size)), -1)
    return order[:, jnp.arange(many) % size]


def _abstract(key: jax.Array, n: int, known: Texts) -> jax.Array:
    """[n, 2] two different label words that name nothing, in random order."""
    scores = jax.random.uniform(address(key, "words"), (n, len(known.labels) - known.categories))
    return known.categories + jnp.argsort(scores, -1)[:, :2]


def _halves(key: jax.Array, shape: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """A few words of one category, half of them under either label, drawn again and again."""
    n, trials = shape
    known = texts()
    category = jax.random.randint(address(key, "category"), (n, 1), 0, known.categories)
    few = category * known.each + _without_return(address(key, "word"), n, known.each, REPEATED)
    half = jnp.argsort(jax.random.uniform(address(key, "half"), (n, REPEATED)), -1) % 2
    which = jax.random.randint(address(key, "which"), (n, trials), 0, REPEATED)
    return jnp.take_along_axis(few, which, 1), jnp.take_along_axis(half, which, 1)


def distance_beyond_line(angle: Array) -> Array:
    """[…, 100] by how far each pair of numbers lies beyond the line through their middle that an angle […] tilts."""
    places = jnp.arange(DIGITS) - (DIGITS - 1) / 2
    a, b = (x.ravel() for x in jnp.meshgrid(places, places, indexing="ij"))
    return jnp.cos(angle)[..., None] * a + jnp.sin(angle)[..., None] * b


def _rule(key: jax.Array, shape: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """Pairs of numbers parted by a line whose tilt is far from those that have a name (larger first, larger sum)."""
    n, trials = shape
    eighth = jnp.pi / 4
    near = jax.random.uniform(address(key, "tilt"), (n,), minval=0.3, maxval=0.7)
    distance = distance_beyond_line(eighth * (jax.random.randint(address(key, "eighth"), (n,), 0, 8) + near))
    order = jax.random.uniform(address(key, "pair"), distance.shape) + 2.0 * (jnp.abs(distance) < MARGIN)
    which = jnp.argsort(order, -1)[:, jnp.arange(trials) % 60]
    right = jnp.take_along_axis(distance, which, 1) > 0
    return texts().categories * texts().each + which, right.astype(jnp.int32)


@keep_settings(labels=LABELS, trials=(2, 1000))
def family(labels: str = "abstract", trials: int = 17, wording: int = -1) -> Any:
    """Words are to be given one of two labels, after 0 to T - 1 words whose label was told.

    Args:
        labels: abstract (words that name nothing), gold (the categories' names), random (their names, told at random
            and scored as gold), flipped (their names, exchanged).
        trials: T, at least 2: one more than the shots before the last word.
        wording: which of the wordings, from 0; -1 to draw one per lifetime.
    """
    check_range(-1, len(texts().wordings) - 1, wording=wording)
    return WordLabels(labels, wording, choices=2, horizon=trials)
