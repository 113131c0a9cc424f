"""What the recipes train does what it was trained for, and their arithmetic is what it says."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope.agents.networks import recurrent
from mesascope.keys import derive_key
from mesascope.recipes import imitate
from mesascope.recipes.lifetimes import (
    compute_scale,
    compute_targets,
    draw_tasks_and_best,
    estimate_advantages,
    run_lifetimes,
)
from mesascope.rollouts.replays import replay
from mesascope.rollouts.rollouts import rollout
from mesascope.worlds.bandits.families.bernoulli_bandit import family
from tests.recipes.cases import SMALL, SYMBOLS, TINY, recipe


def share(path: Path) -> float:
    """Σ(score − chance) / Σ(best − chance) on 448 fresh lifetimes."""
    trials = rollout(recurrent.subject(SMALL, str(path)), SMALL, lifetimes=448, seed=5).isel(condition=0)
    return float((trials.score - trials.chance).sum() / (trials.best - trials.chance).sum())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param("ppo_recurrent", {"updates": 180, "rate": 1e-2}, marks=pytest.mark.slow),
        pytest.param("a2c_recurrent", {"updates": 600, "rate": 1e-2, "entropy_weight": 0.02}, marks=pytest.mark.slow),
        ("imitate", {"updates": 150, "improve_updates": 5, "rate": 1e-2}),
    ],
)
def test_it_acquires_where_it_sees_the_feedback_and_not_where_it_is_blind(tmp_path, name, settings):
    settings = {**TINY[name], **settings}
    seeing = recipe(name)(SMALL, tmp_path / "seeing", **settings)
    assert share(seeing.path) > 0.3
    if name == "ppo_recurrent":
        blind = recipe(name)(SMALL, tmp_path / "blind", observes="action+trial+first", **settings)
        assert abs(share(blind.path)) < 0.2


@pytest.mark.slow  # a training; CI runs it
def test_imitation_gives_the_teachers_probabilities_on_lives_of_its_own(tmp_path):
    settings = {**TINY["imitate"], "teacher": "thompson:discount=0.9+b=2", "updates": 240}
    path = recipe("imitate")(SMALL, tmp_path, **settings).path
    student, teacher = recurrent.subject(SMALL, str(path)), imitate.make_teacher(SMALL, settings["teacher"])
    trials = rollout(student, SMALL, lifetimes=448, seed=6)
    own = np.exp(trials.log_probs.sel(condition="intact").values)
    taught = np.exp(replay(teacher, trials).log_probs)
    distance = 0.5 * np.abs(own - taught).sum(-1)
    even = 0.5 * np.abs(1 / 3 - taught).sum(-1)
    assert distance.mean() < 0.3 * even.mean(), (distance.mean(), even.mean())


@pytest.mark.slow  # a training; CI runs it
def test_prediction_comes_near_the_bayes_mixture_and_not_below(tmp_path):
    path = recipe("predict")(SYMBOLS, tmp_path, **{**TINY["predict"], "updates": 200}).path
    trials = rollout(recurrent.subject(SYMBOLS, str(path)), SYMBOLS, lifetimes=1024, seed=5)
    trials = trials.isel(condition=0)
    said = np.exp(trials.log_probs.values[..., 1])
    p = trials.p.values
    loss = -(p * np.log(said) + (1 - p) * np.log1p(-said)).sum(1)  # expected over the symbols to come
    symbol = np.where(trials.feedback > 0.5, trials.action, 1 - trials.action)
    ones = np.concatenate([np.zeros((len(p), 1)), symbol.cumsum(1)[:, :-1]], 1)
    mixture = (ones + 1) / (np.arange(11) + 2)  # Laplace's rule of succession
    least = -(p * np.log(mixture) + (1 - p) * np.log1p(-mixture)).sum(1)
    assert -0.05 < (loss - least).mean() < 0.12
    assert np.log(2) * 11 - loss.mean() > 0.5


@pytest.mark.slow  # tests/subjects/test_memories.py runs them all in each run
@pytest.mark.parametrize("memory", ["transformer", "lru"])
def test_every_memory_trains_on_a_bank_and_says_so(tmp_path, memory):
    banked = family(arms=3, trials=11, bank=2, bank_seed=9)
    trained = recipe("ppo_recurrent")(banked, tmp_path, memory=memory, **{**TINY["ppo_recurrent"], "updates": 1})
    assert trained.trained_on == "bank:2@9"
    told = recurrent.read_metadata(trained.path)
    assert (told["memory"], told["trained_on"], told["family"]) == (memory, "bank:2@9", banked.name)
    assert recurrent.subject(banked, str(trained.path)).trained_on == "bank:2@9"


def test_the_scale_is_that_of_the_tasks_it_trains_on():
    bank = family(arms=3, trials=11, bank=2, bank_seed=9)
    means = np.asarray(bank.bank_means)
    assert tuple(map(float, compute_scale(SMALL))) == pytest.approx((0.5, 0.75), abs=0.01)
    assert tuple(map(float, compute_scale(bank))) == pytest.approx((means.mean(), means.max(1).mean()), abs=0.01)


def test_a_lifetime_at_chance_is_worth_minus_one_and_at_best_nothing():
    key, network = (
        jax.random.key(4),
        recurrent.create_network_for_family(jax.random.key(1), SMALL, "gru", 5, "feedback+trial"),
    )
    tasks, best_payoff = draw_tasks_and_best(SMALL, key, 4096)
    lives = run_lifetimes(derive_key(key, "lives"), network, SMALL, tasks)
    advantage, _ = compute_targets(lives, best_payoff, compute_scale(SMALL), 1.0, 1.0)  # an untrained critic says 0
    assert float(advantage[0].mean()) == pytest.approx(-1, abs=0.05)
    best = lives._replace(score=best_payoff)
    assert (compute_targets(best, best_payoff, compute_scale(SMALL), 0.9, 0.7)[0] == 0).all()


def test_advantages_are_the_weighted_sums_of_surprises():
    rng = np.random.default_rng(1)
    reward, worth = rng.normal(size=(2, 11, 7))
    discount, trace = 0.9, 0.7
    after = np.vstack([worth[1:], np.zeros((1, 7))])
    surprise = reward + discount * after - worth
    slow = [sum((discount * trace) ** (u - t) * surprise[u] for u in range(t, 11)) for t in range(11)]
    fast = estimate_advantages(jnp.asarray(reward), jnp.asarray(worth), discount, trace)
    np.testing.assert_allclose(fast, np.stack(slow), rtol=1e-4, atol=1e-5)
