"""The tabular process: exact values against simulated and enumerated ones, procedures against their definitions."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import catalogue, rollout
from mesascope.contracts import Response, ScriptedSubject
from mesascope.worlds.mdp.episodes import compute_episode_value, evaluate_policy, find_fixed_policy
from mesascope.worlds.mdp.planning import Belief, infer_transitions, make_expectation, plan_backward, sample_posterior

SMALL = "tabular_mdp:states=3,actions=2,steps=4,trials=7"


def process(seed=3, n=2, states=3, actions=2):
    rng = np.random.default_rng(seed)
    moves = rng.dirichlet(np.ones(states), (n, states, actions))
    return moves, rng.normal(1, 1, (n, states, actions))


def every_policy(steps, states, actions):
    for flat in itertools.product(range(actions), repeat=steps * states):
        yield np.reshape(flat, (steps, states))


def test_values_are_those_of_the_best_and_the_worst_of_all_policies():
    moves, pays = process()
    totals = np.stack([evaluate_policy(moves, pays, p) for p in every_policy(3, 3, 2)])
    np.testing.assert_allclose(compute_episode_value(moves, pays, 3, "best"), totals.max(0))
    np.testing.assert_allclose(compute_episode_value(moves, pays, 3, "worst"), totals.min(0))
    np.testing.assert_allclose(compute_episode_value(moves, pays, 3, "chance"), totals.mean(0))


def test_the_blind_policy_is_the_best_that_does_not_know_which_task_it_is():
    moves, pays = process(5, 4)
    best = max(evaluate_policy(moves, pays, p).mean() for p in every_policy(3, 3, 2))
    assert evaluate_policy(moves, pays, find_fixed_policy(moves, pays, 3)).mean() == pytest.approx(best)
    assert best < compute_episode_value(moves, pays, 3, "best").mean() - 0.05


def test_plans_are_the_best_policies():
    moves, pays = (jnp.asarray(x, jnp.float32) for x in process(7, 5))
    plans = np.asarray(plan_backward(pays, 3, make_expectation(moves)))
    for n in range(5):
        got = evaluate_policy(*(np.asarray(x, float)[n : n + 1] for x in (moves, pays)), plans[n])
        np.testing.assert_allclose(
            got, compute_episode_value(np.asarray(moves[n : n + 1]), np.asarray(pays[n : n + 1]), 3), rtol=1e-5
        )


def test_the_posterior_is_the_one_that_conjugacy_gives():
    """Dirichlet(1 + counts): means and variances of its shares; N((1 + Σ) / (1 + n), 1 / (1 + n))."""
    moves = jnp.zeros((1, 2, 1, 3)).at[0, 1, 0].set(jnp.asarray([3.0, 0.0, 1.0]))
    seen = jnp.asarray([[3, 3, 3, 5, 6]])  # the last is beyond the end: nothing was seen
    belief = Belief(moves, jnp.asarray([[[1.0], [2.0]]]), jnp.asarray([[[0.0], [4.0]]]), seen)
    drawn, pays = (np.asarray(x)[:, 0] for x in sample_posterior(jax.random.key(3), belief, 20_000))
    for row, weights in ((0, [1, 1, 1]), (1, [4, 1, 2])):
        share = np.asarray(weights) / np.sum(weights)
        np.testing.assert_allclose(infer_transitions(belief)[0, row, 0], share, rtol=1e-6)
        np.testing.assert_allclose(drawn[:, row, 0].mean(0), share, atol=0.008)
        np.testing.assert_allclose(drawn[:, row, 0].var(0), share * (1 - share) / (1 + np.sum(weights)), rtol=0.06)
    np.testing.assert_allclose(pays.mean(0)[:, 0], [1, 2], atol=0.03)
    np.testing.assert_allclose(pays.var(0)[:, 0], [1, 0.2], rtol=0.06)


class Mapped(ScriptedSubject):
    """Acts by state and step alone: a fixed policy [steps, S]."""

    name: str
    policy: jax.Array

    def initialize_carry(self, n):
        return ()

    def respond(self, key, carry, percept):
        return carry, Response(self.policy[percept.step, percept.observation.argmax(-1)], None)


@pytest.fixture(scope="module")
def family():
    return catalogue.make("families", SMALL)


@pytest.fixture(scope="module")
def lived(family):
    policy = jnp.asarray([[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 0]], jnp.int32)
    kinds = [catalogue.make("conditions", "intact")]
    told = {
        split: rollout(Mapped("mapped", policy), family, split, 1024, 3, conditions=kinds)
        for split in family.split_names
    }
    return np.asarray(policy), told


def test_what_is_lived_has_the_expected_pay_off_of_its_policy(family, lived):
    policy, told = lived
    for split, trials in told.items():
        tasks = [family.get_split(split).draw(_key(block), 64) for block in range(16)]
        moves = np.concatenate([np.asarray(t.transitions, float) for t in tasks])
        pays = np.concatenate([np.asarray(t.payoffs, float) for t in tasks])
        off = trials.score.values[0].astype(float)
        for t in range(trials.sizes["trial"]):
            late = split.startswith("exchanged") and t >= family.get_split(split).change_trial
            off[:, t] -= evaluate_policy(moves, pays[:, t], 1 - policy if late else policy)
        error = off.mean(0) / (off.std(0) / np.sqrt(len(off)))
        assert (np.abs(error) < 4.2).all(), split


def _key(block):
    from mesascope.keys import derive_key_from_seed

    return derive_key_from_seed(3, "tasks", block)


def test_splits_are_what_they_say(family, lived):
    told = lived[1]
    fresh = told["fresh"]
    assert (fresh.best >= fresh.chance - 1e-5).all() and (fresh.chance >= fresh.worst - 1e-5).all()
    np.testing.assert_allclose(told["shifted:low"].best, fresh.best - 2 * 4, atol=1e-4)
    for split in ("exchanged:actions", "inverted:feedback"):
        np.testing.assert_allclose(told[split].best, fresh.best, rtol=1e-6)
    np.testing.assert_allclose(told["inverted:feedback"].score, fresh.score)
    seen = told["inverted:feedback"].step_feedback + fresh.step_feedback
    np.testing.assert_allclose(seen, 2.0, atol=1e-4)
    alike = told["restructured:alike"]
    assert (alike.best > fresh.best.mean()).any() and float(alike.best.std()) > float(fresh.best.std())
    drift = told["restructured:drift"].best.values
    assert (drift[:, 0] == drift[:, 0]).all() and np.corrcoef(drift[:, 0], drift[:, 6])[0, 1] < 0.5
    noise = fresh.step_feedback.values.sum(-1) - fresh.score.values[0]
    assert noise.var() == pytest.approx(4, rel=0.1)


def test_the_bank_is_seen_and_known(family):
    banked = family.with_bank("bank:3@1")
    locator = catalogue.make("subjects", "mdp_locator", banked)
    assert locator.trained_on == "bank:3@1" and banked.with_bank(None).name == family.name
    trials = rollout(locator, banked, "seen", 128, 3)
    late = slice(3, None)
    gained, most = ((trials[k] - trials.chance).values[..., late].sum() for k in ("score", "best"))
    assert gained > 0.8 * most
    assert (trials.fixed.mean() >= trials.chance.mean()) and (trials.fixed <= trials.best + 1e-5).all()


@pytest.mark.slow  # policies are compared with exact ones above in each run
def test_procedures_plan_from_what_they_saw(family):
    """Greedy on a long life finds the best policy; posterior sampling, with and without limits, gains over chance."""
    long = catalogue.make("families", "tabular_mdp:states=2,actions=2,steps=3,trials=60")
    known = {}
    for name in ("psrl", "certainty_equivalent:lapse=0.2", "psrl:should_minimise=True"):
        trials = rollout(catalogue.make("subjects", name, long), long, "fresh", 128, 3)
        late = slice(40, None)
        known[name] = [float((trials[k] - trials.chance).values[..., late].sum()) for k in ("score", "best", "worst")]
    assert known["psrl"][0] > 0.85 * known["psrl"][1]
    greedy = known["certainty_equivalent:lapse=0.2"]
    assert 0.65 * greedy[1] < greedy[0] < 0.95 * greedy[1]
    against = known["psrl:should_minimise=True"]
    assert against[0] < 0.85 * against[2]
