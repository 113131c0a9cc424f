"""A subject that reads what the percept shows of earlier trials depends on its percept, wherever that is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import examine
from mesascope.catalogue import make
from mesascope.contracts import ChoosingSubject, Percept, Response, ScriptedSubject, choose
from mesascope.rollouts.rollouts import rollout

FLIPPED = "percept_exchanged_once:action=0"


class Reads(ChoosingSubject):
    """Takes the action that a function of the observation [N, D] names."""

    rule: Callable[[Any], Any] = eqx.field(static=True)

    def respond(self, key, carry, percept: Percept):
        chosen = self.rule(percept.observation).astype(jnp.int32) % self.choices
        return carry, choose(key, jnp.log(jax.nn.one_hot(chosen, self.choices)))


class Predicts(ScriptedSubject):
    """Predicts the number that a function of the observation [N, D] gives."""

    rule: Callable[[Any], Any] = eqx.field(static=True)

    def respond(self, key, carry, percept: Percept):
        return carry, Response(self.rule(percept.observation), None)


def changed(family, subject):
    """The share of actions that change if the last outcome is exchanged, and whatever else is shown of earlier."""
    lived = rollout(subject, family, "fresh", 64, 3, conditions=[make("conditions", c) for c in ("intact", FLIPPED)])
    acts = lived.action.values
    return float((np.abs(acts[1] - acts[0]) > 1e-6)[:, 1:].mean())


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ("markov_chain:trials=12", lambda seen: seen[:, 4:].argmax(-1)),
        ("markov_chain:symbols=2,trials=12", lambda seen: seen[:, 2:].argmax(-1)),
        ("markov_chain:symbols=2,trials=12", lambda seen: seen[:, 2:].argmax(-1) + seen[:, :2].argmax(-1)),
        ("markov_chain:trials=12", lambda seen: seen[:, 4:].argmax(-1) + 4 - seen[:, :4].argmax(-1)),
        ("markov_chain:trials=2", lambda seen: seen[:, 4:].argmax(-1)),
        ("associations:trials=12", "last cue"),
        ("associations:trials=12,outcome=payoff", "last cue"),
        ("two_step:version=2018,trials=12", lambda seen: seen[:, 1]),
        ("word_labels", lambda seen: seen[:, 1] % 2),
    ],
)
def test_what_is_shown_of_earlier_trials_is_exchanged_too(settings, rule):
    family: Any = make("families", settings)
    if rule == "last cue":
        slots = family.slots
        rule = lambda seen: seen[:, slots : 2 * slots].argmax(-1)  # noqa: E731
    share = changed(family, Reads(family.choices, rule))
    assert share > 0.2, share


def test_the_last_input_of_a_regression_is_exchanged_too():
    for dimension in (1, 3):
        family = make("families", f"linear_regression:dimension={dimension},trials=12")
        assert changed(family, Predicts(lambda seen, d=dimension: seen[:, d])) > 0.2


def test_what_is_asked_now_is_not_exchanged():
    """A fixed map from the present question to an action goes by nothing that came before."""
    family: Any = make("families", "associations:trials=12")
    assert changed(family, Reads(family.choices, lambda seen: seen[:, : family.slots].argmax(-1))) == 0


def test_a_copy_of_the_other_symbol_is_reactive():
    """It read 'inert' when only the present symbol was exchanged."""
    options = {"lifetimes": 128, "splits": "fresh", "trained_on": "unlimited", "metrics": "performance"}
    found = examine("symbol_again:is_earlier=true", "markov_chain", **options)
    assert found.placement.level == "reactive"
    assert found.placement.numbers["dependence_on_percept"] > 0.3
