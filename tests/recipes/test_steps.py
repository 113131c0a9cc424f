"""Training on trials of several steps: what was lived comes in order, what was not counts nowhere."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_kinds import Rounds, Tagged

from mesascope import catalogue
from mesascope.agents.networks.recurrent import create_network_for_family
from mesascope.recipes.lifetimes import Scale, average, compute_targets, run_lifetimes, standardise

TAGGED = Tagged("tagged", 3, 5)


@pytest.fixture(scope="module")
def lived():
    network = create_network_for_family(jax.random.key(1), TAGGED, "gru", 6, "action+feedback+step")
    tasks = TAGGED.draw(jax.random.key(2), 7)
    return network, tasks, run_lifetimes(jax.random.key(3), network, TAGGED, tasks)


def test_what_was_lived_comes_first_and_in_order(lived):
    _, tasks, lives = lived
    ends = np.asarray(tasks["ends"])
    np.testing.assert_array_equal(lives.mask.sum(0), ends.sum(1))
    for n in range(7):
        paid = [
            1 + 3 * t + s + float(tasks["tag"][n]) for t in range(5) for s in range(ends[n, t])
        ]  # what Tagged pays, step by step
        got = np.asarray(lives.inputs)[: len(paid), n, 3]  # behind the three actions
        np.testing.assert_allclose(got, [0, *paid[:-1]], rtol=1e-5)
        opens = np.asarray(lives.new_trial)[: len(paid), n]
        np.testing.assert_array_equal(opens[opens >= 0], range(5))
        first = np.concatenate([[0], np.cumsum(ends[n])[:-1]])
        np.testing.assert_array_equal(np.flatnonzero(opens >= 0), first)
    assert (np.asarray(lives.score)[~np.asarray(lives.mask)] == 0).all()


def test_the_network_unrolled_gives_the_probabilities_it_acted_by(lived):
    network, _, lives = lived
    log_probs = network.compute_log_probs(network.memory.unroll(lives.inputs))
    taken = np.take_along_axis(np.asarray(log_probs), np.asarray(lives.action)[..., None], -1)[..., 0]
    mask = np.asarray(lives.mask)
    np.testing.assert_allclose(taken[mask], np.asarray(lives.log_prob)[mask], atol=1e-5)


def test_gains_sum_to_what_a_life_earned_less_the_best(lived):
    """With discount and trace 1 the first step's return is the whole life's, in units of chance to best."""
    _, _, lives = lived
    best = jnp.asarray(np.random.default_rng(3).normal(20, 3, (5, 7)), jnp.float32)
    _, worth = compute_targets(lives, best, Scale(jnp.float32(1.0), jnp.float32(3.0)), 1.0, 1.0)
    np.testing.assert_allclose(worth[0], (lives.score.sum(0) - best.sum(0)) / 2 / 5, rtol=1e-4)
    assert average(lives.mask * 2.0, lives.mask) == 2
    even = standardise(lives.score, lives.mask)
    assert float(average(even, lives.mask)) == pytest.approx(0, abs=1e-5)
    assert float(average(even**2, lives.mask)) == pytest.approx(1, abs=1e-4)


def test_rounds_are_trained_on_as_the_trials_in_rounds():
    """The same lifetimes counted in rounds of three: the same acts and the same gains."""
    plain = catalogue.make("families", "bernoulli_bandit:arms=3,trials=12")
    rounds = Rounds(plain, "rounds", 3, 4, 3, (0,) * 4)
    network = create_network_for_family(jax.random.key(1), plain, "gru", 6, "action+feedback")
    tasks = plain.draw(jax.random.key(2), 7)
    one, other = (run_lifetimes(jax.random.key(3), network, f, tasks) for f in (plain, rounds))
    np.testing.assert_array_equal(one.action, other.action)
    np.testing.assert_array_equal(one.score, other.score)
    assert other.mask is None
    best = jnp.asarray(plain.compute_latents(tasks, "fresh")["best"].T, jnp.float32)
    scale = Scale(jnp.float32(0.5), jnp.float32(0.75))
    whole = Scale(jnp.float32(1.5), jnp.float32(2.25))
    per_step = compute_targets(one, best, scale, 0.9, 0.8)[0]
    per_trial = compute_targets(other, best.reshape(4, 3, 7).sum(1), whole, 0.9, 0.8)[0]
    np.testing.assert_allclose(per_trial, per_step, rtol=1e-4, atol=1e-6)


def test_a_network_is_trained(tmp_path):
    recipe, seen = catalogue.get_factory("recipes", "ppo_recurrent"), []
    given = {"updates": 12, "lifetimes": 64, "width": 8, "rate": 0.02, "observes": "observation+step"}
    trained = recipe(TAGGED, tmp_path, progress=seen.append, **given)
    assert trained.path.is_file() and len(seen) == 12 and trained.environment_steps == 12 * 64 * 5 * 3
    scores = [p.score for p in seen]  # of the feedback and the action's number: the last action is best
    assert np.mean(scores[-2:]) > np.mean(scores[:2]) + 0.5
