"""Python classes with act() and update() in the usual spellings read as the native subjects whose rule they follow."""

# ruff: noqa: NPY002 - users draw from the global generator
from __future__ import annotations

import pickle
import random
import sys
from typing import ClassVar

import numpy as np
import pytest

import mesascope
from mesascope import catalogue, rollout
from mesascope.agents.opening import open_subject
from mesascope.errors import MesascopeError
from mesascope.rollouts.leaks import refuse_leaks
from mesascope.stats import average_valid, compute_contrast
from tests.subjects.adapters.readings import FAMILY, Reader

SMALL = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
RATE, BETA = 0.3, 5.0
LIKE = 1e-3  # the p-value below which choices differ


@pytest.fixture(scope="module")
def reader():
    return Reader(FAMILY, 64)


def softmax(value, rng):
    chances = np.exp(BETA * (value - value.max()))
    return int(rng.choice(len(value), p=chances / chances.sum()))


class Gymnasium:
    """As in Gymnasium's tutorials: get_action and update with five arguments; draws from a generator of its own."""

    def __init__(self, n_actions, learning_rate=RATE, seed=None):
        self.q, self.rate, self.rng = np.full(n_actions, 0.5), learning_rate, np.random.default_rng(seed)

    def get_action(self, obs):
        return softmax(self.q, self.rng)

    def update(self, obs, action, reward, terminated, next_obs):
        if terminated:
            raise ValueError
        self.q[action] += self.rate * (reward - self.q[action])


class Scikit:
    """As estimators: predict for rows, partial_fit with rows; draws from NumPy's global state."""

    def __init__(self, n_arms=3):
        self.q = np.full(n_arms, 0.5)

    def predict(self, X):
        if X.shape != (1, 0):
            raise ValueError
        return np.array([softmax(self.q, np.random)])

    def partial_fit(self, X, a, r):
        self.q[a] += RATE * (np.asarray(r) - self.q[a])
        return self


class Inferring:
    """As agents of pymdp: infer_states, infer_policies, sample_action; it is shown the outcome and its own action."""

    def __init__(self):
        self.q = np.full(3, 0.5)

    def infer_states(self, observation):
        outcome, own = observation
        if own:
            self.q[own - 1] += RATE * (outcome - 1 - self.q[own - 1])

    def infer_policies(self):
        self.policy = self.q

    def sample_action(self):
        return np.array([float(softmax(self.policy, random_choice()))])


def random_choice():
    return np.random.default_rng(random.getrandbits(64))


class ByPlace:
    """The fewest names: act(x) and update(a, r) by their places."""

    def __init__(self, family):
        self.q = np.full(family.choices, 0.5)

    def act(self, thing):
        return softmax(self.q, np.random)

    def update(self, which, gain):
        self.q[which] += RATE * (gain - self.q[which])


SPELLINGS = {
    "Gymnasium": mesascope.from_class(Gymnasium),
    "scikit": Scikit,
    "pymdp": mesascope.from_class(Inferring, observes="feedback+action"),
    "by place": ByPlace,
    "an object": Scikit(3),
}


class Slower(ByPlace):
    """Learns at half the rate."""

    def update(self, which, gain):
        self.q[which] += RATE / 2 * (gain - self.q[which])


def compare_stays(one, other):
    """The p-values of equal shares of repeated choices after a reward and after none; the unit is the lifetime."""
    shares = []
    for subject in (one, other):
        trials = rollout(subject, SMALL, lifetimes=256).sel(condition="intact")
        stays = np.diff(trials.action.values) == 0
        rewarded = trials.feedback.values[:, :-1] > 0.5
        shares.append([average_valid(np.where(kind, stays, np.nan)) for kind in (rewarded, ~rewarded)])
    return [
        float(compute_contrast(*(x[np.isfinite(x)] for x in pair), is_paired=False).p[0])
        for pair in zip(*shares, strict=True)
    ]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_class_stays_and_shifts_as_rescorla_wagner_does(spelling):
    assert min(compare_stays(SPELLINGS[spelling], f"rescorla_wagner:rate={RATE},beta={BETA}")) > LIKE


def test_half_the_learning_rate_is_told_apart_by_stays():
    assert min(compare_stays(Slower, f"rescorla_wagner:rate={RATE},beta={BETA}")) < LIKE


@pytest.mark.slow  # forty seconds each; their choices are compared above
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_class_reads_as_rescorla_wagner(reader, spelling):
    got = reader.read(SPELLINGS[spelling])
    twin = reader.read(f"rescorla_wagner:rate={RATE},beta={BETA}")
    assert got[1].lowest in ("acquiring", "locating", "tracking") and got[1].highest == twin[1].highest
    for name, finding in got[2].items():  # other draws, so the intervals overlap
        if name.startswith("dependence"):  # of changed choices it has the actions, the native one the probabilities
            continue
        assert finding.low <= twin[2][name].high and finding.high >= twin[2][name].low, name
    refuse_leaks(open_subject(SPELLINGS[spelling], SMALL), SMALL)


def test_every_lifetime_has_its_own_copy_and_draws():
    one = open_subject(SPELLINGS["Gymnasium"], SMALL)
    assert one.name == "Gymnasium"
    first, again = (rollout(one, SMALL, lifetimes=7).action.values for _ in range(2))
    assert (first == again).all() and len(np.unique(first[0], axis=0)) == 7
    given = Scikit(3)
    rollout(given, SMALL, lifetimes=7)
    assert (given.q == 0.5).all()
    np.random.seed(1)
    before = np.random.random()
    np.random.seed(1)
    rollout(given, SMALL, lifetimes=7)
    assert np.random.random() == before


class Shared(ByPlace):
    """Keeps what it learns in the class, for all lifetimes."""

    told: ClassVar = np.full(3, 0.5)

    def act(self, thing):
        return softmax(self.told, np.random)

    def update(self, which, gain):
        self.told[which] += RATE * (gain - self.told[which])


def test_what_is_kept_in_the_class_is_refused():
    with pytest.raises(MesascopeError, match=r"depends on|changed while it ran"):
        refuse_leaks(open_subject(Shared, SMALL), SMALL)


def test_observations_have_the_form_that_is_asked_for():
    dark = catalogue.make("families", "cued_bandit:trials=12")
    for form, kind in (("vector", "ndarray"), ("tuple", "tuple"), ("index", "int")):
        with pytest.raises(MesascopeError, match=f"shown {kind}"):
            rollout(mesascope.from_class(Telling, form=form), dark, lifetimes=2)
    with pytest.raises(MesascopeError, match=r"shown ndarray \(4,\)"):
        rollout(mesascope.from_class(Telling, observes="action+feedback"), SMALL, lifetimes=2)


class Telling:
    def act(self, observation):
        raise ValueError(f"shown {type(observation).__name__} {np.shape(observation)}")


class Odd:
    def act(self, observation):
        return 0

    def update(self, observation, action, gradient):
        pass


class Needy:
    def __init__(self, temperature):
        pass

    def act(self, observation):
        return 0


def test_mistakes_are_one_sentence():
    said = {
        r"Odd\.update takes gradient, which mesascope does not know\. Name its parameters observation, ": Odd,
        r"Needy needs temperature, which mesascope does not know": Needy,
        r"dict is not a subject": {},
        r"returned the action 7": mesascope.from_class(type("Seven", (), {"act": lambda self, observation: 7})),
        r"Pair\.act returned .*, which is not one action": type("Pair", (), {"act": lambda self, obs: [1, 2]}),
    }
    for message, given in said.items():
        with pytest.raises(MesascopeError, match=message):
            rollout(given, SMALL, lifetimes=7)
    with pytest.raises(MesascopeError, match="dict has no method that returns an action"):
        mesascope.from_class({})
    assert rollout(mesascope.from_class(Needy, temperature=3), SMALL, lifetimes=7).sizes["lifetime"] == 7


def test_a_class_is_named_on_the_command_line_and_a_pickle_needs_trust(tmp_path, monkeypatch):
    one = open_subject("tests.subjects.test_classes:ByPlace", SMALL)
    assert one.name == "tests.subjects.test_classes:ByPlace"
    plain = rollout(ByPlace, SMALL, lifetimes=7).action.values
    assert (rollout(one, SMALL, lifetimes=7).action.values == plain).all()
    fitted = Scikit(3)
    fitted.q[1] = 0.9
    (tmp_path / "fitted.pkl").write_bytes(pickle.dumps(fitted))
    with pytest.raises(MesascopeError, match=r"is a pickle, and unpickling it would run code.*add --trust"):
        open_subject(str(tmp_path / "fitted.pkl"), SMALL)
    pytest.importorskip("cloudpickle")
    opened = open_subject(str(tmp_path / "fitted.pkl"), SMALL, trust=True)
    assert (rollout(opened, SMALL, lifetimes=7).action == rollout(fitted, SMALL, lifetimes=7).action).all()
    (tmp_path / "broken.pkl").write_bytes(b"\x80\x04junk")
    with pytest.raises(MesascopeError, match="is not a valid pickle"):
        open_subject(str(tmp_path / "broken.pkl"), SMALL, trust=True)
    assert "evil" not in sys.modules
