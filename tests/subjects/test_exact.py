"""Exact values, each also from a second, slower derivation."""

from __future__ import annotations

import hashlib
import itertools
from math import comb, log

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

from mesascope.contracts import compute_posterior_means
from mesascope.worlds.bandits.families.bernoulli_bandit import family
from mesascope.worlds.bandits.subjects import bayes_optimal, gittins
from mesascope.worlds.bandits.subjects.change_point_thompson import subject as change_point
from mesascope.worlds.bandits.subjects.thompson import GRID_MEANS, compute_best_probability
from tests.subjects.lives import forced, live, make

FLAT = (1.0, 1.0)


def test_regret_of_two_independent_arms_is_1_748():
    assert 100 * 2 / 3 - bayes_optimal.compute_optimal_plan(100, (FLAT, FLAT))[1] == pytest.approx(1.748, abs=1e-3)


def test_total_reward_of_five_arms_and_ten_pulls_is_6_660():
    assert bayes_optimal.compute_optimal_plan(10, (FLAT,) * 5)[1] == pytest.approx(6.660, abs=1e-3)


def expectimax(trials: int, shapes: tuple[tuple[float, float], ...]) -> float:
    """The value of the best policy by a walk over every history, without counts put together."""
    if trials == 0:
        return 0.0
    worth = []
    for k, (a, b) in enumerate(shapes):
        p = a / (a + b)
        won = (*shapes[:k], (a + 1, b), *shapes[k + 1 :])
        lost = (*shapes[:k], (a, b + 1), *shapes[k + 1 :])
        worth.append(p * (1 + expectimax(trials - 1, won)) + (1 - p) * expectimax(trials - 1, lost))
    return max(worth)


@pytest.mark.parametrize(
    ("trials", "shapes"), [(7, (FLAT, FLAT)), (6, ((3.0, 1.0), (1.0, 2.5))), (5, (FLAT, FLAT, (1.0, 2.0)))]
)
def test_plan_is_the_walk_over_every_history(trials, shapes):
    assert bayes_optimal.compute_optimal_plan(trials, shapes)[1] == pytest.approx(expectimax(trials, shapes), abs=1e-12)


def worth_of(subject, trials: int, shapes) -> float:
    """The value of a subject of counts by its own probabilities in every state, from the last trial back."""
    arms = len(shapes)
    states = [s for s in itertools.product(range(trials), repeat=2 * arms) if sum(s) < trials]
    counts = np.array(states, float).reshape(len(states), arms, 2)
    percept = family(arms=arms, trials=trials).begin(jax.random.key(0), Shell(len(states)))[1]
    log_probs = eqx.filter_jit(subject.respond)(jax.random.key(0), jnp.asarray(counts), percept)[1].log_probs
    chosen = dict(zip(states, np.exp(np.asarray(log_probs, np.float64)), strict=True))
    values: dict[tuple[int, ...], float] = {}
    for state in sorted(states, key=sum, reverse=True):
        values[state] = 0.0
        for k, (a, b) in enumerate(shapes):
            wins, losses = state[2 * k : 2 * k + 2]
            p = (wins + a) / (wins + losses + a + b)
            won, lost = (values.get(bump(state, 2 * k + i), 0.0) for i in (0, 1))
            values[state] += chosen[state][k] * (p * (1 + won) + (1 - p) * lost)
    return values[(0,) * 2 * arms]


class Shell:
    """Tasks of which only the number counts."""

    def __init__(self, n):
        self.means = np.zeros((n, 1, 1))


def bump(state: tuple[int, ...], i: int) -> tuple[int, ...]:
    return (*state[:i], state[i] + 1, *state[i + 1 :])


@pytest.mark.parametrize(
    ("arms", "trials", "prior"), [(2, 9, "independent"), (3, 5, "independent"), (2, 7, "beta:3/1+1/2")]
)
def test_the_subject_gets_what_the_plan_promises(arms, trials, prior, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tasks = family(arms=arms, trials=trials, prior=prior)
    shapes = tasks.shapes or (FLAT,) * arms
    promised = bayes_optimal.compute_optimal_plan(trials, shapes)[1]
    assert worth_of(make("bayes_optimal", tasks), trials, shapes) == pytest.approx(promised, abs=1e-5)
    if arms == 2:
        assert worth_of(make("greedy", tasks), trials, shapes) < promised - 1e-3


def test_regret_of_dependent_arms():
    """On the medium arms the evidence is a random walk; the rule that follows it loses 1.000."""
    t = np.arange(100)
    wrong = binom.cdf(np.ceil(t / 2) - 1, t, 0.75) + 0.5 * np.where(t % 2 == 0, binom.pmf(t // 2, t, 0.75), 0)
    exact = 0.5 * wrong.sum()
    assert exact == pytest.approx(1.000, abs=1e-3)
    tasks = family(arms=2, prior="dependent_medium")
    regret = live(make("bayes_optimal", tasks), tasks, n=20_000).regret
    assert abs(regret.mean() - exact) < 3 * regret.std() / np.sqrt(len(regret))


def test_no_policy_beats_the_posterior_mean_on_dependent_arms():
    """Over all histories of six trials the best policy's value is that of the walk."""

    def best(history, points, trials):
        if trials == 0:
            return 0.0
        weight = np.array([np.prod([p if w else 1 - p for w in history]) for p in points])
        mean = (weight / weight.sum()) @ np.array(points)  # of arm 1; arm 2 pays 1 - p
        worth = []
        for p in (mean, 1 - mean):  # winning on arm 2 tells what losing on arm 1 tells
            tell = (True, False) if p is mean else (False, True)
            won, lost = (best((*history, x), points, trials - 1) for x in tell)
            worth.append(p * (1 + won) + (1 - p) * lost)
        return max(worth)

    walk = sum(0.75 - 0.5 * wrong(t) for t in range(6))
    assert best((), (0.25, 0.75), 6) == pytest.approx(walk, abs=1e-12)


def wrong(t: int) -> float:
    """The chance to follow the wrong arm after t pulls of the medium arms."""
    return sum(binom.pmf(k, t, 0.75) * (1.0 if 2 * k < t else 0.5) for k in range(t // 2 + 1))


def test_broken_and_missing_cache_files_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shapes = (FLAT, FLAT)
    table = bayes_optimal.load_plan(9, shapes)
    (path,) = (tmp_path / "mesascope").iterdir()
    whole = path.read_bytes()
    assert hashlib.sha256(whole[32:]).digest() == whole[:32]
    for broken in (b"", whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), b"no table"):
        path.write_bytes(broken)
        np.testing.assert_array_equal(bayes_optimal.load_plan(9, shapes), table)
        assert path.read_bytes() == whole
        assert len(list(path.parent.iterdir())) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))  # a file, not a folder: nothing can be kept
    np.testing.assert_array_equal(bayes_optimal.load_plan(9, shapes), table)


def restart(w: int, losses: int, discount: float, depth: int = 150) -> float:
    """The index by Katehakis and Veinott (1987): value iteration with the option to start again there."""
    value = np.zeros((depth + 2, depth + 2))
    i, j = np.mgrid[: depth + 1, : depth + 1]
    p = (w + i + 1) / (w + losses + i + j + 2)
    for _ in range(int(np.log(1e-7) / np.log(discount))):
        go_on = p * (1 + discount * value[1:, :-1]) + (1 - p) * discount * value[:-1, 1:]
        value[:-1, :-1] = np.maximum(go_on, go_on[0, 0])
    return (1 - discount) * go_on[0, 0]


def test_gittins_index_of_the_flat_prior_at_9_is_7029():
    assert gittins.compute_discounted_indices(0.9, 5)[0, 0] == pytest.approx(0.7029, abs=1e-3)


@pytest.mark.parametrize("discount", [0.9, 0.97])
def test_gittins_indices_by_restart(discount):
    table = gittins.compute_discounted_indices(discount, 12)
    for w, losses in ((0, 0), (1, 0), (0, 3), (4, 2), (2, 7)):
        assert table[w, losses] == pytest.approx(restart(w, losses, discount), abs=1e-3)


def stopping(a: float, b: float, left: int) -> list[tuple[float, float]]:
    """(expected sum, expected pulls) of every rule that pulls at least once and stops within `left`."""
    p = a / (a + b)
    if left == 1:
        return [(p, 1.0)]
    won = [(0.0, 0.0), *stopping(a + 1, b, left - 1)]
    lost = [(0.0, 0.0), *stopping(a, b + 1, left - 1)]
    return [(p * (1 + u) + (1 - p) * v, 1 + p * s + (1 - p) * t) for u, s in won for v, t in lost]


def test_finite_gittins_indices_by_every_stopping_rule():
    table = gittins.compute_finite_indices(9)
    for w, losses, left in itertools.product((0, 2), (0, 1), (1, 2, 4)):
        rules = stopping(1.0 + w, 1.0 + losses, left)
        best = max(total / pulls for total, pulls in rules)
        assert table[left - 1, w, losses] == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("optimistic", [False, True])
def test_quadrature_against_samples(optimistic):
    rng = np.random.default_rng(3)
    shapes = np.stack([rng.integers(0, [40, 3, 20], (6, 3)), rng.integers(0, [5, 30, 20], (6, 3))], -1) + 1.0
    shapes[0] = 1.0
    samples = rng.beta(shapes[..., 0], shapes[..., 1], (200_000, 6, 3))
    if optimistic:
        samples = np.maximum(samples, shapes[..., 0] / shapes.sum(-1))
    got = np.asarray(compute_best_probability(jnp.asarray(shapes), optimistic))
    drawn = np.stack([(samples.argmax(-1) == k).mean(0) for k in range(3)], -1)
    if optimistic:  # equal means: the first wins here, they share there
        tied = np.ptp(shapes[..., 0] / shapes.sum(-1), axis=-1) < 1e-9
        drawn[tied] = 1 / 3
    np.testing.assert_allclose(got, drawn, atol=0.005)


def test_change_point_filter_against_run_lengths():
    """One arm, every outcome seen: the mixture over the trial of the last change, each a Beta posterior."""
    hazard, outcomes = 0.07, np.array([1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0])
    subject = change_point(family(arms=2, trials=11), hazard=hazard)
    weight, shapes = np.array([1.0]), [(1.0, 1.0)]
    percept = family(arms=2).begin(jax.random.key(0), Shell(1))[1]
    respond = eqx.filter_jit(subject.respond)
    carry = respond(jax.random.key(0), subject.initialize_carry(1), percept)[0]
    for won in outcomes:
        seen = percept._replace(action=jnp.zeros(1, jnp.int32), feedback=jnp.full(1, float(won)))
        carry = respond(jax.random.key(0), carry, seen)[0]
        likely = np.array([(a if won else b) / (a + b) for a, b in shapes])
        weight = weight * likely / (weight @ likely)
        shapes = [(a + won, b + 1 - won) for a, b in shapes]
        weight, shapes = np.append((1 - hazard) * weight, hazard), [*shapes, (1.0, 1.0)]
        exact = weight @ np.array([a / (a + b) for a, b in shapes])
        assert float(carry[0, 0] @ GRID_MEANS) == pytest.approx(exact, abs=1e-3)
        assert float(carry[0, 1] @ GRID_MEANS) == pytest.approx(0.5, abs=1e-3)


def test_change_point_without_hazard_is_thompson():
    rng = np.random.default_rng(1)
    tasks = family(arms=3, trials=11)
    history = rng.integers(0, 3, (11, 7)), rng.integers(0, 2, (11, 7))
    still = forced(make("change_point_thompson:hazard=0.0", tasks), *history)
    np.testing.assert_allclose(still, forced(make("thompson", tasks), *history), atol=2e-3)


def test_log_loss_of_the_flat_prior():
    """20 outcomes: 11.147 nats, by the posterior means one by one and in closed form."""
    closed = sum(log(21 * comb(20, k)) for k in range(21)) / 21
    counts, total = {(0, 0): 1.0}, 0.0
    for _ in range(20):
        later: dict[tuple[int, int], float] = {}
        for (w, losses), weight in counts.items():
            p = float(compute_posterior_means(jnp.asarray([[[w, losses]]], jnp.float32))[0, 0])
            total -= weight * (p * log(p) + (1 - p) * log(1 - p))
            later[w + 1, losses] = later.get((w + 1, losses), 0.0) + weight * p
            later[w, losses + 1] = later.get((w, losses + 1), 0.0) + weight * (1 - p)
        counts = later
    assert closed == pytest.approx(11.147, abs=5e-4)
    assert total == pytest.approx(closed, abs=1e-4)
