"""In-context regression: reference values, second derivations, splits."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope.catalogue import make
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.carried import DELETIONS, TRANSPLANTS, measure_carry_effects
from mesascope.rollouts.replays import replay
from mesascope.rollouts.rollouts import rollout
from mesascope.trials import fill_in_trial_counts
from mesascope.worlds.regression.families.linear_regression import find_orthogonal_part

ODD = "linear_regression:dimension=3,trials=11,noise=0.4"


def lived(spec, who, split="fresh", lifetimes=128, seed=3):
    home = make("families", spec)
    return home, rollout(make("subjects", who, home), home, split, lifetimes, seed)


def pairs(trials, dimension):
    """Inputs [N, T, D], outcomes and predictions [N, T] of intact lifetimes."""
    one = trials.sel(condition="intact")
    return one.observation.values[..., :dimension], one.feedback.values, one.action.values


def test_a_score_is_the_squared_distance_from_the_noiseless_outcome():
    _, trials = lived(ODD, "ridge")
    x, y, told = pairs(trials, 3)
    target = trials.target.values
    assert trials.score.values[0] == pytest.approx(-((told - target) ** 2), abs=1e-4)
    assert trials.chance.values == pytest.approx(-(target**2))
    assert (y - target).std() == pytest.approx(0.4, rel=0.06)
    assert trials.observation.values[0][:, 1:, 3:] == pytest.approx(x[:, :-1])
    assert not trials.observation.values[0][:, 0, 3:].any()
    weights = np.stack([np.linalg.lstsq(a, b, rcond=None)[0] for a, b in zip(x, target, strict=True)])
    assert np.einsum("ntd,nd->nt", x, weights) == pytest.approx(target, abs=1e-3)  # one w in a lifetime
    assert weights.var(0) == pytest.approx(1.0, abs=0.35)


def test_ridge_least_squares_and_descent_are_what_numpy_finds():
    home, trials = lived(ODD, "ridge")
    x, y, told = pairs(trials, 3)
    asked = {
        "ridge": told,
        "least_squares": replay(make("subjects", "least_squares", home), trials).action,
        "gradient_descent:steps=4,rate=0.7": None,
        "gradient_descent:steps=2,preconditioning=0.5": None,
    }
    for name in asked:
        asked[name] = replay(make("subjects", name, home), trials).action
    for n in (0, 5):
        for t in (0, 1, 2, 4, 10):
            a, b, query = x[n, :t].astype(float), y[n, :t].astype(float), x[n, t].astype(float)
            w = np.linalg.solve(a.T @ a + 0.16 * np.eye(3), a.T @ b)
            assert asked["ridge"][n, t] == pytest.approx(query @ w, abs=1e-3)
            assert asked["least_squares"][n, t] == pytest.approx(query @ np.linalg.pinv(a) @ b, abs=5e-3, rel=5e-3)
            size, w = max(np.square(a).sum(), 1e-9), np.zeros(3)
            for _ in range(4):
                w = w + 0.7 / size * a.T @ (b - a @ w)
            assert asked["gradient_descent:steps=4,rate=0.7"][n, t] == pytest.approx(query @ w, abs=1e-3)
            turned = np.eye(3) - 0.5 * a.T @ a / size  # GD++: all inputs turned first
            c, w = a @ turned, np.zeros(3)
            for _ in range(2):
                w = w + 1.0 / size * c.T @ (b - c @ w)
            found = asked["gradient_descent:steps=2,preconditioning=0.5"][n, t]
            assert found == pytest.approx(query @ turned @ w, abs=1e-3)


def test_dmmse_is_bayes_rule_over_the_bank():
    home, trials = lived(f"{ODD},bank=5,bank_seed=2", "dmmse", "seen")
    x, y, told = pairs(trials, 3)
    bank = np.asarray(home.bank_weights, float)
    for n in (0, 3):
        for t in (0, 1, 6):
            likelihood = np.exp(-0.5 * (((y[n, :t, None] - x[n, :t] @ bank.T) / 0.4) ** 2).sum(0))
            w = (likelihood[:, None] * bank).sum(0) / likelihood.sum()
            assert told[n, t] == pytest.approx(x[n, t] @ w, abs=2e-3)
    found = np.linalg.norm(bank[:, None] - _weights(x, trials.target.values), axis=-1).min(0)
    assert found.max() < 1e-2  # every seen task is one of the bank


def _weights(x, target):
    return np.stack([np.linalg.lstsq(a, b, rcond=None)[0] for a, b in zip(x, target, strict=True)])


def test_neighbours_and_means_are_means_of_outcomes():
    home, trials = lived(ODD, "nearest_neighbours:neighbours=2")
    x, y, told = pairs(trials, 3)
    mean = replay(make("subjects", "running_mean", home), trials).action
    for n in (0, 9):
        assert told[n, 0] == mean[n, 0] == 0
        for t in (1, 3, 10):
            near = np.argsort(((x[n, :t] - x[n, t]) ** 2).sum(-1))[:2]
            assert told[n, t] == pytest.approx(y[n, near].mean(), abs=1e-4)
            assert mean[n, t] == pytest.approx(y[n, :t].mean(), abs=1e-4)


def test_the_published_sizes_have_the_reference_errors():
    """Noisy error / D at D = 8, K = 16 (Raventós et al. 2023): ridge .3758; dMMSE of 64 tasks .90 fresh, .184 seen.

    The last two by a second implementation in NumPy, with standard errors .006 and .002 over 12 banks.
    """

    def error(trials):
        return float(((trials.action - trials.feedback) ** 2).mean() / 8)

    _, ridge = lived("linear_regression:dimension=8", "ridge", lifetimes=2048)
    assert error(ridge) == pytest.approx(0.3758, rel=0.03)
    told = {split: [] for split in ("fresh", "seen")}
    for seed in (0, 1):
        home = make("families", f"linear_regression:dimension=8,bank=64,bank_seed={seed}")
        for split, found in told.items():
            found.append(error(rollout(make("subjects", "dmmse", home), home, split, 1024, seed)))
    assert np.mean(told["fresh"]) == pytest.approx(0.903, rel=0.08)
    assert np.mean(told["seen"]) == pytest.approx(0.184, rel=0.08)


def test_least_squares_without_noise_leaves_one_less_k_over_d():
    _, trials = lived("linear_regression:dimension=5,trials=9,noise=0", "least_squares", lifetimes=3072)
    left = ((trials.action - trials.target) ** 2).mean(("condition", "lifetime")).values / 5
    assert left[:5] == pytest.approx(1 - np.arange(5) / 5, abs=0.045)
    assert left[5] < 0.03 and left[6:].max() < 1e-3  # near-singular inputs cost digits where k = D


def test_splits_change_what_they_say():
    home = make("families", f"{ODD},bank=4")
    key = jax.random.key(5)
    drawn = {split: home.get_split(split).draw(key, 512) for split in home.split_names if split != "horizon:longer"}
    plain = drawn["fresh"]
    assert jnp.allclose(drawn["shifted:scaled_x"].inputs, 2 * plain.inputs)
    assert jnp.allclose(drawn["shifted:scaled_y"].weights, 2 * plain.weights)
    assert jnp.allclose(drawn["shifted:noise"].noise, 3 * plain.noise)
    assert jnp.allclose(drawn["exchanged:sign"].weights[:, 5:], -plain.weights[:, 5:])
    assert jnp.allclose(drawn["exchanged:coordinates"].weights[:, 5:, 1:], plain.weights[:, 5:, :-1])
    sizes = np.linalg.svd(np.asarray(drawn["shifted:subspace"].inputs), compute_uv=False)
    assert sizes[:, 1:].max() < 1e-3 < sizes[:, 0].min()  # one of three dimensions
    crossed = np.asarray(drawn["shifted:orthogonal"].inputs)
    assert np.abs(np.einsum("ntd,nsd->nts", crossed[:, :5], crossed[:, 5:])).max() < 1e-4
    spread = np.linalg.svd(np.asarray(drawn["shifted:skewed"].inputs), compute_uv=False) ** 2
    assert (spread.mean(0) / spread.mean(0).sum()) == pytest.approx(np.array([36, 9, 4]) / 49, abs=0.08)
    drift = np.asarray(drawn["restructured:drift"].weights)
    assert drift[:, -1].var() == pytest.approx(1, abs=0.15)
    assert (drift[:, 0] * drift[:, 1]).mean() == pytest.approx(np.sqrt(1 - 0.09), abs=0.1)
    target = home.compute_latents(drawn["restructured:threshold"], "restructured:threshold")["target"]
    assert np.abs(target) == pytest.approx(np.sqrt(3))


def test_what_it_refuses():
    with pytest.raises(MesascopeError, match="has no bank"):
        make("subjects", "dmmse", make("families", ODD))
    with pytest.raises(MesascopeError, match="no inputs to regress on"):
        make("subjects", "ridge", make("families", "beta_bernoulli"))
    with pytest.raises(MesascopeError, match="noise=-1"):
        make("families", "linear_regression:noise=-1")
    with pytest.raises(MesascopeError, match="rate=2"):
        make("subjects", "gradient_descent:rate=2", make("families", ODD))


WIDE = "linear_regression:dimension=8,trials=32"


def test_the_older_component_is_orthogonal_to_the_last_inputs():
    x = np.random.default_rng(0).normal(size=(3, 9, 5))
    older = find_orthogonal_part(x, 3)
    for t in range(3, 9):
        assert np.einsum("nwd,nd->nw", x[:, t - 3 : t], older[:, t]) == pytest.approx(0.0, abs=1e-6)
        span = np.linalg.qr(np.moveaxis(x[:, t - 3 : t], 1, 2))[0]
        expected = x[:, t] - np.einsum("ndw,new,ne->nd", span, span, x[:, t])
        assert older[:, t] == pytest.approx(expected, abs=1e-6)
    assert older[:, 0] == pytest.approx(x[:, 0])  # nothing came before


@pytest.mark.parametrize(
    ("who", "deletion", "transplant"),
    [
        ("ridge", (0.93, 1.0), (0.9, 1.0)),
        ("running_mean", (-0.07, 0.07), (-0.05, 0.05)),  # .2 on whole outcomes: a loss without its mean, not knowledge
        ("recent_pairs", (-0.001, 0.001), (-0.05, 0.05)),
        ("recent_pairs:warmup=8,is_guarded=True", (-0.05, 0.05), (-0.05, 0.05)),  # .08 on whole outcomes
    ],
)
def test_only_what_the_last_trials_cannot_tell_is_carried(who, deletion, transplant):
    home = make("families", WIDE)
    labels = [fill_in_trial_counts(c, 32) for c in ("intact", *DELETIONS, *TRANSPLANTS)]
    trials = rollout(make("subjects", who, home), home, "fresh", 192, 5, conditions=labels)
    effects = measure_carry_effects(trials, 4)
    assert deletion[0] < effects.deletion.mean() < deletion[1]
    assert transplant[0] < effects.transplant.mean() < transplant[1]


def test_where_the_last_trials_span_all_directions_whole_outcomes_are_valued():
    assert make("families", "linear_regression:dimension=4,trials=20").has_payoff_values
    assert not make("families", "linear_regression:dimension=5,trials=20").has_payoff_values
    assert not make("families", "linear_regression:dimension=4,trials=19").has_payoff_values


@pytest.mark.slow  # it compiles in a process of its own; CI runs it
def test_large_batches_of_eigenvalues_do_not_wait_for_themselves():
    code = """
from mesascope import catalogue, rollout
home = catalogue.make("families", "linear_regression:dimension=8,trials=32")
conditions = ["intact", "carry_reset", "past_deleted_once:window=4", "past_transplanted_once:window=4"]
for seed in range(3):
    rollout("ridge", home, lifetimes=320, seed=seed, conditions=conditions, blocks_per_call=5)
"""
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=240)
