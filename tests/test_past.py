"""Deleting and transplanting the older past leave exactly what they say in what a subject knows."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import make, rollout
from mesascope.agents.opening import open_subject
from mesascope.contracts import Intact, ScriptedSubject, choose, count_last_outcome
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.carried import _compute_widening
from mesascope.questions.spectrum.ladder import Rule
from mesascope.questions.spectrum.reach import decide_flags

HOME = make("families", "bernoulli_bandit:arms=3,trials=24")
DELETED = [f"past_deleted_once:window={w},birth={b}" for w in (1, 2, 4) for b in (0, 1)]
TRANSPLANTED = ["past_transplanted_once:window=1,replicate=0", "past_transplanted_once:window=4,replicate=1"]


class Counter(ScriptedSubject):
    """Prefers arms by wins less losses; its log-probabilities tell its counts."""

    choices: int

    def initialize_carry(self, n):
        return jnp.zeros((n, self.choices))

    def respond(self, key, carry, percept):
        counts = count_last_outcome(percept, self.choices)
        carry = carry + counts[..., 0] - counts[..., 1]
        return carry, choose(key, jnp.log(jnp.exp(0.3 * carry) / jnp.exp(0.3 * carry).sum(-1, keepdims=True)))


def scores(trials):
    """[N, T, K] wins less losses of each trial, one trial later: what the percept tells."""
    action = trials.action.sel(condition="intact").values
    paid = trials.feedback.sel(condition="intact").values
    told = np.eye(3)[action] * np.where(paid > 0.5, 1, -1)[..., None]
    return np.concatenate([np.zeros_like(told[:, :1]), told[:, :-1]], 1)


def probabilities(counts):
    odds = np.exp(0.3 * counts)
    return odds / odds.sum(-1, keepdims=True)


@pytest.fixture(scope="module")
def trials():
    subject = Counter(3, name="counter")
    return rollout(subject, HOME, lifetimes=64, conditions=["intact", *DELETED, *TRANSPLANTED])


@pytest.mark.parametrize("label", DELETED)
def test_deletion_leaves_the_last_outcomes_alone(trials, label):
    w, told = int(label.split("window=")[1][0]), scores(trials)
    kept = np.stack([told[:, max(t - w + 1, 0) : t + 1].sum(1) for t in range(24)], 1)
    seen = np.exp(trials.log_probs.sel(condition=label).values)
    assert seen == pytest.approx(probabilities(kept), abs=1e-4)


@pytest.mark.parametrize("label", TRANSPLANTED)
def test_a_transplant_adds_what_the_partner_knew_w_trials_ago(trials, label):
    w, told = int(label.split("window=")[1][0]), scores(trials)
    partner = trials.partner.sel(condition=label).values
    expected = []
    for t in range(24):
        recent, older = told[:, max(t - w + 1, 0) : t + 1].sum(1), told[:, : max(t - w + 1, 0)].sum(1)
        expected.append(recent + (older[partner[:, t]] if t >= w else older))
    seen = np.exp(trials.log_probs.sel(condition=label).values)
    assert seen == pytest.approx(probabilities(np.stack(expected, 1)), abs=1e-4)
    assert (partner != np.arange(64)[:, None]).all()


class LastTwo(ScriptedSubject):
    """Prefers the arms that won in the last two trials."""

    choices: int

    def initialize_carry(self, n):
        return jnp.zeros((n, self.choices))

    def respond(self, key, carry, percept):
        counts = count_last_outcome(percept, self.choices)
        now = counts[..., 0] - counts[..., 1]
        odds = jnp.exp(carry + now)
        return now, choose(key, jnp.log(odds / odds.sum(-1, keepdims=True)))


def test_a_reflex_that_needs_no_older_past_acts_exactly_as_it_would():
    labels = ["intact", DELETED[2], DELETED[4], TRANSPLANTED[1]]
    lived = rollout(LastTwo(3, name="last two"), HOME, lifetimes=64, conditions=labels)
    own = lived.action.sel(condition="intact").values
    assert all((lived.action.sel(condition=label).values == own).all() for label in labels)
    one = rollout(LastTwo(3, name="last two"), HOME, lifetimes=64, conditions=["intact", DELETED[0]])
    assert (one.action.sel(condition=DELETED[0]).values != own).any()  # of one percept it needs more


def test_a_life_under_deletion_is_that_of_a_subject_with_a_window():
    lived = rollout(
        Counter(3, name="counter"), HOME, lifetimes=64, conditions=["intact", "past_deleted:window=2,birth=0"]
    )
    action = lived.action.sel(condition="past_deleted:window=2,birth=0").values
    paid = lived.feedback.sel(condition="past_deleted:window=2,birth=0").values
    assert not np.isnan(paid).any() and (action != lived.action.sel(condition="intact").values).any()
    told = np.eye(3)[action] * np.where(paid > 0.5, 1, -1)[..., None]
    late = probabilities(told[:, 10] + told[:, 11])  # what it knows before trial 12
    share = np.array([late[action[:, 12] == a, a].sum() for a in range(3)]).sum() / 64
    assert share == pytest.approx((late**2).sum(-1).mean(), abs=0.15)


def test_a_looped_subject_runs_the_same_trials():
    def act(percept, state, rng):
        n = len(percept["action"])
        state = np.zeros((n, 3)) if state is None else state
        rows = np.flatnonzero(percept["action"] >= 0)
        state[rows, percept["action"][rows]] += np.where(percept["feedback"][rows] > 0.5, 1, -1)
        return state.argmax(1), state

    labels = ["intact", DELETED[4], TRANSPLANTED[1], "past_deleted:window=2,birth=1"]
    looped = rollout(open_subject(act, HOME), HOME, lifetimes=64, conditions=labels)
    told = scores(looped)
    kept = np.stack([told[:, max(t - 3, 0) : t + 1].sum(1) for t in range(24)], 1)
    assert (looped.action.sel(condition=DELETED[4]).values == kept.argmax(-1)).all()


def test_trials_of_several_steps_are_refused_in_words():
    with pytest.raises(MesascopeError, match="several steps"):
        rollout("uniform", "tree_choice:depth=2,trials=12", conditions=[Intact(), make("conditions", DELETED[0])])


def test_values_that_no_observation_changes_are_those_computed_for_every_observation():
    """Where a family does not define its own values, they are computed once for all lifetimes; nothing may differ."""

    class Own(type(HOME)):
        def compute_action_values(self, tasks, split, observation, action):
            return super().compute_action_values(tasks, split, observation, action)

    own = Own(**{field.name: getattr(HOME, field.name) for field in dataclasses.fields(HOME)})
    labels = ["intact", DELETED[-1], *TRANSPLANTED]
    once, every = (rollout("thompson", family, lifetimes=128, seed=3, conditions=labels) for family in (HOME, own))
    assert np.abs(once.donor_room.values).max() > 0.1
    for name in ("score", *(n for n in once if n.startswith("donor_"))):
        np.testing.assert_allclose(once[name].values, every[name].values, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("of_recipients", [0.0, 1.0, 3.0])
def test_the_error_over_donors_grows_to_that_of_pairs_that_share_a_lifetime(of_recipients):
    rng = np.random.default_rng(4)
    shape = (4000, 1, 16, 16)
    drawn = rng.normal(size=shape) + rng.normal(size=(4000, 1, 1, 16))  # donors differ
    drawn += of_recipients * rng.normal(size=(4000, 1, 16, 1))  # and so may recipients
    true_error = drawn.mean((1, 2, 3)).std()
    squares = []
    for study in drawn[:500]:
        deviations = study - study.mean()
        squares.append(deviations.sum(1).var() * 16 * (_compute_widening(deviations) / 16**2) ** 2)
    assert np.sqrt(np.mean(squares)) == pytest.approx(true_error, rel=0.08)


def test_a_subject_that_is_its_own_reference_keeps_all_without_an_error():
    home = make("families", "bernoulli_bandit:arms=3,trials=40")
    conditions = ["intact", "past_transplanted_once:window=4,replicate=0"]
    splits = ("fresh", "shifted:low")
    trials = {split: rollout("thompson", home, split, 128, conditions=conditions) for split in splits}
    reach = decide_flags(trials, {"learner": trials}, is_against=False, rule=Rule())
    assert reach.retention == {"shifted:low": pytest.approx(1.0)}
    assert reach.standard_error["shifted:low"] == pytest.approx(0.0, abs=1e-9)
    assert reach.flags["far"] == "yes"
