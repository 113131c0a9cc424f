"""Families in words and their scripted players: what each must read, and the words that a question is made of."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mesascope import catalogue
from mesascope.agents.language.answers import (
    ANSWERED,
    REFUSED,
    UNPARSABLE,
    is_prefix_of_label,
    list_first_tokens,
    parse_answer,
    weigh_labels,
)
from mesascope.contracts import PastTrial
from mesascope.errors import MesascopeError
from mesascope.examination.bench import RolloutCache
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.spectrum.placement import list_conditions
from mesascope.rollouts.rollouts import rollout
from mesascope.worlds.words.texts import read_texts

MADE: dict = {}  # rollouts of reference procedures, which the tests share


def test_word_lists():
    known = read_texts()
    words = np.asarray(known.items[: known.n_categories * known.words_per_category]).reshape(
        known.n_categories, known.words_per_category
    )
    assert known.words_per_category == 60 and len(known.pairs) >= 6
    assert len({w.lower() for w in words.ravel()}) == words.size
    for one, other in known.pairs:
        assert Counter(map(len, words[one])) == Counter(map(len, words[other]))
    names = [known.labels[i] for pair in known.pairs for i in pair]
    assert all(a[0] != b[0] for a, b in zip(names[::2], names[1::2], strict=True))
    free = known.labels[known.n_categories :]
    assert len({w[0] for w in free}) == len(free) >= 8


@pytest.mark.parametrize("labels", ["abstract", "gold", "random", "flipped"])
def test_labels_are_counterbalanced_and_told_as_they_are_named(labels):
    family = catalogue.make("families", f"word_labels:labels={labels},trials=11")
    lived = rollout(catalogue.make("subjects", "fixed", family), family, "fresh", 192)
    shown, right = lived.observation.values[0], lived.right.values
    known = read_texts()
    assert abs(right.mean() - 0.5) < 0.06
    category = shown[..., 0].astype(int) // known.words_per_category
    word = np.take_along_axis(shown[:, :, 4:].astype(int), right[..., None].astype(int), 2)[..., 0]
    if labels in ("gold", "random"):
        assert (word == category).all()
    elif labels == "flipped":
        assert (word != category).all() and (word < known.n_categories).all()
    else:
        assert (word >= known.n_categories).all()
    told = shown[:, 1:, 2]
    agreed = (told == right[:, :-1]).mean()
    assert abs(agreed - 0.5) < 0.05 if labels == "random" else agreed == 1
    first = Counter(map(tuple, np.sort(shown[:, 0, 4:6], -1).tolist()))
    order = (shown[:, 0, 4] < shown[:, 0, 5]).mean()
    assert len(first) >= 6 and 0.35 < order < 0.65


def test_no_known_category_tells_the_labels_of_the_inexpressible_splits():
    family = catalogue.make("families", "word_labels:trials=17")
    for split in (s.name for s in family.list_splits() if s.is_beyond_banks):
        lived = rollout(catalogue.make("subjects", "fixed", family), family, split, 256)
        items, right = lived.observation.values[0, :, :, 0].astype(int), lived.right.values
        category = np.minimum(items // read_texts().words_per_category, read_texts().n_categories)
        assert (category == category[:, :1]).all()
        assert abs(right.mean() - 0.5) < 0.04
        if split.endswith("halves"):
            assert max(len(set(row)) for row in items.tolist()) == 6
        else:
            first = np.asarray([[int(read_texts().items[i].split()[0]) > 4.5 for i in row] for row in items.tolist()])
            agreed = (first == right).mean(1)  # 'the first number is large' is no good rule
            assert 0.3 < np.abs(agreed - 0.5).mean() + 0.2 < 0.62


def test_what_is_asked_word_for_word():
    family = catalogue.make("families", "word_labels:trials=7,wording=5")
    known = read_texts()
    bim, dax = known.labels.index("bim"), known.labels.index("dax")
    dog, tea = known.items.index("dog"), known.items.index("bread")
    past = [PastTrial((0, dog, 1, 5, dax, bim), 0, 0.0)]
    asked = family.write_question(past, (tea, dog, 1, 5, dax, bim))
    assert asked.text == "Labels: dax, bim.\nQ: dog A: bim\nQ: bread A:"
    assert asked.turn.endswith("Q: bread A:\n\nAnswer with one word, dax or bim.")
    for history, told in (
        ("raw", ("You pressed C: 1 point.\n", "You pressed B: 0 points.\n")),
        ("summary", ("Button C: pressed 1 times, 1 points.\n", "Button B: pressed 1 times, 0 points.\n")),
    ):
        bandit = catalogue.make("families", f"text_bandit:trials=7,history={history},wording=2")
        now = (2.0, 1.0, 0.0)
        past = [PastTrial(now, 0, 1.0), PastTrial(now, -1, np.nan), PastTrial(now, 1, 0.0)]
        asked = bandit.write_question(past, now)
        assert (asked.past_texts, asked.labels, asked.answer_line) == (told, ("C", "B"), "You press")
        assert "2 buttons, C and B." in asked.intro


@pytest.mark.parametrize(
    ("who", "lowest", "highest"),
    [
        pytest.param("fixed", "inert", "inert", marks=pytest.mark.slow),  # as long as all others; CI runs it
        ("last_answer", "reactive", "reactive"),
        ("label_recogniser", "tracking", "tracking"),  # with two categories, one shot shows the whole task
        ("label_learner", "acquiring", "acquiring"),
    ],
)
def test_scripted_answerers_are_placed_right(who, lowest, highest):
    """benchmarks/lm_known_answers.py places them 20 times each, as models behind an address."""
    family = catalogue.make("families", "word_labels")
    splits = [r for r in family.split_names if r != "shifted:rare" or who == "label_learner"]
    bench = RolloutCache(family, list_conditions(family), splits, 64, seed=7, rollouts=MADE)
    placed = bench.place(catalogue.make("subjects", who, family), "unknown")[2]
    assert (placed.lowest, placed.highest) == (lowest, highest), placed
    if who == "label_recogniser":
        assert "its next action would be worth as much without them" in placed.reason
    if lowest == "acquiring":
        assert "it gains on tasks that no bank of training tasks could contain" in placed.reason


def test_recognition_and_acquisition_are_apart():
    asked = [catalogue.make("metrics", p) for p in ("recognition_and_acquisition", "override_of_prior", "wording")]

    def read(who, labels):
        family = catalogue.make("families", f"word_labels:labels={labels}")
        bench = RolloutCache(family, [c for p in asked for c in p.conditions], ["fresh"], 64)
        found = apply_metrics(asked, bench.run_subject(catalogue.make("subjects", who, family), family))
        return {f.metric.partition(": ")[2]: f for f in found}

    known, told = read("label_recogniser", "gold"), read("label_learner", "gold")
    assert known["recognition, accuracy"].low > 0.44 and known["acquisition, accuracy"].estimate == 0
    assert told["acquisition, accuracy"].low > 0.4 and told["acquisition, log-odds"].low > 3
    assert told["recognition, 0 shots"].estimate == 0.5  # the names themselves are known
    assert told["gain over wordings"].unit == "wording" and told["gain over wordings"].n == 8
    flipped = read("label_learner", "flipped")
    assert flipped["recognition, 0 shots"].estimate == -0.5 and flipped["right because of the true labels"].low > 0.5


def test_labels_are_read_from_tokens_and_from_texts():
    pair = ("bim", "dax")
    got = weigh_labels([(" b", np.log(0.2)), ("Dax\n", np.log(0.3)), (" the", np.log(0.1))], pair, "dax")
    assert got.code == ANSWERED and got.action == 1 and np.isclose(got.label_mass, 0.5)
    assert np.allclose(np.exp(got.log_probs), (0.4, 0.6))
    bounded = weigh_labels([("bim", np.log(0.6)), ("x", np.log(0.05))], pair, "bim")
    assert bounded.code == 1 and np.isclose(np.exp(bounded.log_probs[1]), 0.05 / 0.65)
    assert weigh_labels([("x", -1.0)], pair, "I'm sorry, no").code == REFUSED
    assert (
        not is_prefix_of_label("But", "B")
        and is_prefix_of_label(" B", "B")
        and is_prefix_of_label("B.", "B")
        and not is_prefix_of_label("b", "B")
    )
    for text, code, action in (
        ("Dax.", ANSWERED, 1),
        ("The answer is bim", ANSWERED, 0),
        ("bim, not dax", ANSWERED, 0),
        ("either bim or dax", UNPARSABLE, -1),
        ("I cannot say bim", REFUSED, -1),
        ("", UNPARSABLE, -1),
    ):
        assert parse_answer(text, pair)[:2] == (code, action), text
    chat = {
        "logprobs": {
            "content": [
                {
                    "token": "a",
                    "logprob": -1,
                    "top_logprobs": [{"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -9999.0}],
                }
            ]
        }
    }
    text = {"logprobs": {"top_logprobs": [{"a": -1.0}]}}
    assert (
        list_first_tokens(chat) == list_first_tokens(text) == [("a", -1.0)]
        and list_first_tokens({"logprobs": None}) is None
    )


def test_a_family_without_words_is_refused():
    family = catalogue.make("families", "bernoulli_bandit")
    with pytest.raises(MesascopeError, match="has no questions in words"):
        catalogue.make("subjects", "openai_api:path=http://127.0.0.1:9/v1", family)
