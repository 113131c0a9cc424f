"""The two-step task: what its scripted subjects earn and how they stay, what announcements move, what it refuses."""

from __future__ import annotations

import functools
import itertools

import jax
import numpy as np
import pytest

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.examination.checks import check_plugin
from mesascope.examination.measurement import apply_metrics
from mesascope.keys import derive_key
from mesascope.rollouts.rollouts import rollout
from mesascope.trials import measure_gain


def task(settings=""):
    return catalogue.make("families", f"two_step:{settings}" if settings else "two_step")


@functools.cache
def lived(subject, settings="", split="fresh", lifetimes=256, seed=3):
    family = task(settings)
    made = catalogue.make("subjects", subject, family)
    return rollout(made, family, split, lifetimes, seed, should_keep_log_probs=False)


# rewards and indices of SCIENCE.md, computed there by another program
KNOWN = {
    "state_filter": (0.7062, 0.670, 0.0),
    "sarsa": (0.634, 0.29, 0.61),
    "sarsa:initial_value=0": (0.6357, 0.263, 0.548),
    "uniform": (0.5, 0.0, 0.0),
}


@pytest.mark.parametrize("subject", KNOWN)
def test_rewards_and_stay_indices_that_are_known(subject):
    trials = lived(subject, lifetimes=4032, seed=7)
    found = apply_metrics([catalogue.make("metrics", "stay_probabilities")], {"fresh": trials})
    told = {f.metric.partition(": ")[2]: f.estimate for f in found}
    reward, mb, mf = KNOWN[subject]
    assert trials.score.values.mean() == pytest.approx(reward, abs=0.004)
    assert told["MB index"] == pytest.approx(mb, abs=0.015)
    assert told["MF index"] == pytest.approx(mf, abs=0.015)


def test_best_and_worst_by_enumeration():
    """Every pair of a first choice and of options at both states, one after the other."""
    family = task("version=daw,trials=7")
    tasks = family.get_split("exchanged:map").draw(jax.random.key(5), 5)
    known = family.compute_latents(tasks, "exchanged:map")
    worth, crossed = np.asarray(tasks.payoffs), np.asarray(tasks.is_swapped)
    usual = float(family.common_probability)
    paths = []
    for first, left, right in itertools.product((0, 1), repeat=3):
        pays = np.stack([worth[..., 0, left], worth[..., 1, right]], -1)
        to = first ^ crossed.astype(int)
        own, other = (np.take_along_axis(pays, x[..., None], -1)[..., 0] for x in (to, 1 - to))
        paths.append(usual * own + (1 - usual) * other)
    paths = np.stack(paths)
    for name, value in {"best": paths.max(0), "worst": paths.min(0), "chance": paths.mean(0)}.items():
        assert known[name] == pytest.approx(value, abs=1e-6), name


def test_the_pay_off_is_that_of_the_state_that_was_reached():
    trials = lived("uniform", "common_probability=1,high=1,low=0", lifetimes=64)
    assert (trials.feedback.values == trials.score.values).all()
    rare = lived("uniform", "high=1,low=0", lifetimes=64)
    flipped = (rare.feedback.values[0] > 0.5) != (rare.score.values[0] > 0.5)
    assert (flipped == (rare.transition.values < 0.5)).all()


def after(subject, split, settings=""):
    """How often the first choice after the announcement is the one that is best by it."""
    trials = lived(subject, settings, split)
    change = int(trials.attrs["changes"])
    action = trials.action.values[0, :, change]
    first = action if action.ndim == 1 else action[:, 0]
    return (first == trials.means.values[:, change].argmax(-1)).mean()


@pytest.mark.parametrize("settings", ["", "version=2016"])
def test_who_follows_what_is_announced(settings):
    follows = {
        "model_based": (True, True),
        "successor": (True, False),
        "sarsa": (False, False),
        "habit": (False, False),
        "state_filter": (False, False),
    }
    for subject, passes in follows.items() if not settings else [("model_based", (True, True))]:
        for split, passed in zip(("revalued:worth", "revalued:map"), passes, strict=True):
            share = after(subject, split, settings)
            assert share > 0.9 if passed else share < 0.3, (subject, split, share)
        assert after(subject, "revalued:same", settings) > 0.7


def test_the_locator_gains_on_its_bank():
    seen, fresh = (lived("worth_locator", "bank=3,bank_seed=2", split) for split in ("seen", "fresh"))
    share = [measure_gain(x)[0].sum() / measure_gain(x)[1].sum() for x in (seen, fresh)]
    assert share[0] > 0.95 and share[1] < share[0] - 0.2
    assert lived("worth_locator", "bank=3,bank_seed=2", "seen").attrs["trained_on"] == "bank:3@2"


def test_a_drifting_task_of_two_steps_a_trial():
    trials = lived("model_based", "version=daw,trials=61", lifetimes=192)
    assert trials.action.shape == (1, 192, 61, 2)
    assert measure_gain(trials)[0].sum() / measure_gain(trials)[1].sum() > 0.3
    worth = np.asarray(task("version=daw,trials=61").draw(derive_key(jax.random.key(1)), 64).payoffs)
    assert worth.min() >= 0.25 and worth.max() <= 0.75
    steps = np.diff(worth, axis=1)
    assert np.median(np.abs(steps)) == pytest.approx(0.025 * 0.6745, rel=0.05)


def test_what_is_announced_is_seen_when_it_is_said_and_not_before():
    trials = lived("uniform", split="revalued:map", lifetimes=64)
    told = trials.observation.values[0, :, :, 2]
    assert (told.argmax(-1) == 50).all() and (told.sum(-1) == 1).all()
    way = trials.observation.values[0, :, 50, 3]
    assert (way == -1).all()


@pytest.mark.parametrize("settings", ["trials=12,version=2016", "trials=12,bank=2,version=daw"])
def test_its_other_versions_keep_the_contract(settings):
    assert check_plugin(f"families/two_step:{settings}") == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("version=2019", "2018"),
        ("high=0.4,low=0.4", "no state pays more"),
        ("common_probability=0.4", "more often"),
        ("trials=2", "trials=2"),
        ("switch_probability=1.5", "switch_probability=1.5"),
    ],
)
def test_bad_settings(settings, said):
    with pytest.raises(MesascopeError, match=said):
        task(settings)


def test_subjects_of_two_steps_refuse_other_tasks():
    with pytest.raises(MesascopeError, match="two_step"):
        catalogue.make("subjects", "hybrid", catalogue.make("families", "bernoulli_bandit"))
    with pytest.raises(MesascopeError, match="drift"):
        catalogue.make("subjects", "state_filter", task("version=daw"))
