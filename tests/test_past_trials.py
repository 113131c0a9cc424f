"""Deleting and transplanting older trials of several steps: what a subject then knows, and how it is read.

The right values were written down before the first run.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_kinds import Tagged, Untraced

import mesascope
from mesascope import make, rollout
from mesascope.contracts.subject import Scripted, choose
from mesascope.questions.spectrum.carried import measure_carried
from mesascope.worlds.mdp.episodes import compute_action_values, evaluate_policy

DELETED = ("past_deleted_once:of=1,birth=0", "past_deleted_once:of=2,birth=1")
TRANSPLANTED = ("past_transplanted_once:of=1,replicate=0", "past_transplanted_once:of=2,replicate=1")
LABELS = ["intact", *DELETED, *TRANSPLANTED, "past_deleted:of=1,birth=0", "past_deleted:of=2,birth=1"]
TRIALS, STEPS = 5, 3


class Judged(Tagged):
    """Says what first acts are worth: the number of the act times the task's tag."""

    def worth(self, tasks, split, observation, action):
        action = action[..., None] if action.ndim == 2 else action
        return (action - 1.0) * np.asarray(tasks["tag"])


class Ledger(Scripted):
    """Writes down what it was paid at which tick, how often it was told of no pay-off, and of how many births."""

    def fresh(self, n):
        return jnp.zeros((n, TRIALS * STEPS + 2))

    def respond(self, key, carry, percept):
        ticks = jnp.arange(TRIALS * STEPS + 2)
        at = jnp.where(percept.action < 0, TRIALS * STEPS, jnp.floor(percept.feedback).astype(jnp.int32) - 1)
        carry = jnp.where(ticks == at[:, None], jnp.where(percept.action < 0, carry[:, -2] + 1, percept.feedback)[:, None], carry)
        carry = carry.at[:, -1].add(percept.first)
        odds = jnp.stack([jnp.sin(carry.sum(-1)), jnp.cos(carry.sum(-1)), jnp.sin(2.0 + percept.step)], -1)
        return carry, choose(key, jax.nn.log_softmax(5 * odds))

    def taps(self, carry):
        return {"ledger": carry}


HOME = Judged("judged", 3, TRIALS)


@pytest.fixture(scope="module")
def trials():
    return rollout(Ledger(name="ledger"), HOME, "fresh", 64, 3, conditions=LABELS, record=["ledger"])


def payments(trials):
    """[N, T, S] what every step paid, 0 where it was not lived."""
    there = np.arange(STEPS) < trials.ends.values.astype(int)[..., None]
    return np.where(there, 1 + np.arange(15).reshape(TRIALS, STEPS) + trials.tag.values[:, None, None], 0)


def known(trials, label, t):
    """What the ledger holds after the first percept of trial t: payments [N, T, S], absent outcomes, births [N]."""
    ledger = trials.tap_ledger.sel(condition=label).values[:, t, 0]
    return ledger[:, :15].reshape(-1, TRIALS, STEPS), ledger[:, 15], ledger[:, 16]


@pytest.mark.parametrize("label", LABELS[1:])
def test_whole_trials_are_known_or_not(trials, label):
    w, paid, partner = int(label.split("of=")[1][0]), payments(trials), trials.partner.sel(condition=label).values
    for t in range(TRIALS):
        expected, older = paid.copy(), max(t - w, 0) if t >= w else 0
        expected[:, t:] = 0
        if t >= w:
            expected[:, :older] = paid[partner[:, t], :older] if "transplanted" in label else 0
        told, absent, births = known(trials, label, t)
        np.testing.assert_allclose(told, expected, rtol=1e-6)
        np.testing.assert_array_equal(absent, 1)  # the first percept of the life, or the first one after the cut
        born = t <= w or "transplanted" in label or "birth=1" in label
        np.testing.assert_array_equal(births, born)


def test_only_first_steps_are_disturbed(trials):
    own = trials.action.sel(condition="intact").values
    for label in (*DELETED, *TRANSPLANTED):
        there = trials.action.sel(condition=label).values
        np.testing.assert_array_equal(there[..., 1:], own[..., 1:])
        assert (there[:, 3:, 0] != own[:, 3:, 0]).any()


def test_first_acts_are_judged(trials):
    own, tag = trials.action.sel(condition="intact").values[..., 0], trials.tag.values[:, None]
    np.testing.assert_allclose(trials.act_worth, (own - 1) * tag, rtol=1e-6)
    np.testing.assert_allclose(trials.act_room, np.broadcast_to(tag, own.shape), rtol=1e-6)
    for label in DELETED:
        act = trials.action.sel(condition=label).values[..., 0]
        np.testing.assert_allclose(trials.score.sel(condition=label) - trials.chance, (act - 1) * tag, rtol=1e-6)
    assert trials.score.sel(condition=LABELS[-1]).values.mean() > 5  # of whole trials


def test_untraced_trials_are_the_same(trials):
    class Looped(Untraced):
        def worth(self, tasks, split, observation, action):
            return self.inner.worth(tasks, split, observation, action)

    looped = Looped(HOME, "judged", 3, TRIALS)
    looped = rollout(Ledger(name="ledger"), looped, "fresh", 64, 3, conditions=LABELS, record=["ledger"])
    for name in set(trials.data_vars) - {"log_probs", "tap_ledger"}:
        np.testing.assert_array_equal(trials[name], looped[name], err_msg=str(name))
    np.testing.assert_allclose(trials.tap_ledger.values, looped.tap_ledger.values, atol=1e-5)
