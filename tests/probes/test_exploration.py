"""Choices that are never made are named: what a training curve does not show."""

import numpy as np

from mesascope import examine

FAMILY = "bernoulli_bandit:arms=4,trials=20"
LEAST = "exploration: K · share of the least used choice"


def of_the_first(arms):
    def agent(percept, state, rng):
        return rng.integers(arms, size=len(percept["trial"])).astype(np.int64), None

    return agent


def least(agent):
    settings = dict(rings=["fresh"], probes=["exploration"], lifetimes=64)
    (found,) = examine(agent, FAMILY, **settings)
    return next(f for f in found.findings if f.probe == LEAST)


def test_choices_that_are_made_in_no_lifetime_are_named():
    found = least(of_the_first(2))
    assert found.estimate == 0.0 and found.reason == "never made in any lifetime: 2, 3 of 0 to 3"


def test_a_choice_that_is_merely_rare_within_lifetimes_is_not():
    found = least(of_the_first(4))
    assert 0.0 < found.estimate < 1.0 and "never made" not in found.reason
