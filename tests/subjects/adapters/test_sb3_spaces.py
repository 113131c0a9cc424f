"""Agents of stable-baselines3 whose spaces have parts, and statistics that lie beside a zip but are not its own."""

from __future__ import annotations

import shutil

import gymnasium
import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'sb3'")
pytest.importorskip("sb3_contrib", reason="needs the extra 'sb3'")

from gymnasium import spaces  # noqa: E402
from stable_baselines3 import A2C, PPO  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize  # noqa: E402

from mesascope import FamilyEnv, catalogue, rollout  # noqa: E402
from mesascope.agents.opening import open_subject  # noqa: E402
from mesascope.errors import MesascopeError, MesascopeWarning  # noqa: E402
from mesascope.worlds.gymnasium.families.gymnasium import family  # noqa: E402

SMALL = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")


class Parts(gymnasium.Env):
    """Shows a place and a picture, and takes two choices at once; pays 1 if both are 1."""

    observation_space = spaces.Dict(place=spaces.Discrete(4), picture=spaces.Box(0, 1, (2, 2), np.float32))
    action_space = spaces.MultiDiscrete([2, 3])

    def _show(self):
        return {"place": int(self.np_random.integers(4)), "picture": self.np_random.random((2, 2), np.float32)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._show(), {}

    def step(self, action):
        return self._show(), float(tuple(action) == (1, 1)), True, False, {}


def test_dict_observations_and_actions_of_two_parts(tmp_path):
    model = PPO("MultiInputPolicy", Parts(), n_steps=32, batch_size=32, seed=0, device="cpu")
    model.learn(64)
    model.save(tmp_path / "parts.zip")
    home = family(env=Parts, episodes=3, steps=1, best="1", chance="0.1")
    assert home.choices == 6
    one = open_subject(str(tmp_path / "parts.zip"), home)
    _, percept = home.begin(jax.random.key(0), home.draw(jax.random.key(1), 7))
    given = np.exp(one.respond(jax.random.key(0), one.initialize_carry(7), percept)[1].log_probs)
    shown = one._shape_observations(one.observe(percept))
    assert all(Parts.observation_space.contains({k: v[i] for k, v in shown.items()}) for i in range(7))
    with torch.no_grad():
        two = [
            p.probs.numpy() for p in model.policy.get_distribution(model.policy.obs_to_tensor(shown)[0]).distribution
        ]
    assert np.allclose(given, (two[0][:, :, None] * two[1][:, None]).reshape(7, 6), atol=1e-5)
    assert rollout(one, home, lifetimes=3).action.shape == (1, 3, 3)
    with pytest.raises(MesascopeError, match="MultiDiscrete"):
        open_subject(str(tmp_path / "parts.zip"), SMALL)


def test_statistics_of_another_agent_are_not_used(tmp_path):
    plain, env = (
        A2C("MlpPolicy", FamilyEnv(SMALL), seed=0, device="cpu"),
        VecNormalize(DummyVecEnv([lambda: FamilyEnv(SMALL)])),
    )
    A2C("MlpPolicy", env, seed=0, device="cpu").learn(20)
    plain.learn(20)
    (tmp_path / "alone").mkdir()
    plain.save(tmp_path / "alone" / "agent.zip")
    (tmp_path / "beside").mkdir()
    shutil.copy(tmp_path / "alone" / "agent.zip", tmp_path / "beside" / "agent.zip")
    env.save(str(tmp_path / "beside" / "vecnormalize.pkl"))
    with pytest.warns(MesascopeWarning, match=r"but this agent was trained without one, so .* is not used"):
        beside = open_subject(str(tmp_path / "beside" / "agent.zip"), SMALL)
    alone = open_subject(str(tmp_path / "alone" / "agent.zip"), SMALL)
    assert beside.statistics is None
    acts = [rollout(one, SMALL, lifetimes=7).action.values for one in (alone, beside)]
    assert (acts[0] == acts[1]).all()
