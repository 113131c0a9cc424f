"""Time ppo_recurrent beside sb3-contrib's RecurrentPPO on (100, 5): python benchmarks/training.py.

Both: an LSTM of 64 units that policy and critic share, lifetimes of 100 pulls on 5 arms, 3 epochs of 4 minibatches of
whole lifetimes, the same inputs and the same reward. Theirs runs on a vectorised environment in NumPy, written here:
through mesascope.FamilyEnv it would mostly wait for JAX. 'usual' is theirs as most people run it, on a Gymnasium
environment in a DummyVecEnv. Then the seconds of training until 77.0 pulls in 100 pay;
theirs is cut off at --patience times ours. --quick leaves that out.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from mesascope.agents.networks.recurrent import Recurrent, create_network_for_family
from mesascope.keys import derive_key
from mesascope.recipes.descent import make_adam_state
from mesascope.recipes.lifetimes import compute_scale
from mesascope.recipes.ppo_recurrent import compute_clipped_loss, make_policy_objective
from mesascope.recipes.updates import make_update
from mesascope.rollouts.rollouts import rollout
from mesascope.worlds.bandits.families.bernoulli_bandit import family

ARMS, TRIALS, WIDTH, EPOCHS, MINIBATCHES = 5, 100, 64, 3, 4
PARALLEL = (16, 64, 256, 512)
SECONDS = 10.0  # of timing, after what compiles or warms up
GOAL, LOOK = 77.0, 15.0  # pulls that pay; seconds between looks
TESTED = 8192  # lifetimes of a look
BEST = TRIALS * ARMS / (ARMS + 1)  # exact: the best arm's mean
DISCOUNT, TRACE, CLIP, ENTROPY, RATE = 0.98, 0.95, 0.2, 0.02, 3e-3
UPDATES = 400  # over which the rate falls on both sides
BANDIT = family(arms=ARMS, trials=TRIALS)


class Ours:
    """ppo_recurrent, update by update."""

    def __init__(self, parallel: int):
        self.parallel, self.number, self.key = parallel, 0, jax.random.key(0)
        told = "action+feedback+trial+first"
        self.network: Recurrent = create_network_for_family(
            derive_key(self.key, "weights"), BANDIT, "lstm", WIDTH, told
        )
        self.memory = make_adam_state(self.network)
        told = {"lifetimes": parallel, "updates": UPDATES, "rate": RATE, "final_rate": RATE / 30}
        told |= {"entropy_weight": ENTROPY, "clip": CLIP}
        told |= {"discount": DISCOUNT, "trace": TRACE, "epochs": EPOCHS, "minibatches": MINIBATCHES}
        self.improve = make_update(
            BANDIT, told, Partial(make_policy_objective, scale=compute_scale(BANDIT), policy_loss=compute_clipped_loss)
        )

    def update(self) -> None:
        key = derive_key(self.key, "update", self.number)
        number = jnp.asarray(self.number)
        self.network, self.memory, score = self.improve(key, number, self.network, self.memory)
        self.number += 1
        score.block_until_ready()

    def reward(self) -> float:
        trials = rollout(self.network, BANDIT, lifetimes=TESTED, seed=7, should_keep_log_probs=False)
        return BEST - float((trials.best - trials.score).sum("trial").mean())


def bandits(parallel: int, seed: int) -> Any:
    """The same task as a vectorised environment of stable-baselines3 in NumPy."""
    from gymnasium.spaces import Box, Discrete
    from stable_baselines3.common.vec_env import VecEnv

    longest = (DISCOUNT ** np.arange(TRIALS)).sum()

    class Bandits(VecEnv):
        def __init__(self):
            space = Box(0.0, 1.0, (ARMS + 3,), np.float32)
            super().__init__(parallel, space, Discrete(ARMS))
            self.rng = np.random.default_rng(seed)

        def reset(self):
            self.trial, self.means = 0, self.rng.random((parallel, ARMS))
            self.regret = np.zeros(parallel)
            shown = np.zeros((parallel, ARMS + 3), np.float32)
            shown[:, -1] = 1.0
            return shown

        def step_async(self, actions):
            self.actions = np.asarray(actions)

        def step_wait(self):
            score = self.means[np.arange(parallel), self.actions]
            lost = self.means.max(1) - score
            self.regret += lost
            shown = np.zeros((parallel, ARMS + 3), np.float32)
            shown[np.arange(parallel), self.actions] = 1.0
            shown[:, -3] = self.rng.random(parallel) < score
            self.trial += 1
            shown[:, -2] = self.trial / TRIALS
            reward = -lost / (ARMS / (ARMS + 1) - 0.5) / longest
            over = self.trial == TRIALS
            done = np.full(parallel, over)
            infos: list[dict] = [{} for _ in range(parallel)]
            if over:
                for i in range(parallel):
                    infos[i]["terminal_observation"] = shown[i]
                self.finished = self.regret
                shown = self.reset()
            return shown, reward.astype(np.float32), done, infos

        def close(self):
            pass

        def get_attr(self, attr_name, indices=None):
            return [None] * parallel

        def set_attr(self, attr_name, value, indices=None):
            pass

        def env_method(self, method_name, *args, indices=None, **kwargs):
            return [None] * parallel

        def env_is_wrapped(self, wrapper_class, indices=None):
            return [False] * parallel

    return Bandits()


def single() -> Any:
    """The same task as a Gymnasium environment."""
    import gymnasium
    from gymnasium.spaces import Box, Discrete

    longest = (DISCOUNT ** np.arange(TRIALS)).sum()

    class Bandit(gymnasium.Env):
        observation_space, action_space = Box(0.0, 1.0, (ARMS + 3,), np.float32), Discrete(ARMS)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.trial, self.means = 0, self.np_random.random(ARMS)
            shown = np.zeros(ARMS + 3, np.float32)
            shown[-1] = 1.0
            return shown, {}

        def step(self, action):
            lost = self.means.max() - self.means[action]
            shown = np.zeros(ARMS + 3, np.float32)
            shown[action] = 1.0
            shown[-3] = self.np_random.random() < self.means[action]
            self.trial += 1
            shown[-2] = self.trial / TRIALS
            return shown, -lost / (ARMS / (ARMS + 1) - 0.5) / longest, self.trial == TRIALS, False, {}

    return Bandit


class Theirs:
    """RecurrentPPO, update by update."""

    def made(self, parallel: int) -> Any:
        return bandits(parallel, 0)

    def __init__(self, parallel: int):
        from sb3_contrib import RecurrentPPO

        self.parallel, self.number = parallel, 0
        shared = {"lstm_hidden_size": WIDTH, "shared_lstm": True, "enable_critic_lstm": False, "net_arch": []}
        self.model = RecurrentPPO(
            "MlpLstmPolicy",
            self.made(parallel),
            n_steps=TRIALS,
            batch_size=TRIALS * parallel // MINIBATCHES,
            n_epochs=EPOCHS,
            gamma=DISCOUNT,
            gae_lambda=TRACE,
            clip_range=CLIP,
            ent_coef=ENTROPY,
            learning_rate=RATE,
            policy_kwargs=shared,
            seed=0,
            device="cpu",
        )
        _, self.callback = self.model._setup_learn(10**9, None, True, "", False)

    def update(self) -> None:
        left = max(0.0, 1.0 - self.number / UPDATES)
        self.model._current_progress_remaining = left
        self.model.lr_schedule = lambda _: RATE * (1 / 30 + left * 29 / 30)
        self.model.ent_coef = ENTROPY * left
        self.model.collect_rollouts(self.model.env, self.callback, self.model.rollout_buffer, n_rollout_steps=TRIALS)
        self.model.train()
        self.number += 1

    def reward(self) -> float:
        world = bandits(TESTED, 7)
        shown, state, first = world.reset(), None, np.ones(TESTED, bool)
        for _ in range(TRIALS):
            action, state = self.model.predict(shown, state, first, deterministic=False)
            shown, _, first, _ = world.step(action)
        return BEST - float(world.finished.mean())


class Usual(Theirs):
    """The same on an environment as most people write one."""

    def made(self, parallel: int) -> Any:
        from stable_baselines3.common.env_util import make_vec_env

        return make_vec_env(single(), n_envs=parallel, seed=0)


def speed(made: Any) -> float:
    """Environment steps per second of training, the first update left out."""
    made.update()
    start, first = time.perf_counter(), made.number
    while time.perf_counter() - start < SECONDS:
        made.update()
    return (made.number - first) * made.parallel * TRIALS / (time.perf_counter() - start)


def reach(made: Any, longest: float) -> tuple[float | None, float, float]:
    """Seconds of training until GOAL, None where not within `longest`; the seconds trained, the last reward seen."""
    spent, looked, reward = 0.0, 0.0, 0.0
    while spent < longest:
        start = time.perf_counter()
        made.update()
        spent += time.perf_counter() - start
        if spent - looked >= LOOK or spent >= longest:
            looked, reward = spent, made.reward()
            print(f"{type(made).__name__}: {reward:.2f} after {spent:.0f} s", file=sys.stderr)
            if reward >= GOAL:
                return spent, spent, reward
    return None, spent, reward


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--patience", type=float, default=10.0)
    asked = parser.parse_args()
    try:
        import sb3_contrib
        import torch
    except ImportError as error:
        print(f"{error}. Their side needs two packages: pip install stable-baselines3 sb3-contrib", file=sys.stderr)
        return 2
    told: dict[str, Any] = {"load": os.getloadavg()[0], "cores": os.cpu_count()}
    told |= {"versions": {"jax": jax.__version__, "torch": torch.__version__, "sb3_contrib": sb3_contrib.__version__}}
    for side in (Ours, Theirs, Usual):
        rates = {}
        for parallel in PARALLEL:
            rates[parallel] = speed(side(parallel))
            print(f"{side.__name__}: {rates[parallel]:,.0f} steps/s, {parallel} environments", file=sys.stderr)
        told[side.__name__.lower()] = rates
    told["ratio"] = max(told["ours"].values()) / max(told["theirs"].values())
    told["ratio to usual"] = max(told["ours"].values()) / max(told["usual"].values())
    if not asked.quick:
        best = {side: max(told[side], key=told[side].get) for side in ("ours", "theirs")}
        seconds, spent, reward = reach(Ours(best["ours"]), 3600.0)
        told["ours to goal"] = {"seconds": seconds, "trained": spent, "reward": reward}
        seconds, spent, reward = reach(Theirs(best["theirs"]), asked.patience * spent)
        told["theirs to goal"] = {"seconds": seconds, "trained": spent, "reward": reward}
    told["load after"] = os.getloadavg()[0]
    if asked.json:
        print(json.dumps(told))
        return 0
    for side in ("ours", "theirs", "usual"):
        print(f"{side}: " + ", ".join(f"{n}: {rate:,.0f}" for n, rate in told[side].items()) + " steps/s")
    print(f"best against best: {told['ratio']:.1f} times, as usual {told['ratio to usual']:.1f} times")
    for side in ("ours", "theirs") if not asked.quick else ():
        to = told[f"{side} to goal"]
        when = f"in {to['seconds']:.0f} s" if to["seconds"] else f"not in {to['trained']:.0f} s ({to['reward']:.2f})"
        print(f"{side}: {GOAL} {when}")
    print(f"load {told['load']:.1f} before, {told['load after']:.1f} after, {told['cores']} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
