"""The recipe of in-context prediction: what it trains, and what `unroll` and `step` agree on."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from mesascope.agents.networks import recurrent
from mesascope.catalogue import make
from mesascope.errors import MesascopeError
from mesascope.recipes.in_context_transformer import recipe
from mesascope.rollouts.replays import replay
from mesascope.rollouts.rollouts import rollout

SMALL = {"width": 12, "depth": 1, "heads": 3, "lifetimes": 32, "warmup": 5, "rate": 0.01}
HOME = "linear_regression:dimension=2,trials=7"


@pytest.mark.parametrize("memory", ["transformer", "linear_attention"])
def test_steps_and_whole_lifetimes_agree(memory):
    key = jax.random.key(3)
    net = recurrent.create_network(
        key, memory, 12, ("observation", "feedback"), (None, 4, 7), layer_settings={"depth": 2, "heads": 3}
    )
    xs = jax.random.normal(jax.random.key(4), (7, 5, 5))
    whole, carry = net.memory.unroll(xs), net.memory.initialize_carry(5)
    for t in range(7):
        carry, features = net.memory.step(carry, xs[t])
        assert np.asarray(features) == pytest.approx(np.asarray(whole[t]), abs=2e-5)
    assert net.memory.layer_settings == {"depth": 2, "heads": 3}


@pytest.mark.slow
def test_a_stopped_training_ends_with_the_same_bytes_and_predicts(tmp_path):
    home = make("families", HOME)
    whole = recipe(home, tmp_path / "whole", updates=90, seed=2, **SMALL)

    def stop(progress):
        if progress.finished_updates == 41:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe(home, tmp_path / "parts", updates=90, seed=2, progress=stop, **SMALL)
    parts = recipe(home, tmp_path / "parts", updates=90, seed=2, **SMALL)
    assert whole.path.read_bytes() == parts.path.read_bytes()
    assert parts.environment_steps == 49 * 32 * 7
    net = make("subjects", "recurrent", home, path=str(whole.path))
    assert net.trained_on == "unlimited" and net.choices is None
    trials = rollout(net, home, "fresh", 256, 1)
    gain = float((trials.score - trials.chance).sum() / (trials.best - trials.chance).sum())
    assert gain > 0.15  # ridge has .75
    again = replay(net, trials).action
    assert again == pytest.approx(trials.action.values[0], abs=1e-4)


def test_what_it_refuses(tmp_path):
    chain = make("families", "markov_chain:symbols=3,trials=5")
    with pytest.raises(MesascopeError, match="feedback depends on the actions"):
        recipe(chain, tmp_path, observes="observation+feedback", updates=2, **SMALL)
    with pytest.raises(MesascopeError, match="has neither depth nor heads"):
        recipe(make("families", HOME), tmp_path, memory="gru", depth=2, updates=2)
    with pytest.raises(MesascopeError, match="not a multiple of heads"):
        recipe(make("families", HOME), tmp_path, width=10, heads=4, updates=2)
