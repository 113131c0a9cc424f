"""The recipe learns, repeats itself to the byte, and goes on after SIGKILL."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope.catalogue import convert, split
from mesascope.errors import MesascopeError
from mesascope.families.bernoulli_bandit import family
from mesascope.recipes import Progress
from mesascope.recipes.ppo_recurrent import advantages, recipe, scale
from mesascope.rollouts import rollout
from mesascope.subjects import recurrent

TINY = {"width": 7, "updates": 3, "lifetimes": 10, "minibatches": 2, "epochs": 2}
SMALL = family(arms=3, trials=11)


def share(path: Path) -> float:
    """Σ(score − chance) / Σ(best − chance) on 448 fresh lifetimes."""
    trials = rollout(recurrent.subject(SMALL, str(path)), SMALL, lifetimes=448, seed=5).isel(condition=0)
    return float((trials.score - trials.chance).sum() / (trials.best - trials.chance).sum())


def test_it_learns_where_it_sees_the_feedback_and_not_where_it_is_blind(tmp_path):
    settings = {"width": 16, "updates": 80, "lifetimes": 128, "entropy": 0.05}
    seeing = recipe(SMALL, tmp_path / "seeing", **settings)
    blind = recipe(SMALL, tmp_path / "blind", told="action+trial+first", **settings)
    learned, control = share(seeing.path), share(blind.path)
    assert learned > 0.35, learned
    assert abs(control) < 0.2, control


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The network of one uninterrupted training, as `RUN` below does it."""
    out = tmp_path_factory.mktemp("whole")
    return recipe(SMALL, out, **{**TINY, "updates": 300}).path.read_bytes()


RUN = """
import sys
from mesascope.families.bernoulli_bandit import family
from mesascope.recipes import _training
from mesascope.recipes.ppo_recurrent import recipe

_training.EVERY = 0.0
recipe(family(arms=3, trials=11), sys.argv[1], width=7, updates=300, lifetimes=10, minibatches=2, epochs=2)
"""


def done(checkpoint: Path) -> int:
    return recurrent.read_header(checkpoint)[0]["done"] if checkpoint.exists() else 0


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_bytes(tmp_path, whole):
    checkpoint, seen = tmp_path / "checkpoint.safetensors", []
    environment = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"), **os.environ}
    for wait in (0.0, 0.137):
        before = done(checkpoint)
        process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], env=environment)
        while done(checkpoint) <= before and process.poll() is None:
            time.sleep(0.002)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        seen.append(done(checkpoint))
    assert 0 < seen[0] < seen[1] < 300, seen
    (tmp_path / ".checkpoint.safetensors.part").write_bytes(b"half a check")  # killed while writing
    recipe(SMALL, tmp_path, **{**TINY, "updates": 300})
    assert (tmp_path / "network.safetensors").read_bytes() == whole
    assert not checkpoint.exists()


def test_interrupted_by_the_user_it_keeps_what_it_had(tmp_path):
    whole = recipe(SMALL, tmp_path / "whole", **TINY).path.read_bytes()

    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe(SMALL, tmp_path / "parts", progress=interrupt, **TINY)
    assert done(tmp_path / "parts" / "checkpoint.safetensors") == 2
    steps = recipe(SMALL, tmp_path / "parts", **TINY)
    assert steps.steps == 1 * 10 * 11
    assert steps.path.read_bytes() == whole


def test_same_seed_same_bytes_whatever_the_global_seeds(tmp_path):
    files = []
    for i, seed in enumerate((3, 3, 4)):
        random.seed(i)
        np.random.seed(i)  # noqa: NPY002
        files.append(recipe(SMALL, tmp_path / str(i), seed=seed, **TINY).path.read_bytes())
    assert files[0] == files[1]
    header = [recurrent.read_header(tmp_path / str(i) / "network.safetensors")[0] for i in (0, 2)]
    assert header[0]["seed"] == 3
    ours = [recurrent.subject(SMALL, str(tmp_path / str(i) / "network.safetensors")) for i in (0, 2)]
    assert not set(ours[0].fingerprint().values()) & set(ours[1].fingerprint().values())


def test_progress_counts_every_update_and_estimates_what_is_left(tmp_path):
    seen: list[Progress] = []
    trained = recipe(SMALL, tmp_path, progress=seen.append, **TINY)
    assert [p.done for p in seen] == [1, 2, 3]
    assert {p.total for p in seen} == {3}
    assert seen[0].seconds_left is None
    assert seen[1].seconds_left is not None
    assert seen[1].seconds_left > 0
    assert seen[2].seconds_left == 0
    assert all(0 < p.score < 1 for p in seen)
    assert (trained.updates, trained.steps) == (3, 3 * 10 * 11)
    again = recipe(SMALL, tmp_path, progress=lambda p: pytest.fail("nothing is left to do"), **TINY)
    assert (again.path, again.steps) == (trained.path, 0)


@pytest.mark.parametrize("memory", ["none", "gru", "lstm"])
def test_every_memory_trains_on_a_bank_and_says_so(tmp_path, memory):
    banked = family(arms=3, trials=11, bank=2, bank_seed=9)
    trained = recipe(banked, tmp_path, memory=memory, **{**TINY, "updates": 1})
    assert trained.trained_on == "bank:2@9"
    told = recurrent.about(trained.path)
    assert (told["memory"], told["trained_on"], told["family"]) == (memory, "bank:2@9", banked.name)
    assert recurrent.subject(banked, str(trained.path)).trained_on == "bank:2@9"
    spec, _, rest = told["command"].removeprefix("mesascope train ").partition(" --family ")
    name, given = split(spec)
    assert (name, rest) == ("ppo_recurrent", f"{banked.name} --out DIR")
    assert convert(recipe, given, "recipe") == told["settings"] | {"memory": memory}


def test_the_scale_is_that_of_the_tasks_it_trains_on():
    bank = family(arms=3, trials=11, bank=2, bank_seed=9)
    means = np.asarray(bank.bank_means)
    assert scale(SMALL) == pytest.approx((0.5, 0.75), abs=0.01)
    assert scale(bank) == pytest.approx((means.mean(), means.max(1).mean()), abs=0.01)


def test_advantages_are_the_weighted_sums_of_surprises():
    rng = np.random.default_rng(1)
    reward, worth = rng.normal(size=(2, 11, 7))
    discount, trace = 0.9, 0.7
    after = np.vstack([worth[1:], np.zeros((1, 7))])
    surprise = reward + discount * after - worth
    slow = [sum((discount * trace) ** (u - t) * surprise[u] for u in range(t, 11)) for t in range(11)]
    fast = advantages(jnp.asarray(reward), jnp.asarray(worth), discount, trace)
    np.testing.assert_allclose(fast, np.stack(slow), rtol=1e-4, atol=1e-5)


def test_unrolled_gradients_are_those_of_the_plain_recurrence():
    network = recurrent.create(jax.random.key(2), "gru", 5, ("action", "feedback"), (3, 0, 11))
    xs = jax.random.normal(jax.random.key(3), (11, 7, 4))

    def plain(memory):
        carry, total = memory.fresh(7), 0.0
        for x in xs:
            carry, features = memory.step(carry, x)
            total += jnp.sin(features).sum()
        return total

    slow = eqx.filter_grad(plain)(network.memory)
    fast = eqx.filter_grad(lambda memory: jnp.sin(memory.unroll(xs)).sum())(network.memory)
    for a, b in zip(jax.tree.leaves(fast), jax.tree.leaves(slow), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"memory": "elephant"}, "memory 'elephant'"),
        ({"told": "action+reward"}, "part of the percept 'reward'"),
        ({"told": ""}, "part of the percept ''"),
        ({"told": "action+action"}, "a part twice"),
        ({"width": 0}, "width=0"),
        ({"updates": 0}, "updates=0"),
        ({"lifetimes": 11}, "cannot be split"),
        ({"epochs": -1}, "epochs=-1"),
        ({"minibatches": 0}, "minibatches=0"),
        ({"seed": -1}, "seed=-1"),
        ({"discount": 1.01}, "discount=1.01"),
        ({"rate": float("nan")}, "rate=nan"),
    ],
)
def test_settings_that_cannot_be(tmp_path, settings, says):
    with pytest.raises(MesascopeError, match=says) as error:
        recipe(SMALL, tmp_path, **{**TINY, **settings})
    assert error.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_folder_holds_one_training(tmp_path):
    recipe(SMALL, tmp_path, **TINY)
    with pytest.raises(MesascopeError, match="of another training: its settings") as error:
        recipe(SMALL, tmp_path, **{**TINY, "seed": 1})
    assert "--out" in error.value.remedy
    with pytest.raises(MesascopeError, match="of another training: its family"):
        recipe(family(arms=3, trials=12), tmp_path, **TINY)
    (tmp_path / "file").touch()
    with pytest.raises(MesascopeError, match="cannot be a folder"):
        recipe(SMALL, tmp_path / "file", **TINY)


def test_a_broken_checkpoint_is_not_gone_on_from(tmp_path):
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe(SMALL, tmp_path, progress=interrupt, **TINY)
    checkpoint = tmp_path / "checkpoint.safetensors"
    good = checkpoint.read_bytes()
    for bad in (good[:-5], good[:40], b"", json.dumps({"done": 2}).encode()):
        checkpoint.write_bytes(bad)
        with pytest.raises(MesascopeError) as error:
            recipe(SMALL, tmp_path, **TINY)
        assert "Delete it" in error.value.remedy
