"""Markov chains: exact posteriors against enumeration, splits."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
from scipy.special import gammaln

from mesascope.catalogue import make
from mesascope.rollouts.replays import replay
from mesascope.rollouts.rollouts import rollout

ODD = "markov_chain:symbols=3,trials=11"


def symbols(trials):
    """[N, T + 1] all symbols that came."""
    shown = trials.observation.values[0][..., :3].argmax(-1)
    return np.concatenate([shown, trials.target.values[:, -1:].astype(int)], 1)


@pytest.fixture(scope="module")
def home():
    return make("families", f"{ODD},bank=4,bank_seed=1")


@pytest.fixture(scope="module")
def trials(home):
    return rollout(make("subjects", "transition_counts", home), home, "seen", 64, 2)


def log_probability(home, symbols):
    """[N] The log-probability of each sequence of symbols [N, L] given its first symbol, under the Dirichlet prior.

    Every row of counts follows a Dirichlet-multinomial distribution for an ordered sequence.
    """
    k, a = home.choices, home.concentration
    counts = np.zeros((len(symbols), k, k))
    for present, following in zip(symbols.T[:-1], symbols.T[1:], strict=True):
        counts[np.arange(len(symbols)), present, following] += 1
    rows = gammaln(k * a) - gammaln(k * a + counts.sum(-1))
    return (rows + (gammaln(a + counts) - gammaln(a)).sum(-1)).sum(-1)


def test_probabilities_of_sequences_sum_to_one_and_give_the_predictive(home, trials):
    every = np.asarray([(0, *rest) for rest in itertools.product(range(3), repeat=5)])
    assert np.exp(log_probability(home, every)).sum() == pytest.approx(1)
    path, told = symbols(trials), np.exp(trials.log_probs.values[0])
    for t in (0, 1, 4, 10):
        longer = [np.concatenate([path[:, : t + 1], np.full((64, 1), s)], 1) for s in range(3)]
        odds = [log_probability(home, s) - log_probability(home, path[:, : t + 1]) for s in longer]
        assert told[:, t] == pytest.approx(np.exp(odds).T, abs=1e-5)


def test_two_symbols_agree_with_a_sum_over_a_grid_of_matrices():
    two = make("families", "markov_chain:symbols=2,trials=5,concentration=0.7")
    p = (np.arange(4000) + 0.5) / 4000
    prior = (p * (1 - p)) ** (0.7 - 1)
    prior = prior / prior.sum()
    path = np.asarray([[0, 1, 1, 0, 0, 0, 1]])
    likelihood = 1.0
    for row in (0, 1):
        now, then = path[0, :-1], path[0, 1:]
        ones, zeros = ((now == row) & (then == s) for s in (1, 0))
        likelihood *= (prior * p ** ones.sum() * (1 - p) ** zeros.sum()).sum()
    assert np.exp(log_probability(two, path)[0]) == pytest.approx(likelihood, rel=5e-3)


def test_the_locator_is_bayes_rule_over_the_bank(home, trials):
    told = np.exp(replay(make("subjects", "transition_locator", home), trials).log_probs)
    bank, path = np.asarray(home.bank_matrices, float), symbols(trials)
    for n, t in ((0, 0), (1, 3), (9, 10)):
        now, then = path[n, :t], path[n, 1 : t + 1]
        weight = np.prod(bank[:, now, then], axis=1)
        odds = (weight[:, None] * bank[:, path[n, t]]).sum(0) / weight.sum()
        assert told[n, t] == pytest.approx(odds, abs=1e-4)


def test_induction_copies_what_followed_last(home, trials):
    told = np.exp(replay(make("subjects", "induction", home), trials).log_probs)
    path = symbols(trials)
    for n in range(7):
        for t in range(11):
            before = [s for s in range(t) if path[n, s] == path[n, t]]
            expected = np.full(3, 1 / 3) if not before else np.eye(3)[path[n, before[-1] + 1]]
            assert told[n, t] == pytest.approx(expected, abs=1e-5)


def test_what_comes_goes_by_the_odds_and_the_percept_tells_it(home):
    for split in ("restructured:drift", "restructured:second_order"):
        tasks = home.get_split(split).draw(jax.random.key(4), 2048)
        path, odds = np.asarray(tasks.symbols), np.asarray(tasks.probabilities)
        assert odds.sum(-1) == pytest.approx(1, abs=1e-5)
        came = np.take_along_axis(odds, path[:, 1:, None], -1)[..., 0].mean()
        assert came == pytest.approx((odds**2).sum(-1).mean(), abs=0.012), split
    state, percept = home.begin(jax.random.key(0), tasks)
    assert (np.asarray(home.read_target(percept)) == -1).all()
    _, percept, _ = home.step(jax.random.key(0), tasks, state, tasks.symbols[:, 1])
    assert (np.asarray(home.read_target(percept)) == path[:, 1]).all() and np.asarray(percept.feedback).all()
    other = home.with_opposite_outcome(percept)
    assert (np.asarray(home.read_target(other)) == (path[:, 1] + 1) % 3).all() and not np.asarray(other.feedback).any()


def test_peaked_rows_are_surer_and_even_ones_less_sure(home):
    best = {
        split: home.compute_latents(home.get_split(split).draw(jax.random.key(6), 2048), split)["best"].mean()
        for split in ("fresh", "shifted:peaked", "shifted:even")
    }
    assert best["shifted:peaked"] > best["fresh"] + 0.1 > best["shifted:even"] + 0.15
    odds = np.asarray(home.get_split("restructured:independent").draw(jax.random.key(6), 2048).probabilities)
    assert np.ptp(odds, axis=1).max() < 1e-6  # whatever the present symbol
