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
from sb3_contrib import MaskablePPO  # noqa: E402
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


UNSEEN = pytest.mark.filterwarnings("ignore:.*do not show the last reward")


class Tickets(gymnasium.Env):
    """Shows a number, allows two of three actions, and pays .9 for the allowed action that is shown, else .1."""

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(3)
    says = "info"

    def _show(self):
        self.closed, self.shown = (int(x) for x in self.np_random.permutation(3)[:2])
        return self.shown, ({"action_mask": self.action_masks()} if self.says == "info" else {})

    def action_masks(self):
        return np.arange(3) != self.closed

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._show()

    def step(self, action):
        assert action != self.closed, "it was not allowed"
        paid = float(self.np_random.random() < (0.9 if action == self.shown else 0.1))
        shown, info = self._show()
        return shown, paid, False, False, info


class AsksTheEnvironment(Tickets):
    says = "method"


class SaysNothing(gymnasium.Env):
    observation_space, action_space = Tickets.observation_space, Tickets.action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return int(self.np_random.integers(3)), float(self.np_random.random() < 0.5), False, False, {}


@pytest.mark.parametrize("env", [Tickets, AsksTheEnvironment])
@UNSEEN
def test_masks_of_allowed_actions_reach_the_policy_that_was_trained_with_them(tmp_path, env):
    model = MaskablePPO("MlpPolicy", env(), n_steps=64, batch_size=64, seed=0, device="cpu")
    model.learn(64)
    model.save(tmp_path / "masked.zip")
    home = family(env=env, episodes=1, steps=8, best="0.9", trial="step")
    assert (home.mask_size, home.observation_shape) == (3, (6,))
    one = open_subject(str(tmp_path / "masked.zip"), home)
    _, percept = home.begin(jax.random.key(0), home.draw(jax.random.key(1), 7))
    shown, masks = percept.observation[:, :3].argmax(-1), percept.observation[:, 3:] > 0
    given = np.exp(one.respond(jax.random.key(0), one.initialize_carry(7), percept)[1].log_probs)
    assert (masks.sum(-1) == 2).all() and (given[~masks] < 1e-6).all()
    with torch.no_grad():
        want = model.policy.get_distribution(torch.tensor(shown), action_masks=masks).distribution.probs.numpy()
    assert np.allclose(given, want, atol=1e-5)
    lived = rollout(one, home, lifetimes=64)
    assert np.isfinite(lived.feedback.values).all()  # the environment refuses what it does not allow
    # actions that are not allowed are exchanged for allowed ones, so random play earns the mean of the two
    earned = float(rollout("uniform", home, lifetimes=256).feedback.mean())
    assert abs(earned - 0.5) < 4 * 0.5 / np.sqrt(256 * 8)


@UNSEEN
def test_an_agent_with_masks_in_an_environment_without_is_refused_unless_it_is_to_go_without(tmp_path):
    model = MaskablePPO("MlpPolicy", Tickets(), n_steps=8, batch_size=8, seed=0, device="cpu")
    model.save(tmp_path / "masked.zip")
    home = family(env=SaysNothing, episodes=1, steps=8, best="0.9", chance="0.4", trial="step")
    assert home.mask_size == 0
    with pytest.raises(MesascopeError, match="does not say which actions are allowed") as refused:
        open_subject(str(tmp_path / "masked.zip"), home)
    assert "masks=none" in refused.value.remedy
    assert catalogue.make("subjects", f"sb3:path={tmp_path}/masked.zip,masks=none", home).mask_size == 0


@UNSEEN
def test_an_agent_that_was_trained_without_masks_does_not_see_them(tmp_path):
    model = PPO("MlpPolicy", SaysNothing(), n_steps=8, batch_size=8, seed=0, device="cpu")
    model.save(tmp_path / "plain.zip")
    home = family(env=Tickets, episodes=1, steps=8, best="0.9", trial="step")
    one = open_subject(str(tmp_path / "plain.zip"), home)
    assert one.observe.width == 3 and one.mask_size == 0


def test_a_mask_that_allows_nothing_is_named():
    class Shut(Tickets):
        def action_masks(self):
            return np.zeros(3, bool)

    with pytest.raises(MesascopeError, match=r"at reset the action mask of .* is .*False"):
        family(env=Shut, episodes=1, steps=8, best="0.9", chance="0.4", trial="step")
