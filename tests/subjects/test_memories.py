"""Memories: one by one and all at once they say the same, and what NumPy computes in another way."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from mesascope.agents.networks import recurrent
from mesascope.agents.networks.network_files import name_weights
from mesascope.worlds.bandits.families.bernoulli_bandit import family
from tests.subjects.lives import save

N, T, F, W, WINDOW = 7, 23, 5, 6, 11
OBSERVED = ("action", "feedback", "trial")


@functools.cache
def network(memory: str) -> recurrent.Recurrent:
    """Untrained, for a horizon of eleven trials, with weights large enough to matter."""
    made = recurrent.create_network(jax.random.key(3), memory, W, OBSERVED, (3, 0, WINDOW))
    loud = lambda x: x + 0.5 * jax.random.normal(jax.random.key(x.size), x.shape)  # noqa: E731
    return jax.tree.map(lambda x: loud(x) if eqx.is_array(x) else x, made)


XS = jax.random.normal(jax.random.key(1), (T, N, F))


def stepped(memory, xs):
    """Features [T, N, W] one by one, and the last carry."""

    def step(carry, x):
        return memory.step(carry, x)

    carry, features = jax.lax.scan(step, memory.initialize_carry(xs.shape[1]), xs)
    return features, carry


SLOW_TO_COMPILE = ("transformer", "lru", "linear_attention")  # ten seconds each; CI runs them


@pytest.mark.parametrize(
    "memory",
    [pytest.param(m, marks=[pytest.mark.slow] * (m in SLOW_TO_COMPILE)) for m in recurrent.MEMORIES],
)
def test_step_by_step_and_all_at_once_agree_beyond_the_horizon_too(memory):
    ours = network(memory).memory

    def total(memory, way):
        features = way(memory)
        return jnp.sin(features * jnp.arange(1, W + 1)).sum(), features

    slope = eqx.filter_jit(eqx.filter_value_and_grad(total, has_aux=True))
    (_, slow), by_slow = slope(ours, lambda m: stepped(m, XS)[0])
    (_, fast), by_fast = slope(ours, lambda m: m.unroll(XS))
    np.testing.assert_allclose(fast, slow, atol=2e-5)
    for a, b in zip(jax.tree.leaves(by_fast), jax.tree.leaves(by_slow), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * float(jnp.abs(b).max(initial=0)))


@pytest.mark.parametrize("memory", recurrent.MEMORIES)
def test_the_carry_is_zeros_at_birth_and_one_row_per_lifetime(memory):
    ours = network(memory).memory
    fresh = ours.initialize_carry(N)
    assert all(leaf.shape[0] == N and not leaf.any() for leaf in jax.tree.leaves(fresh))
    features, carry = stepped(ours, XS)
    shapes = [(x.shape, x.dtype) for x in jax.tree.leaves(carry)]
    assert shapes == [(x.shape, x.dtype) for x in jax.tree.leaves(fresh)]
    assert all(tap.shape[0] == N for tap in ours.read_taps(carry).values())
    assert bool(ours.read_taps(carry)) == (memory != "none")
    order = np.array([3, 0, 6, 5, 1, 2, 4])
    moved, late = stepped(ours, XS[:, order])
    np.testing.assert_allclose(moved, features[:, order], atol=2e-5)
    for name, tap in ours.read_taps(late).items():
        np.testing.assert_allclose(tap, ours.read_taps(carry)[name][order], atol=2e-5)


def normed(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-6)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def weights(memory):
    return {k: np.asarray(v, np.float64) for k, v in name_weights(network(memory)).items()}


def test_a_transformer_by_hand():
    w, heads = weights("transformer"), 2
    got = network("transformer").memory.unroll(XS)
    for n in (0, 5):
        rows = [np.asarray(x, np.float64) @ w["memory.entry"] + w["memory.entry_bias"] for x in XS[:, n]]
        for layer in ("memory.layers.0", "memory.layers.1"):
            parts = [np.split(normed(h) @ w[f"{layer}.mixing"], 3) for h in rows]
            after = []
            for t, h in enumerate(rows):
                seen = range(max(0, t - WINDOW + 1), t + 1)
                looked = []
                for i, own in enumerate(np.split(np.arange(W), heads)):
                    logits = [
                        parts[t][0][own] @ parts[u][1][own] / np.sqrt(W / heads) + w[f"{layer}.distance"][i, t - u]
                        for u in seen
                    ]
                    share = softmax(logits)
                    looked.append(sum(a * parts[u][2][own] for a, u in zip(share, seen, strict=True)))
                h = h + np.concatenate(looked) @ w[f"{layer}.joining"]
                up = gelu(normed(h) @ w[f"{layer}.up"] + w[f"{layer}.up_bias"])
                after.append(h + up @ w[f"{layer}.down"])
            rows = after
        np.testing.assert_allclose(got[:, n], [normed(h) for h in rows], atol=1e-4)


def test_a_transformer_forgets_what_no_layer_reaches():
    ours = network("transformer").memory
    changed = ours.unroll(XS.at[0].add(1.0)) != ours.unroll(XS)
    reach = 2 * (WINDOW - 1)
    assert changed[: reach + 1].any((1, 2)).all()
    assert not changed[reach + 1 :].any()


def test_linear_recurrent_units_by_the_sum_over_all_powers():
    w = weights("lru")
    got = network("lru").memory.unroll(XS)
    for n in (0, 5):
        rows = [gelu(np.asarray(x, np.float64) @ w["memory.entry"] + w["memory.entry_bias"]) for x in XS[:, n]]
        for layer in ("memory.layers.0", "memory.layers.1"):
            factor = np.exp(-np.exp(w[f"{layer}.rate"]) + 1j * np.exp(w[f"{layer}.turn"]))
            entering = [normed(h) @ w[f"{layer}.inward"] for h in rows]
            entering = [np.sqrt(1 - abs(factor) ** 2) * (e[:W] + 1j * e[W:]) for e in entering]
            after = []
            for t, h in enumerate(rows):
                state = sum(factor ** (t - s) * entering[s] for s in range(t + 1))
                out = np.concatenate([state.real, state.imag]) @ w[f"{layer}.outward"]
                out = gelu(out + w[f"{layer}.through"] * normed(h)) @ w[f"{layer}.gate"]
                value, gate = np.split(out + w[f"{layer}.gate_bias"], 2)
                after.append(h + value / (1 + np.exp(-gate)))
            rows = after
        np.testing.assert_allclose(got[:, n], [normed(h) for h in rows], atol=2e-4)


@pytest.mark.parametrize("memory", ["transformer", "lru"])
def test_files_of_stacked_layers_read_back(tmp_path, memory):
    small, path = family(arms=3, trials=WINDOW), tmp_path / "net.safetensors"
    told = {
        "memory": memory,
        "width": W,
        "observes": list(OBSERVED),
        "choices": 3,
        "observation": 0,
        "horizon": WINDOW,
        "family": small.name,
        "trained_on": "unlimited",
    }
    save(network(memory), path, told)
    assert recurrent.subject(small, str(path)).hash_weights() == network(memory).hash_weights()
