"""Choices that are never made are named: what a training curve does not show."""

import numpy as np

from mesascope import catalogue, rollout
from mesascope.examination.measurement import apply_metrics

FAMILY = "bernoulli_bandit:arms=5,trials=21"
LEAST = "exploration: share of the least used choice, relative to chance"


def of_the_first(arms):
    def agent(percept, state, rng):
        return rng.integers(arms, size=len(percept["trial"])).astype(np.int64), None

    return agent


def one_each(percept, state, rng):
    """Every lifetime keeps to an arm of its own; all arms are some lifetime's."""
    return np.arange(len(percept["trial"])) % 5, None


def least(agent):
    findings = apply_metrics(
        [catalogue.make("metrics", "exploration")], {"fresh": rollout(agent, FAMILY, lifetimes=67)}
    )
    return next(f for f in findings if f.metric == LEAST)


def test_choices_that_are_made_in_no_lifetime_are_named():
    found = least(of_the_first(2))
    assert found.estimate == 0.0 and found.reason == "never made in any lifetime: 2, 3, 4 of 0 to 4"


def test_choices_that_some_lifetime_makes_are_not():
    found = least(one_each)
    assert found.estimate == 0.0 and "never made" not in found.reason
