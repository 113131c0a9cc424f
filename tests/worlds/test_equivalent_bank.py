"""The equivalent bank of a locator is as large as its bank, and a learner's is beyond what is simulated."""

import numpy as np
import pytest

from mesascope import make, measure, rollout
from mesascope.contracts import select_condition
from mesascope.questions.spectrum.parts import measure_bits
from mesascope.worlds.associations.metrics.equivalent_bank import invert_curve, run_locator

WORLD = "associations:cues=8,trials=32,run_length=0"
PAYOFF = f"{WORLD},outcome=payoff,high=0.9,low=0.1"


def read(subject, family, lifetimes=128, seed=0):
    trials = rollout(subject, family, lifetimes=lifetimes, seed=seed)
    return measure({"fresh": trials}, "equivalent_bank").answers[0]


@pytest.mark.parametrize("tables", [4, 64])
def test_the_bank_of_a_locator_is_found_from_its_actions(tables):
    found = read("table_locator", f"{WORLD},bank={tables},bank_seed=7", 256)
    assert found.low < np.log2(tables) < found.high
    assert found.high - found.low < 3.5


def test_a_learner_and_a_subject_that_ignores_its_lifetime_are_at_the_ends():
    learner = read("associator", WORLD)
    assert learner.status == "does not apply"
    assert "even an ideal locator of 4,096 tables shows only" in learner.reason
    still = read("uniform", WORLD)
    assert still.low < 0.0 < still.high
    assert read("uniform", "bernoulli_bandit:arms=2,trials=8", 8).status == "does not apply"


@pytest.mark.parametrize("world", [WORLD, PAYOFF])
def test_the_simulated_locator_shows_as_many_bits_as_the_subject_of_that_name(world):
    shown, simulated = [], []
    for seed in range(3):
        name = f"{world},bank=16,bank_seed={seed}"
        trials = select_condition({"fresh": rollout("table_locator", name, lifetimes=256, seed=seed)}, "intact")
        shown.append(measure_bits(trials, 4).mean())
        simulated.append(measure_bits(run_locator(trials, make("families", name), 16, seed), 4).mean())
    assert abs(np.mean(shown) - np.mean(simulated)) < 0.35  # banks of 16 differ by .1 to .2 bits


def test_a_curve_is_inverted_by_interpolation():
    position, slope, spread = invert_curve([np.zeros(1), np.array([0.9, 1.1]), np.array([2.8, 3.2])], 2.0)
    assert (position, slope) == (1.5, 0.5)
    assert spread == pytest.approx(0.4 / np.sqrt(2))
    assert invert_curve([np.zeros(1), np.ones(2)], -0.5)[0] == -0.5  # noise below the smallest bank stays noise
