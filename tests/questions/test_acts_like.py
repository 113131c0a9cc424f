"""Procedures written twice agree; simulated subjects are named; what is not in the list is none of these."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.procedures import fits as _fits
from mesascope.questions.procedures.acts_like import compare_fits, compare_procedures, list_procedures
from mesascope.questions.procedures.histories import read_history
from mesascope.questions.procedures.procedures import SIMPLE_PROCEDURES, Procedure, Range, StepRange, mix_lapse
from mesascope.questions.procedures.samplers import BAYES_OPTIMAL, SLOW_PROCEDURES, make_ideal_locator
from mesascope.questions.procedures.sweeps import find_best_middle
from mesascope.rollouts.replays import Replays, make_percepts
from mesascope.rollouts.rollouts import rollout

TWICE = {
    "uniform": ("uniform", {}),
    "round_robin": ("round_robin", {}),
    "fixed:arm=1": ("fixed", {"arm": 1}),
    "sticky:stay_probability=.7": ("sticky", {"stay_probability": 0.7}),
    "biased:ratio=2": ("biased", {"choice_0": 4 / 7, "choice_1": 2 / 7, "choice_2": 1 / 7}),
    "win_stay_lose_shift": ("win_stay_lose_shift", {"after_win": 1, "after_loss": 0}),
    "two_loss_reflex:losses=3": ("two_loss_reflex", {"losses": 3}),
    "clock_win_stay:ramp_trials=7": ("clock_win_stay", {"ramp_trials": 7}),
    "clock:ramp_trials=7": ("clock", {"arm": 0, "ramp_trials": 7}),
    "random_then_fixed:start=4": ("random_then_fixed", {"arm": 0, "start": 4}),
    "choice_trace:rate=.3,beta=2": ("choice_trace", {"rate": 0.3, "beta": 2}),
    "windowed:window=4,focus=.8": ("windowed", {"window": 4, "focus": 0.8}),
    "greedy": ("epsilon_greedy", {"ties": "random", "tries_each_first": False}),
    "greedy:ties=first,tries_each_first=true": ("epsilon_greedy", {"ties": "first", "tries_each_first": True}),
    "rescorla_wagner:rate=.3,beta=4": ("rescorla_wagner", {"rate": 0.3, "beta": 4, "initial": 0.5}),
    "ucb1:constant=.4": ("ucb1", {"constant": 0.4, "is_growing": True, "tries_each_first": False}),
    "ucb1:constant=.4,is_growing=false,tries_each_first=true": (
        "ucb1",
        {"constant": 0.4, "is_growing": False, "tries_each_first": True},
    ),
    "explore_then_commit:pulls=5": ("explore_then_commit", {"pulls": 5}),
    "delayed_exploiter:start=4": ("delayed_exploiter", {"start": 4}),
    "satisficer:min_mean=.6": ("satisficer", {"min_mean": 0.6}),
    "thompson": ("thompson", {}),
    "thompson:discount=.9,a=3,b=2": (SLOW_PROCEDURES[1].name, {"discount": 0.9, "mean": 0.6, "strength": 5}),
    "thompson:should_minimise=true": ("thompson:should_minimise=True", {}),
    "optimistic_thompson": ("optimistic_thompson", {}),
    "delayed": ("delayed", {"is_aware": True}),
    "delayed:is_aware=false": ("delayed", {"is_aware": False}),
    "early_only:learning_trials=5": ("early_only", {"learning_trials": 5}),
    "change_point_thompson:hazard=.1": ("change_point_thompson", {"hazard": 0.1}),
    "gittins:discount=.95": ("gittins", {"discount": 0.95}),
    "gittins:discount=0": ("gittins", {"discount": 0}),
    "bayes_optimal": ("bayes_optimal", {}),
    "feedback_hash": ("feedback_hash", {}),
    "hash_commit:random_trials=4": ("hash_commit", {"random_trials": 4}),
    "locator": ("locator", {}),
}


@pytest.fixture(scope="module")
def three():
    """Lifetimes of 11 trials with three arms, from a subject that visits every history."""
    family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11,bank=5")
    return family, rollout(catalogue.make("subjects", "epsilon_greedy:epsilon=0.5", family), family, "fresh", 64, 3)


def lived_again(subject, lived):
    """Its probabilities along recorded trials, one respond after the other: nothing is compiled."""
    now = lived.sel(condition="intact")
    past = make_percepts(now.action.values.astype(np.int32), now.feedback.values, np.zeros((*now.action.shape, 0)))
    carry, out = subject.initialize_carry(now.sizes["lifetime"]), []
    for t in range(now.sizes["trial"]):
        percept = jax.tree.map(lambda x, t=t: jnp.asarray(x[t]), past)
        carry, response = subject.respond(jax.random.key(0), carry, percept)
        out.append(np.exp(response.log_probs))
    return np.stack(out, 1)


@pytest.mark.parametrize("spec", TWICE)
def test_each_procedure_is_the_scripted_subject_of_its_name(three, spec):
    family, lived = three
    name, settings = TWICE[spec]
    every = {
        p.name: p
        for p in (
            *SIMPLE_PROCEDURES,
            *SLOW_PROCEDURES,
            BAYES_OPTIMAL,
            make_ideal_locator(np.asarray(family.bank_means)),
        )
    }
    theirs = lived_again(catalogue.make("subjects", spec, family), lived)
    assert np.abs(every[name].policy(read_history(lived), **settings) - theirs).max() < 2e-4


def test_probabilities_sum_to_one_and_do_not_see_the_future(three):
    lived = three[1]
    seen = read_history(lived)
    changed = read_history(lived)
    changed.action[:, 7:] = (changed.action[:, 7:] + 1) % 3
    changed.payoff[:, 7:] = 1 - changed.payoff[:, 7:]
    for procedure in (*SIMPLE_PROCEDURES, *SLOW_PROCEDURES):
        first = procedure.estimate(seen) if procedure.estimate else next(_fits.list_grid_settings(procedure, seen))
        p = procedure.policy(seen, **first)
        assert np.allclose(p.sum(-1), 1, atol=1e-4), procedure.name
        assert np.allclose(p[:, :8], procedure.policy(changed, **first)[:, :8], atol=1e-6), procedure.name


@pytest.fixture(scope="module")
def two():
    """Lifetimes of 100 trials with two arms, by subject."""
    family = catalogue.make("families", "bernoulli_bandit:arms=2,trials=100,bank=4")

    @functools.cache
    def live(spec):
        return rollout(catalogue.make("subjects", spec, family), family, "fresh", 64, 8)

    return live


@pytest.fixture(scope="module")
def asked(two):
    """What a subject is found to act like, every procedure fitted once."""

    @functools.cache
    def fitted(spec):
        seen = read_history(two(spec))
        return seen, [_fits.fit(p, seen) for p in list_procedures(two(spec))]

    def judged(spec, probabilities, without=()):
        seen, every = fitted(spec)
        return compare_fits(two(spec), seen, [f for f in every if f.procedure.name not in without], probabilities)

    return judged


NAMED = {
    "rescorla_wagner:rate=0.4,beta=3": ("rescorla_wagner", {"rate": (0.4, 0.1), "beta": (3, 0.6)}),
    "thompson:discount=0.93": (SLOW_PROCEDURES[1].name, {"discount": (0.93, 0.03)}),
    "two_loss_reflex": ("two_loss_reflex", {"losses": (2, 0)}),
    "ucb1:constant=0.7": ("ucb1", {"constant": (0.7, 0.01)}),
    "ucb1:constant=0.55": ("ucb1", {"constant": (0.55, 0.01)}),
    "satisficer:min_mean=0.63": ("satisficer", {"min_mean": (0.63, 0.01)}),
    "gittins:discount=0.97": ("gittins", {"discount": (0.97, 0.01)}),
}

# the first three have steps in their likelihood (see STEPPED), and the others take ten seconds each; CI runs them
SLOW_TO_NAME = (
    *("ucb1:constant=0.55", "satisficer:min_mean=0.63", "gittins:discount=0.97"),
    *("thompson:discount=0.93", "rescorla_wagner:rate=0.4,beta=3"),
)


@pytest.mark.parametrize("probabilities", [True, False])
@pytest.mark.parametrize("spec", [pytest.param(s, marks=[pytest.mark.slow] * (s in SLOW_TO_NAME)) for s in NAMED])
def test_it_names_what_was_simulated(asked, spec, probabilities):
    found = asked(spec, probabilities)
    name, settings = NAMED[spec]
    assert not found.has_no_match and name in found.list_class_names()
    fitted = next(f for f in found.fits if f.procedure.name == name).summarise_settings()
    for key, (true, error) in settings.items():
        assert abs(fitted[key] - true) <= error, (key, fitted)


@pytest.mark.parametrize("probabilities", [True, False])
@pytest.mark.parametrize("spec", ["two_loss_reflex", "ucb1:constant=0.7"])
def test_what_is_not_in_the_list_is_none_of_these(asked, spec, probabilities):
    assert asked(spec, probabilities, (spec.partition(":")[0],)).has_no_match


STEPPED = {
    "ucb1": ("constant", (0.07, 0.13, 0.37, 0.55, 0.85, 1.2, 3.3)),
    "ucb1:is_growing=false": ("constant", (0.13, 0.55, 1.2)),
    "ucb1:tries_each_first=true": ("constant", (0.13, 0.55, 1.2)),
    "satisficer": ("min_mean", (0.33, 0.47, 0.52, 0.63, 0.71, 0.88)),
    "gittins": ("discount", (0.55, 0.72, 0.85, 0.93, 0.97, 0.985, 0.993)),
}


@pytest.mark.parametrize("spec", [pytest.param(s, marks=[pytest.mark.slow] * (s == "gittins")) for s in STEPPED])
def test_settings_between_grid_values_are_found_where_the_likelihood_has_steps(two, spec):
    """Fits that got stuck between two steps found .96 for .55, and named another procedure."""
    setting, values = STEPPED[spec]
    procedure = next(p for p in (*SIMPLE_PROCEDURES, *SLOW_PROCEDURES) if p.name == spec.partition(":")[0])
    for value in values:
        fitted = _fits.fit(procedure, read_history(two(f"{spec}{',' if ':' in spec else ':'}{setting}={value}")))
        assert abs(fitted.summarise_settings()[setting] - value) <= 0.01, (value, fitted.settings)
        assert all(found["lapse"] < 0.003 for found in fitted.settings), (value, fitted.settings)


def test_every_deterministic_procedure_with_a_real_setting_is_among_them():
    """Its choices are certain or tied, and change with a setting that is not a whole number."""
    stepped = {
        p.name for p in (*SIMPLE_PROCEDURES, *SLOW_PROCEDURES) if any(isinstance(v, StepRange) for v in p.grid.values())
    }
    assert stepped == {spec.partition(":")[0] for spec in STEPPED}
    seen = read_history(three_arms())
    for procedure in (*SIMPLE_PROCEDURES, *SLOW_PROCEDURES):
        real = [k for k, v in procedure.grid.items() if type(v) is Range]
        if not real:
            continue
        low, high, *_ = procedure.grid[real[0]]
        settings = next(_fits.list_grid_settings(procedure, seen)) | {real[0]: low}
        moved = settings | {real[0]: (low + high) / 2}
        one, other = (np.nan_to_num(procedure.policy(seen, **s)) for s in (settings, moved))
        assert (np.abs(one - other) > 1e-6).mean() > 0.1, procedure.name  # changes smoothly, so slopes lead to it


def test_the_best_stretch_by_hand():
    low, high = np.asarray([-np.inf, 0.2, 0.3, 0.6]), np.asarray([0.5, np.inf, 0.4, 0.1])
    assert find_best_middle(low, high, np.ones(4), 1.0) == pytest.approx(0.35)
    assert find_best_middle(low, high, np.asarray([3.0, 1.0, 0.1, 9.0]), 1.0) == pytest.approx(0.35)
    assert find_best_middle(low[:1], high[:1], np.ones(1), 1.0) == pytest.approx(0.25)
    assert find_best_middle(low[:0], high[:0], np.ones(0), 1.0) == pytest.approx(0.5)


def three_arms():
    family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=30")
    return rollout(catalogue.make("subjects", "epsilon_greedy:epsilon=0.5", family), family, "fresh", 64, 3)


def test_a_hash_is_told_from_chance_by_its_probabilities_alone(two):
    listed = [p for p in SIMPLE_PROCEDURES if p.name in ("uniform", "sticky", "biased", "win_stay_lose_shift")]
    assert compare_procedures(two("feedback_hash"), listed, 64, True).has_no_match
    assert not compare_procedures(two("feedback_hash"), listed, 64, False).has_no_match


def test_uniform_is_the_name_of_a_class_that_holds_what_can_be_uniform(two):
    listed = [
        p for p in SIMPLE_PROCEDURES if p.name in ("uniform", "sticky", "biased", "epsilon_greedy", "choice_trace")
    ]
    found = compare_procedures(two("uniform"), listed[::-1], 64)
    names = found.list_class_names()
    assert names[0] == "uniform" and {"sticky", "biased", "epsilon_greedy"} <= set(names)


def test_the_miss_is_the_divergence_from_the_subject(two):
    """A biased coin against the even one: log 2 minus its entropy."""
    lived = two("biased:ratio=3")
    found = compare_procedures(
        lived,
        [Procedure("uniform", lambda history: np.full(history.choice_made.shape, 0.5, np.float32), has_lapse=False)],
        96,
    )
    assert found.shortfall.mean() == pytest.approx(np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25), abs=1e-5)


def test_fitting_does_not_see_the_lifetimes_that_are_scored(two):
    lived = two("epsilon_greedy")
    seen, other = read_history(lived, lifetime_count=24), read_history(lived, lifetime_count=24)
    other.payoff[1::2] = 1 - other.payoff[1::2]
    procedure = next(p for p in SIMPLE_PROCEDURES if p.name == "rescorla_wagner")
    assert _fits.fit(procedure, seen).settings[0] == _fits.fit(procedure, other).settings[0]
    assert _fits.fit(procedure, seen).settings[1] != _fits.fit(procedure, other).settings[1]


def test_the_lapse_is_the_share_of_the_choices_that_are_even():
    """With certain predictions a fraction w of choices is against them: ε (1 - 1/K) = w."""
    p = np.r_[np.ones(880), np.zeros(120)]
    assert _fits._fit_lapse(p, 4) == pytest.approx(0.12 * 4 / 3, abs=1e-3)
    assert np.allclose(mix_lapse(np.eye(4)[0], 0.16), [0.88, 0.04, 0.04, 0.04])


def test_a_subject_of_any_package_is_compared_by_name(two):
    lived = two("ucb1:constant=0.7")
    metric = catalogue.make("metrics", "acts_like:without=ucb1,also=ucb1:constant=0.7")
    told = apply_metrics([metric], {"fresh": lived}, replay=Replays())
    assert told[0].reason.startswith("acts like ucb1:constant=0.7 (lapse 0.0001)")


def test_a_log_is_compared_by_its_choices(two):
    lived = two("two_loss_reflex").drop_vars("log_probs")
    logged = lived.assign_attrs(split="logged", family="log")
    told = apply_metrics([catalogue.make("metrics", "acts_like")], {"logged": logged}, replay=Replays())
    assert told[0].status == "measured" and told[0].reason.startswith("acts like two_loss_reflex (losses 2")


def test_mistakes_are_told():
    with pytest.raises(MesascopeError, match="thomson"):
        catalogue.make("metrics", "acts_like:without=thomson")
    with pytest.raises(MesascopeError, match="lifetimes=2"):
        catalogue.make("metrics", "acts_like:lifetimes=2")


def test_too_few_lifetimes_do_not_apply(two):
    told = apply_metrics([catalogue.make("metrics", "acts_like")], {"fresh": two("uniform").isel(lifetime=slice(3))})
    assert told[0].status == "does not apply" and "3 lifetimes" in told[0].reason
