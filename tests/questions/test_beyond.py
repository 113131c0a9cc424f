"""Longer lifetimes, dependent arms and volatile blocks against subjects whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mesascope import catalogue
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.procedures.effective_rate import fit_rates
from mesascope.questions.procedures.histories import History
from mesascope.rollouts.rollouts import rollout
from mesascope.trials import read_payoffs


def lived(spec, family, splits, n=64):
    made = catalogue.make("families", family)
    subject = catalogue.make("subjects", spec, made)
    return {split: rollout(subject, made, split, n, 4) for split in splits}


def ask(metric, trials, **references) -> dict[str, Any]:
    told = apply_metrics([catalogue.make("metrics", metric)], trials, references)
    return {f.metric.partition(": ")[2]: f for f in told}


def test_windows_of_a_longer_life_are_averages_over_its_trials():
    family, splits = "bernoulli_bandit:arms=3,trials=11", ("fresh", "horizon:longer")
    trials = lived("epsilon_greedy", family, splits)
    told = ask("beyond_horizon", trials, learner=trials)
    long = trials["horizon:longer"]
    by_hand = (long.best.values - read_payoffs(long))[:, 22:33].mean()
    assert told["regret per trial, trials 23 to 33"].estimate == pytest.approx(by_hand, abs=1e-6)
    share = told["share of epsilon_greedy, trials 45 to 55"]
    assert share.estimate == pytest.approx(1) and share.null == 1
    assert told["share of the best, last stretch minus the first"].low > 0


def test_who_stops_taking_in_feedback_gains_nothing_more_beyond():
    """Of the choices after the horizon nothing changes: the same arm for good, so every window has the same regret."""
    splits = ("fresh", "horizon:longer")
    told = ask("beyond_horizon", lived("explore_then_commit:pulls=9", "bernoulli_bandit:arms=3,trials=11", splits))
    second, last = (told[f"regret per trial, trials {a} to {b}"].estimate for a, b in ((12, 22), (45, 55)))
    assert second == pytest.approx(last, abs=1e-6)


def test_without_a_longer_split_it_does_not_apply():
    trials = lived("uniform", "bernoulli_bandit:arms=3,trials=11", ("fresh",), 7)
    (only,) = ask("beyond_horizon", trials).values()
    assert only.status == "does not apply"


MEDIUM, APART = "bernoulli_bandit:arms=2,trials=100,prior=dependent_medium", "restructured:independent"


@pytest.fixture(scope="module")
def learner():
    return lived("thompson", MEDIUM, ("fresh", APART), 512)


def test_the_optimum_for_dependent_arms_uses_them_and_pays_for_it(learner):
    """SCIENCE: regret 1.00 on medium, Thompson 3.01; on independent arms Thompson has 2.79, and it loses there."""
    told = ask("use_of_structure", lived("bayes_optimal", MEDIUM, ("fresh", APART), 512), learner=learner)
    at_home = told["regret where arms depend on each other"]
    assert at_home.null == 1.20 and at_home.high < 1.20 and abs(at_home.estimate - 1.0) < 0.12
    assert told["regret that independence costs it, less what it costs thompson"].low > 0.5


def test_a_learner_without_the_structure_beats_nothing(learner):
    told = ask("use_of_structure", learner, learner=learner)
    assert abs(told["regret where arms depend on each other"].estimate - 3.01) < 0.25
    same = told["regret that independence costs it, less what it costs thompson"]
    assert same.estimate == 0 == same.high


def test_families_without_dependent_arms_are_not_asked():
    trials = lived("uniform", "bernoulli_bandit:arms=3,trials=11", ("fresh",), 7)
    (only,) = ask("use_of_structure", trials).values()
    assert only.status == "does not apply"


def simulated(rates, beta, n=96, trials=60, seed=0):
    """A delta rule with a rate for each kind of block, written out: choices, pay-offs, kinds of block."""
    rng = np.random.default_rng(seed)
    volatile = np.tile((np.arange(trials) // 15) % 2 == 1, (n, 1)) ^ (np.arange(n) % 2 == 1)[:, None]
    good, value = rng.integers(0, 2, n), np.full((n, 2), 0.5)
    action, paid, p = np.zeros((n, trials), int), np.zeros((n, trials)), np.zeros((n, trials, 2))
    for t in range(trials):
        good = np.where(rng.random(n) < np.where(volatile[:, t], 0.2, 0.02), 1 - good, good)
        e = np.exp(beta * value)
        p[:, t] = e / e.sum(-1, keepdims=True)
        action[:, t] = rng.random(n) < p[:, t, 1]
        paid[:, t] = rng.random(n) < np.where(action[:, t] == good, 0.8, 0.2)
        rate = np.where(volatile[:, t], rates[1], rates[0])
        value[np.arange(n), action[:, t]] += rate * (paid[:, t] - value[np.arange(n), action[:, t]])
    return History(action, paid.astype(np.float32), 2, np.arange(n)), volatile, p


@pytest.mark.parametrize("rates", [(0.1, 0.5), (0.3, 0.3)])
def test_the_rates_that_made_the_choices_are_found(rates):
    h, volatile, p = simulated(rates, 5.0)
    told, beta = fit_rates(h, volatile, p)
    assert np.allclose(told.mean(1), rates, atol=5e-3) and beta == pytest.approx(5, abs=0.1)
    told, beta = fit_rates(h, volatile, h.choice_made.astype(float))
    error = told.std(1, ddof=1) / np.sqrt(told.shape[1])
    assert (np.abs(told.mean(1) - rates) < 3.5 * error).all() and (error < 0.1).all()


@pytest.mark.slow  # many studies; CI runs it
def test_the_standard_error_is_that_of_repeated_studies():
    studies = []
    for seed in range(16):
        h, volatile, _ = simulated((0.1, 0.5), 5.0, 32, 40, seed + 1)
        told = fit_rates(h, volatile, h.choice_made.astype(float))[0]
        studies.append((told.mean(1), told.std(1, ddof=1) / np.sqrt(told.shape[1])))
    seen, said = np.std([s[0] for s in studies], 0, ddof=1), np.mean([s[1] for s in studies], 0)
    assert ((said / seen > 0.6) & (said / seen < 1.6)).all(), (said, seen)


def test_a_fixed_rate_is_one_rate_and_other_families_are_not_asked():
    trials = lived("rescorla_wagner:rate=0.3,beta=8", "restless_bandit:trials=60,block=15", ("fresh",), 64)
    told = ask("effective_rate", trials)
    assert told["calm blocks"].estimate == pytest.approx(0.3, abs=5e-3)
    assert told["volatile less calm blocks"].estimate == pytest.approx(0, abs=5e-3)
    (only,) = ask("effective_rate", lived("uniform", "bernoulli_bandit:arms=3,trials=11", ("fresh",), 7)).values()
    assert only.status == "does not apply"
