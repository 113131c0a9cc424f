"""Deletion and transplant of a language model's context: the known answers, and how many questions they take."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import catalogue
from mesascope.contracts import Percept, ScriptedSubject, choose
from mesascope.examination.bench import RolloutCache
from mesascope.questions.spectrum.carried import measure_carry_effects
from mesascope.questions.spectrum.placement import list_conditions
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import compute_standard_error
from mesascope.worlds.words.families import word_labels
from mesascope.worlds.words.texts import read_texts
from subjects.lm_server import serving

SIX = "word_labels:categories=6"
DELETED, TRANSPLANTED = "past_deleted_once:window=2,birth=0", "past_transplanted_once:window=2,replicate=0"


class LastShots(ScriptedSubject):
    """Gives the label that one of the last three shots showed for the word's category, else the first label."""

    name: str = "last_shots"

    def initialize_carry(self, n):
        return jnp.full((n, 3, 2), -1.0)

    def respond(self, key, carry, percept: Percept):
        item, last = (percept.observation[:, i] // read_texts().words_per_category for i in (0, 1))
        label = percept.observation[:, word_labels.LAST_LABEL]
        carry = jnp.concatenate([carry[:, 1:], jnp.stack([last, label], -1)[:, None]], 1)
        matches = carry[..., 0] == item[:, None]
        vote = (matches * (2 * carry[..., 1] - 1)).sum(1)
        return carry, choose(key, jnp.log(jnp.stack([vote <= 0, vote > 0], -1) + 1e-6))


def place(subject, family, trained_on="unknown", lifetimes=64):
    bench = RolloutCache(family, list_conditions(family), None, lifetimes, seed=7)
    trials, _, placement = bench.place(subject, trained_on)
    return trials["fresh"], placement


def test_labels_of_other_tasks_are_valued_at_the_word_that_the_subject_observes():
    family, key = catalogue.make("families", "word_labels:trials=6"), jax.random.key(3)
    for split in ("fresh", "exchanged:labels", "restructured:halves", "restructured:rule"):
        tasks = family.get_split(split).draw(key, 64)
        shown = np.stack([np.asarray(tasks.items), *[np.zeros((64, 6))] * 5], -1)
        own = family.compute_action_values(tasks, split, shown, np.asarray(tasks.correct_action))
        assert (own[np.arange(64), :, np.arange(64)] == 0.5).all()  # its correct label on its own task
        share = (family.compute_action_values(tasks, split, shown, np.zeros((64, 6))) != 0).mean()
        assert share == 1 if split.startswith("restructured") else 0.1 < share < 0.3  # one pair of six


def test_every_category_has_one_label_of_its_own():
    family, known = catalogue.make("families", f"{SIX},trials=3"), read_texts()
    tasks = family.draw(jax.random.key(3), 64)
    labels = np.asarray(tasks.item_labels)[:, : known.n_words].reshape(64, known.n_categories, -1)
    assert (labels == labels[:, :, :1]).all() and ((labels[:, :, 0] >= 0).sum(1) == 6).all()
    used = labels[:, family.categories, 0]
    assert np.abs(np.corrcoef(used.T) - np.eye(6)).max() < 0.4  # independent parts
    dog, bread = known.items.index("dog"), known.items.index("bread")
    observation = np.zeros((1, 3, 6))
    observation[0, :, word_labels.ITEM] = dog, bread, dog
    best = family.find_best_actions(tasks, "fresh", observation)[0]
    assert (best == np.asarray(tasks.item_labels)[:, [dog, bread, dog]].T).all()


@pytest.mark.slow  # twenty seconds; CI runs it
def test_the_learner_of_six_categories_acquires():
    family = catalogue.make("families", SIX)
    fresh, placed = place(catalogue.make("subjects", "label_learner", family), family)
    assert (placed.lowest, placed.highest) == ("acquiring", "acquiring"), placed
    assert placed.numbers["deletion"] > 0.4 and placed.numbers["transplant"] > 0.25
    assert placed.numbers["bits"] > 1 and fresh.attrs["parts"] == 6 and fresh.part.max() == 5


@pytest.mark.slow  # twenty seconds; CI runs it
def test_a_reflex_of_the_last_three_shots_tracks():
    for name in (SIX, "word_labels"):
        fresh, placed = place(LastShots(), catalogue.make("families", name))
        assert (placed.lowest, placed.highest) == ("tracking", "tracking"), placed
        effects = measure_carry_effects(fresh, 3)
        assert effects.deletion.mean() == 0
        assert abs(effects.transplant.mean()) < 3.5 * compute_standard_error(effects.transplant)


@pytest.mark.slow  # 256 lifetimes of eight categories; CI runs it
def test_a_holder_of_sixteen_tables_locates():
    family = catalogue.make("families", "word_labels:categories=8,bank=16")
    subject = catalogue.make("subjects", "label_recogniser", family)
    placed = place(subject, family, subject.trained_on, 256)[1]
    assert (placed.lowest, placed.highest) == ("locating", "locating"), placed
    assert placed.numbers["strict_bits"] < 4


@pytest.mark.parametrize(
    ("spec", "responder", "twin", "settings"),
    [
        (f"{SIX},trials=6", "learner of six", "label_learner", {"is_chat": True, "parallel_requests": 8}),
        ("word_labels:trials=6", "parrot", "last_answer", {"batch": 64}),
    ],
)
def test_a_model_behind_an_address_reads_as_its_twin_and_only_disturbed_responses_are_asked(
    spec, responder, twin, settings
):
    pytest.importorskip("httpx", reason="needs the extra lm")
    family = catalogue.make("families", spec)
    conditions, sent, size = ["intact", DELETED, TRANSPLANTED], [], 64 * family.horizon
    here = rollout(catalogue.make("subjects", twin, family), family, "fresh", 64, 3, conditions=conditions)
    with serving(responder) as server:
        told = {"path": server.address, "cache": "none"} | settings
        model = catalogue.make("subjects", "openai_api:" + ",".join(f"{k}={v}" for k, v in told.items()), family)
        asker = model.asker.cache
        for upto in (1, 2, 3):
            there = rollout(model, family, "fresh", 64, 3, conditions=conditions[:upto])
            sent.append(asker.n_sent)
    assert (there.action.values == here.action.values).all()
    for name in ("score", "donor_gain", "donor_room", "donor_strict"):
        assert np.allclose(there[name].values, here[name].values, equal_nan=True), name
    effects = [measure_carry_effects(x, 2) for x in (there, here)]
    assert effects[0].deletion.mean() == effects[1].deletion.mean()
    assert effects[0].transplant.mean() == effects[1].transplant.mean()
    assert sent[0] == size  # one question per trial
    assert np.diff(sent).max() <= 64 * (family.horizon - 2)  # one per disturbed response; before trial w, none


def test_an_answer_that_is_no_label_does_not_count_after_a_transplant():
    pytest.importorskip("httpx", reason="needs the extra lm")
    family = catalogue.make("families", "word_labels:trials=5")
    with serving("learner", always="refuses") as server:
        model = catalogue.make("subjects", f"openai_api:path={server.address},cache=none,batch=64,mode=answer", family)
        found = rollout(model, family, "fresh", 64, conditions=["intact", DELETED, TRANSPLANTED])
    assert (found.action.values == -1).all() and np.isnan(found.score.values).all()
    assert not found.donor_gain.values.any() and not found.donor_room.values.any()
