"""Zips of stable-baselines3 and sb3-contrib: trained here, read back, and examined as their native twins."""

from __future__ import annotations

import sys
import types
from typing import ClassVar

import gymnasium
import jax
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'sb3'")
pytest.importorskip("sb3_contrib", reason="needs the extra 'sb3'")

import torch
from sb3_contrib import ARS, QRDQN, TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize

from mesascope import FamilyEnv, catalogue, rollout
from mesascope.agents.opening import find_adapter, open_subject
from mesascope.contracts import Percept, ScriptedSubject, choose
from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.rollouts.leaks import refuse_leaks
from tests.subjects.adapters import agents
from tests.subjects.adapters.readings import FAMILY, chances, same

SMALL = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
LAYERS = {"net_arch": {"pi": [6], "vf": [6]}, "activation_fn": torch.nn.ReLU}
EPSILON = 0.1


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Agents trained for seconds on our own environment, and their zips."""
    folder, env = tmp_path_factory.mktemp("zips"), FamilyEnv(SMALL)
    short = {"seed": 0, "device": "cpu"}
    made = {
        "RecurrentPPO": RecurrentPPO(
            "MlpLstmPolicy", env, n_steps=66, batch_size=66, policy_kwargs={"lstm_hidden_size": 8}, **short
        ),
        "DQN": DQN("MlpPolicy", env, learning_starts=20, policy_kwargs={"net_arch": [16]}, **short),
        "QRDQN": QRDQN("MlpPolicy", env, learning_starts=20, policy_kwargs={"n_quantiles": 5}, **short),
        "A2C": A2C("MlpPolicy", env, **short),
        "PPO": PPO("MlpPolicy", env, n_steps=66, batch_size=66, policy_kwargs=LAYERS, **short),
    }
    for name, model in made.items():
        model.learn(132)
        model.save(folder / name)
    return folder, made


def percept(n, trial, action, paid):
    still = np.zeros(n, np.int32)
    action = still + action if trial else still - 1
    return Percept(np.zeros((n, 0)), action, still + np.float32(paid), still + trial, still, still + trial == 0)


def test_a_recurrent_agent_acts_on_our_family_as_on_our_environment(trained):
    folder, made = trained
    one = open_subject(str(folder / "RecurrentPPO.zip"), SMALL)
    assert one.name == f"sb3:path={folder}/RecurrentPPO.zip,stochastic=True"
    model, env = made["RecurrentPPO"], FamilyEnv(SMALL)
    seen, _ = env.reset(seed=3)
    state, starts, carry, key = None, np.ones(1, bool), one.initialize_carry(1), jax.random.key(0)
    now = percept(1, 0, 0, 0)
    for t in range(11):
        assert np.allclose(one.observe(now)[0], seen, atol=1e-7)
        action, state = model.predict(seen[None], state=state, episode_start=starts, deterministic=True)
        carry, response = one.respond(key, carry, now)
        assert response.log_probs[0].argmax() == action[0]
        assert np.allclose(one.read_taps(carry)["lstm_actor.h"], state[0][0], atol=1e-6)
        assert np.allclose(one.read_taps(carry)["lstm_actor.c"], state[1][0], atol=1e-6)
        taken = (t * 2) % 3
        seen, reward, *_ = env.step(taken)
        starts, now = np.zeros(1, bool), percept(1, t + 1, taken, reward)
    refuse_leaks(one, SMALL)


def test_episode_start_is_the_reset(trained):
    folder, _ = trained
    by = {
        e: catalogue.make("subjects", f"sb3:path={folder}/RecurrentPPO.zip,episode={e}", SMALL)
        for e in ("lifetime", "trial")
    }
    once, every = by["lifetime"], by["trial"]
    assert every.name.endswith("episode=trial")
    key, carry, held = jax.random.key(0), once.initialize_carry(7), every.initialize_carry(7)
    for t in range(4):
        now = percept(7, t, t % 3, 1)
        after, response = once.respond(key, carry, now)
        afresh = once.respond(key, once.initialize_carry(7), now)[1]
        held, reset = every.respond(key, held, now)
        assert np.allclose(reset.log_probs, afresh.log_probs, atol=1e-6)
        assert t == 0 or np.abs(response.log_probs - afresh.log_probs).max() > 1e-6
        again = once.respond(key, after, percept(7, 0, 0, 0))[1]  # a lifetime begins: nothing is left
        assert np.allclose(
            again.log_probs, once.respond(key, once.initialize_carry(7), percept(7, 0, 0, 0))[1].log_probs, atol=1e-6
        )
        carry = after


@pytest.mark.parametrize("name", ["DQN", "QRDQN", "A2C", "PPO"])
def test_the_class_is_read_from_the_file_and_chooses_as_the_model(trained, name):
    folder, made = trained
    model, path = made[name], str(folder / f"{name}.zip")
    one, best = (open_subject(path, SMALL), catalogue.make("subjects", f"sb3:path={path},stochastic=false", SMALL))
    assert type(one.module) is type(model.policy)
    assert find_adapter(path) == "sb3"
    lived = rollout(one, SMALL, lifetimes=7)
    action, paid = lived.action.values[0], lived.feedback.values[0]
    for t in range(1, 11):
        seen = one.observe(percept(7, t, action[:, t - 1], paid[:, t - 1]))
        greedy = model.predict(seen, deterministic=True)[0]
        given = best.respond(
            jax.random.key(0), best.initialize_carry(7), percept(7, t, action[:, t - 1], paid[:, t - 1])
        )[1]
        assert (np.asarray(given.action) == greedy).all()
        if name in ("A2C", "PPO"):
            with torch.no_grad():
                told = model.policy.get_distribution(torch.tensor(seen)).distribution.probs.numpy()
        else:
            rate = model.exploration_rate
            told = np.full((7, 3), rate / 3) + (1 - rate) * np.eye(3)[greedy]
        assert np.allclose(chances(lived)[:, t], told, atol=1e-5)
    assert set(one.hash_weights()) == set(model.policy.state_dict())
    twin = one.make_untrained_twin(5)
    assert all(twin.hash_weights()[k] != v for k, v in one.hash_weights().items() if k.endswith("weight"))


@pytest.mark.parametrize(("kind", "policy"), [(MaskablePPO, "MlpPolicy"), (TRPO, "MlpPolicy"), (ARS, "LinearPolicy")])
def test_other_classes_open_too(tmp_path, kind, policy):
    model = kind(policy, FamilyEnv(SMALL), device="cpu", seed=0)
    model.save(tmp_path / "agent.zip")
    masks = ",masks=none" if kind is MaskablePPO else ""
    one = catalogue.make("subjects", f"sb3:path={tmp_path}/agent.zip{masks}", SMALL)
    best = catalogue.make("subjects", f"sb3:path={tmp_path}/agent.zip,stochastic=false{masks}", SMALL)
    now = percept(7, 3, np.arange(7) % 3, 1)
    greedy = model.predict(one.observe(now), deterministic=True)[0]
    assert (np.asarray(best.respond(jax.random.key(0), (), now)[1].action) == greedy).all()
    assert np.allclose(np.exp(one.respond(jax.random.key(0), {}, now)[1].log_probs).sum(1), 1, atol=1e-5)


def test_stacked_observations_are_carried(tmp_path):
    env = VecFrameStack(DummyVecEnv([lambda: FamilyEnv(SMALL)]), 4)
    model = PPO("MlpPolicy", env, policy_kwargs=LAYERS, device="cpu", seed=0)
    model.save(tmp_path / "stack.zip")
    one = catalogue.make("subjects", f"sb3:path={tmp_path}/stack.zip,stack=4", SMALL)
    seen, carry, now = env.reset(), one.initialize_carry(1), percept(1, 0, 0, 0)
    for t in range(7):
        with torch.no_grad():
            told = model.policy.get_distribution(torch.tensor(seen)).distribution.logits.numpy()
        carry, response = one.respond(jax.random.key(0), carry, now)
        assert np.allclose(response.log_probs, told, atol=1e-5)
        seen, reward, *_ = env.step(np.array([t % 3]))
        now = percept(1, t + 1, t % 3, reward[0])


@pytest.mark.parametrize("kind", [SAC, PPO])
def test_real_valued_actions(tmp_path, kind):
    family = catalogue.make("families", "linear_regression")
    env = FamilyEnv(family)
    if kind is SAC:
        env.action_space = gymnasium.spaces.Box(-2, 2, (1,), np.float32)
    model = kind("MlpPolicy", env, policy_kwargs={"net_arch": [4]}, device="cpu", seed=0)
    model.save(tmp_path / "real.zip")
    one = catalogue.make("subjects", f"sb3:path={tmp_path}/real.zip,stochastic=false", family)
    shown = np.random.default_rng(0).normal(size=(7, family.observation_shape[0])).astype(np.float32)
    now = percept(7, 1, 0, 0.25)._replace(observation=shown, action=np.full(7, 0.5, np.float32))
    told = model.predict(one.observe(now), deterministic=True)[0][:, 0]
    carry, response = one.respond(jax.random.key(0), one.initialize_carry(7), now)
    assert np.allclose(response.action, told, atol=1e-6) and response.log_probs is None
    drawn = catalogue.make("subjects", f"sb3:path={tmp_path}/real.zip", family)
    first, again, other = (drawn.respond(jax.random.key(k), carry, now)[1].action for k in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_hooks_name_the_policy_s_own_modules(trained):
    folder, _ = trained
    one = catalogue.make("subjects", f"sb3:path={folder}/RecurrentPPO.zip,hooks=action_net+lstm_*", SMALL)
    carry, response = one.respond(jax.random.key(0), one.initialize_carry(7), percept(7, 0, 0, 0))
    taps = one.read_taps(carry)
    assert {k: v.shape for k, v in taps.items()} == {
        "lstm_actor.h": (7, 8),
        "lstm_actor.c": (7, 8),
        "lstm_actor": (7, 8),
        "action_net": (7, 3),
    }
    assert np.allclose(torch.log_softmax(torch.tensor(taps["action_net"]), 1), response.log_probs, atol=1e-6)


def test_an_acquiring_recurrent_ppo_reads_as_rescorla_wagner(reader, tmp_path):
    settings = {"lstm_hidden_size": 3, "net_arch": [], "enable_critic_lstm": False}
    model = RecurrentPPO("MlpLstmPolicy", FamilyEnv(FAMILY), policy_kwargs=settings, device="cpu")
    agents.rescorla_wagner_lstm(model.policy, 3)
    model.save(tmp_path / "rw.zip")
    got = reader.read(str(tmp_path / "rw.zip"))
    twin = reader.read(f"rescorla_wagner:rate={agents.RATE},beta={agents.BETA}")
    same(got, twin, moved=0.02)
    assert got[1].lowest in ("acquiring", "locating")


def test_a_reflex_in_ppo_reads_as_win_stay_lose_shift(reader, tmp_path):
    model = PPO("MlpPolicy", FamilyEnv(FAMILY), policy_kwargs=LAYERS, device="cpu")
    agents.reflex(model.policy.mlp_extractor.policy_net[0], model.policy.action_net, 3)
    model.save(tmp_path / "reflex.zip")
    got = reader.read(str(tmp_path / "reflex.zip"))
    same(got, reader.read("win_stay_lose_shift"))
    assert got[1].level == "reactive"


class Onward(ScriptedSubject):
    """The same arm after a win, the next one after a loss, any in a tenth of the trials."""

    name: str = "onward"
    is_traceable: ClassVar = False

    def initialize_carry(self, n):
        return ()

    def respond(self, key, carry, percept):
        last, won = np.asarray(percept.action), np.asarray(percept.feedback) > 0.5
        best = np.where(last < 0, 0, np.where(won, last, (last + 1) % 3))
        return carry, choose(key, np.log(EPSILON / 3 + (1 - EPSILON) * np.eye(3)[best]).astype(np.float32))


def test_a_reflex_in_dqn_reads_as_the_same_rule_by_hand(reader, tmp_path):
    model = DQN("MlpPolicy", FamilyEnv(FAMILY), policy_kwargs={"net_arch": [6]}, device="cpu")
    hidden, _, out = model.policy.q_net.q_net
    with torch.no_grad():
        agents.reflex(hidden, out, 3)
        won, pulled = torch.eye(3), torch.roll(torch.eye(3), 1, 0)
        out.weight.copy_(torch.cat([won - pulled, pulled], 1))
    model.exploration_rate = EPSILON
    model.save(tmp_path / "onward.zip")
    got = reader.read(str(tmp_path / "onward.zip"))
    twin = reader.read(Onward())
    same(got, twin)
    assert np.allclose(chances(twin[0]), chances(got[0]), atol=1e-6)
    assert got[1].level == "reactive"
    assert got[0].attrs["subject"] == f"sb3:path={tmp_path}/onward.zip,stochastic=True,epsilon=0.1"


def test_a_zip_of_an_old_version_opens_as_it_is(trained, tmp_path, monkeypatch):
    """As stable-baselines3 1.0 wrote it: spaces of gym, which is gone, and schedules of a module that moved."""
    folder, made = trained

    class Box:
        def __init__(self, space):
            self.dtype, self.shape, self.np_random = space.dtype, space.shape, None
            self.low, self.high = space.low, space.high

    class Discrete:
        def __init__(self, n):
            self.n, self.shape, self.dtype = n, (), np.dtype("int64")

    gone = types.ModuleType("gym.spaces")
    for kind in (Box, Discrete):
        kind.__module__, kind.__qualname__ = "gym.spaces", kind.__name__
        setattr(gone, kind.__name__, kind)
    with monkeypatch.context() as there:
        there.setitem(sys.modules, "gym", types.ModuleType("gym"))
        there.setitem(sys.modules, "gym.spaces", gone)
        old = agents.rewritten(
            folder / "PPO.zip",
            tmp_path / "old.zip",
            observation_space=agents.pickled(Box(made["PPO"].observation_space)),
            action_space=agents.pickled(Discrete(3)),
            lr_schedule=agents.pickled(Box(made["PPO"].observation_space)),
        )
    with pytest.raises(ModuleNotFoundError, match="gym"):
        PPO.load(old, device="cpu")
    one, now = open_subject(old, SMALL), open_subject(str(folder / "PPO.zip"), SMALL)
    assert one.hash_weights() == now.hash_weights()
    assert (rollout(one, SMALL, lifetimes=7).action.values == rollout(now, SMALL, lifetimes=7).action.values).all()


def test_observations_are_normalised_as_in_training(tmp_path):
    env = VecNormalize(DummyVecEnv([lambda: FamilyEnv(SMALL)]), clip_obs=1.5)
    model = A2C("MlpPolicy", env, seed=0, device="cpu")
    model.learn(60)
    model.save(tmp_path / "agent.zip")
    path = str(tmp_path / "agent.zip")
    with pytest.raises(MesascopeError, match="with VecNormalize, but there is no file of statistics beside it"):
        open_subject(path, SMALL)
    env.save(str(tmp_path / "VecNormalize.pkl"))
    with pytest.warns(MesascopeWarning, match="There is a VecNormalize file beside"):
        one = open_subject(path, SMALL)
    assert one.name.endswith("VecNormalize.pkl")
    now = percept(7, 3, 2, 1)
    seen = env.normalize_obs(one.observe(now))
    with torch.no_grad():
        told = model.policy.get_distribution(torch.tensor(seen)).distribution.logits.numpy()
    given = one.respond(jax.random.key(0), one.initialize_carry(7), now)[1].log_probs
    assert np.allclose(given, told, atol=1e-5)
    with pytest.warns(MesascopeWarning, match="but its observations are not normalised now"):
        without = catalogue.make("subjects", f"sb3:path={path},normalize=none", SMALL)
    assert np.abs(without.respond(jax.random.key(0), without.initialize_carry(7), now)[1].log_probs - told).max() > 1e-3
    (tmp_path / "other").mkdir()
    env.save(str(tmp_path / "other" / "v.pkl"))
    named = catalogue.make("subjects", f"sb3:path={path},normalize={tmp_path}/other/v.pkl", SMALL)
    assert np.allclose(named.respond(jax.random.key(0), named.initialize_carry(7), now)[1].log_probs, told, atol=1e-5)


def test_it_does_not_fit_another_family(trained):
    folder, _ = trained
    wide = catalogue.make("families", "bernoulli_bandit:arms=4,trials=11")
    with pytest.raises(MesascopeError, match=r"has the action space Discrete\(3\), but .* has 4 actions"):
        open_subject(str(folder / "PPO.zip"), wide)
    cued = catalogue.make("families", "beta_bernoulli")
    two = catalogue.make("subjects", f"sb3:path={folder}/PPO.zip", SMALL)
    assert "+".join(two.observe.parts) == "observation+action+feedback+trial+first"
    with pytest.raises(MesascopeError):
        open_subject(str(folder / "PPO.zip"), cued)
    with pytest.raises(MesascopeError, match=r"takes 6 numbers, but action of .* has 3"):
        catalogue.make("subjects", f"sb3:path={folder}/PPO.zip,observes=action", SMALL)
