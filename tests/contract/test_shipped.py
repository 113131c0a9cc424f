"""Every plug-in that ships keeps its contract, but for the two subjects that must be refused."""

from __future__ import annotations

import pytest

from mesascope import catalogue
from mesascope.examination.checks import check_plugin

REFUSED = {"drifting_weights": "changed while it ran: .weights", "leaking": "depends on an earlier block"}
# one for each way to carry something: counts, a posterior, tables, a clock, nothing; `validate` lives all
SAMPLE = [
    "thompson",
    "locator",
    "gittins",
    "bayes_optimal",
    "windowed",
    "delayed",
    "clock",
    "win_stay_lose_shift",
    "uniform",
]
SMALL = {
    "associations": "cues=4,trials=12,bank=2",
    "coin_grid": "size=3,trials=12,bank=2",
    "gymnasium": "env=FrozenLake-v1,episodes=2,steps=4,best=1,chance=0,bank=2,learner=thompson",
    "informative_bandit": "targets=3,trials=12,bank=2",
    "restless_bandit": "arms=2,trials=12,bank=2",
    "dark_room": "size=3,goals=2,steps=3,trials=12,feedback_trials=6,bank=2",
    "beta_bernoulli": "a=2,trials=12,bank=2",
    "text_bandit": "trials=12",
    "word_labels": "trials=12",
    "pong": "rallies=2,steps=3",
    "linear_regression": "dimension=3,trials=12,bank=2",
    "markov_chain": "symbols=3,trials=12,bank=2",
    "tabular_mdp": "states=3,actions=2,steps=3,trials=12,bank=2",
    "two_step": "trials=12,bank=2",
    "tree_choice": "depth=2,trials=12,bank=2",
    "prefix_sums": "length=6,trials=12,bank=2",
    "maze": "size=5,trials=12,bank=2",
}

# what is checked in every run; CI checks all plug-ins
FEW = {
    "families": ("bernoulli_bandit", "beta_bernoulli", "associations", "two_step"),
    "conditions": ("intact", "carry_reset", "past_deleted_once", "percept_exchanged_once", "feedback_shuffled"),
    "metrics": ("performance", "deletion", "transplant", "locate_or_learn", "exploration", "dependence_on_carry"),
}

PONG = ("pong", "ball_hidden", "ball_moved", "frames_shuffled", "paddle_hidden", "patch_hidden")


def installed(name):
    if name in PONG:
        pytest.importorskip("ale_py", reason="needs the extra 'atari'")


def shipped(kind):
    names = [name for name in catalogue.list_names(kind) if name not in REFUSED]
    few = FEW.get(kind, names)
    assert set(few) <= set(names)
    return [pytest.param(name, marks=[pytest.mark.slow] * (name not in few)) for name in names]


@pytest.mark.parametrize("name", shipped("families"))
def test_families(name):
    installed(name)
    assert check_plugin(f"families/{name}:{SMALL.get(name, 'arms=3,trials=12,bank=2')}") == []


@pytest.mark.parametrize("name", SAMPLE)
def test_subjects(name):
    assert check_plugin(f"subjects/{name}") == []


@pytest.mark.filterwarnings("ignore:.* changes no action of")
@pytest.mark.parametrize("name", shipped("conditions"))
def test_conditions(name):
    installed(name)
    assert check_plugin(f"conditions/{name}") == []


@pytest.mark.filterwarnings("ignore:.* applies to none of the controls")
@pytest.mark.parametrize("name", shipped("metrics"))
def test_metrics(name):
    assert check_plugin(f"metrics/{name}") == []


@pytest.mark.slow  # each compiles a training
@pytest.mark.parametrize("name", shipped("recipes"))
def test_recipes(name):
    if name.endswith("_atari"):
        pytest.importorskip("ale_py", reason="needs the extra 'atari'")
    assert check_plugin(f"recipes/{name}") == []


@pytest.mark.parametrize(("name", "why"), REFUSED.items())
def test_two_subjects_are_refused(name, why):
    broken = check_plugin(f"subjects/{name}")
    assert any(why in way for way in broken), broken
