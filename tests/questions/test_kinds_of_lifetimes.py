"""Lifetimes of more than one kind are found and told; what is drawn anew on every trial, or kept briefly, is not."""

from __future__ import annotations

import dataclasses
import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import mesascope
from mesascope import catalogue
from mesascope.contracts import Response, ScriptedSubject, choose
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.spectrum.kinds_of_lifetimes import REPLAYS, correlate_agreements, make_quarter_masks
from mesascope.reporting.headlines import explain_level
from mesascope.reporting.terminal import summarise
from mesascope.rollouts.replays import Replays, replay
from mesascope.rollouts.rollouts import rollout

FAMILY = "bernoulli_bandit:arms=5,trials=100"
METRIC = catalogue.make("metrics", "kinds_of_lifetimes")
TOLD = "lifetimes are of more than one kind (agreement of replays r = "


class Silent(ScriptedSubject):
    """Another subject, which does not state its probabilities."""

    inner: ScriptedSubject

    def initialize_carry(self, n):
        return self.inner.initialize_carry(n)

    def respond(self, key, carry, percept):
        carry, response = self.inner.respond(key, carry, percept)
        return carry, Response(response.action, None)


class Moody(ScriptedSubject):
    """Draws every five trials which of two arms it prefers, and takes it nine times in ten."""

    name: str = "moody"

    def initialize_carry(self, n):
        return jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept):
        drawn, key = jax.random.split(key)
        again = percept.trial % 5 == 0
        carry = jnp.where(again, jax.random.bernoulli(drawn, 0.5, carry.shape).astype(jnp.int32), carry)
        return carry, Response(choose(key, jnp.log(0.02 + 0.88 * jax.nn.one_hot(carry, 5))).action, None)


def find(subject, family, seed=2, lifetimes=64):
    """The finding on one subject's own trials."""
    trials = {"fresh": rollout(subject, family, "fresh", lifetimes, seed)}
    (found,) = apply_metrics([METRIC], trials, replay=Replays(subject))
    return found


def make(spec, family):
    """A subject by name; with a '!' behind it, one that does not state its probabilities."""
    subject = catalogue.make("subjects", spec.rstrip("!"), family)
    return Silent(subject, name=subject.name) if spec.endswith("!") else subject


HALF = pytest.param("part_time:lifetime_share=0.5!", marks=pytest.mark.slow)


@pytest.mark.parametrize("spec", ["part_time:lifetime_share=0.5", HALF, "part_time:lifetime_share=0.2!"])
def test_a_learner_in_part_of_its_lifetimes_is_found(spec):
    family = catalogue.make("families", FAMILY)
    found = find(make(spec, family), family)
    assert found.p < 1e-4 and found.low > 0.3
    assert (found.n, found.unit) == (64, "lifetime")


@pytest.mark.parametrize("spec", ["hash_commit", "recurrent:path=unlimited", "two_loss_reflex"])
def test_equal_probabilities_cannot_draw_a_kind(spec):
    family = catalogue.make("families", FAMILY)
    found = find(make(spec, family), family)
    assert (found.estimate, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert found.reason == "its responses are the same in all replays of a history"


@pytest.mark.parametrize("spec", ["thompson!", "epsilon_greedy!", "hash_commit!", "two_loss_reflex!"])
def test_draws_of_single_trials_are_not_kinds(spec):
    family = catalogue.make("families", FAMILY)
    subject = make(spec, family)
    for seed in range(3):
        found = find(subject, family, seed)
        assert found.p > 0.01 and abs(found.estimate) < 0.15


def test_a_draw_that_is_kept_for_five_trials_is_not_a_kind():
    family = catalogue.make("families", FAMILY)
    subject = Moody()
    assert find(subject, family).p > 0.01
    trials = rollout(subject, family, "fresh", 64, 2)
    action = np.stack([replay(subject, trials, seed=100 + i).action for i in range(REPLAYS)])
    first, second = np.triu_indices(REPLAYS, 1)
    agree = (action[first] == action[second]).astype(float)
    values, p = correlate_agreements(agree[..., ::2].mean(-1), agree[..., 1::2].mean(-1))
    assert p < 1e-4 and values.mean() > 0.3  # odd and even trials would call it one


def test_a_subject_that_checks_its_past_gives_no_reading():
    family = catalogue.make("families", FAMILY)
    found = find(make("checker", family), family)
    assert found.status == "does not apply" and "if it checks whether its memory agrees" in found.reason


@pytest.mark.slow  # many studies; CI runs it
def test_false_positives_are_as_rare_as_they_should_be():
    family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=20")
    subject = make("thompson!", family)
    p = np.asarray([find(subject, family, seed, 16).p for seed in range(40)])
    assert (p < 0.05).sum() <= 3
    assert 0.3 < p.mean() < 0.7


def test_the_permutation_test_is_exact():
    rng = np.random.default_rng(0)
    first, second = np.triu_indices(REPLAYS, 1)

    def draw(kept):
        """p where replays are of kinds that last, or of other kinds on the second set of trials."""
        one, other = rng.random((2, REPLAYS, 6)) < 0.5
        other = one if kept else other
        noise = rng.normal(0, 0.1, (2, len(first), 6))
        return correlate_agreements(*((x[first] == x[second]) + e for x, e in zip((one, other), noise, strict=True)))[1]

    p = np.asarray([draw(kept=False) for _ in range(60)])
    assert 0.35 < p.mean() < 0.65 and (p < 0.1).sum() < 15
    assert draw(kept=True) < 0.001


@pytest.mark.parametrize("length", [8, 9, 20, 100])
def test_sets_of_trials_lie_apart(length):
    one, other = make_quarter_masks(length)
    assert one.any() and other.any() and not (one & other).any()
    gaps = np.abs(np.flatnonzero(one)[:, None] - np.flatnonzero(other))
    assert gaps.min() > length // 10


class Paid(Moody):
    """A subject whose responses cost something."""

    def describe_cost(self, responses):
        return f"{responses} questions"


def test_what_cannot_be_replayed_gives_no_reading():
    family = catalogue.make("families", FAMILY)
    moody = Moody()
    trials = rollout(moody, family, "fresh", 64, 2)
    short = trials.isel(trial=slice(7))
    for lived, subject, reason in (
        (trials, None, "needs the subject itself"),
        (trials, Paid(), "its responses cost money or time"),
        (trials.assign_attrs(actions="real"), moody, "real numbers"),
        (short, moody, "needs 8"),
    ):
        (found,) = apply_metrics([METRIC], {"fresh": lived}, replay=Replays(subject))
        assert found.status == "does not apply" and reason in found.reason
    with pytest.raises(mesascope.MesascopeError, match="out of range"):
        catalogue.make("metrics", "kinds_of_lifetimes:lifetimes=2")


def test_trials_of_several_steps_are_replayed_too():
    family = catalogue.make("families", "tabular_mdp:states=2,actions=2,steps=2,trials=8")
    found = find(make("uniform!", family), family)
    assert found.status == "measured" and found.p > 0.01


@pytest.mark.slow  # ten seconds; CI runs it
def test_more_than_one_kind_is_told_beside_the_level(tmp_path):
    mixed = mesascope.examine(
        "part_time:lifetime_share=0.5", FAMILY, metrics=METRIC, splits="fresh", lifetimes=128, seed=1
    )
    finding = mixed.get_finding("kinds_of_lifetimes")
    assert finding.p < 0.001 and finding.controls["learner"]["estimate"] == 0
    reason = explain_level(mixed)
    assert reason.startswith(mixed.placement.reason) and TOLD in reason
    assert reason.endswith("the level is that of their mean.")
    assert TOLD in mixed.report(tmp_path / "page.html").read_text(encoding="utf-8")
    out = io.StringIO()
    Console(file=out, width=80).print(summarise([mixed]))
    assert TOLD in " ".join(out.getvalue().split())
    doubtful = dataclasses.replace(mixed, answers=[dataclasses.replace(finding, p=0.002)])
    assert explain_level(doubtful) == mixed.placement.reason
