"""Small environments whose every number is known, and some that misbehave."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv


class Corridor(gymnasium.Env):
    """Starts at a place that the seed decides; action 1 goes on, 0 back; pays 1 at the end and -0.25 for every step.

    The observation is the place and the width, so what an episode pays follows from what was done.
    """

    def __init__(self, width=4, slip=0.0):
        self.width, self.slip = width, slip
        self.observation_space = spaces.Box(0.0, 20.0, (2,), np.float32)
        self.action_space = spaces.Discrete(2)

    def _seen(self):
        return np.array([self.place, self.width], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = (options or {}).get("place", int(self.np_random.integers(self.width - 1)))
        return self._seen(), {}

    def step(self, action):
        slipped = self.np_random.random() < self.slip
        self.place = min(max(self.place + (1 if (action == 1) != slipped else -1), 0), self.width)
        over = self.place == self.width
        return self._seen(), float(over) - 0.25, over, False, {"worth": -0.25}


class Arms(gymnasium.Env):
    """A bandit whose episode is one pull; with `remembers` the observation counts wins and pulls over the lifetime."""

    def __init__(self, means=(0.8, 0.2, 0.4), remembers=False):
        self.means, self.remembers = means, remembers
        self.told = np.zeros(2 * len(means), np.float32)
        self.observation_space = spaces.Box(0, np.inf, (2 * len(means) if remembers else 1,), np.float32)
        self.action_space = spaces.Discrete(len(means))

    def _seen(self):
        return self.told.copy() if self.remembers else np.zeros(1, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._seen(), {}

    def step(self, action):
        paid = float(self.np_random.random() < self.means[action])
        self.told[2 * action] += paid
        self.told[2 * action + 1] += 1
        return self._seen(), paid, True, False, {"worth": self.means[action]}


class Stacked(Corridor):
    """Shows its last three observations side by side, without any wrapper that says so."""

    def __init__(self):
        super().__init__(width=19)
        self.observation_space = spaces.Box(0.0, 20.0, (6,), np.float32)

    def reset(self, *, seed=None, options=None):
        seen, info = super().reset(seed=seed, options=options)
        self.kept = [seen] * 3
        return np.concatenate(self.kept), info

    def step(self, action):
        seen, *rest = super().step(action)
        self.kept = [*self.kept[1:], seen]
        return np.concatenate(self.kept), *rest


class Odd(Corridor):
    """Misbehaves in one way from the second step on, or at reset."""

    def __init__(self, how="fine"):
        super().__init__(width=9)
        self.how = how
        if how == "pairs":
            self.action_space = spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2)))
        if how == "one action":
            self.action_space = spaces.Discrete(1)
        if how == "text":
            self.observation_space = spaces.Sequence(spaces.Discrete(3))
        if how == "huge":
            self.observation_space = spaces.Box(0, 1, (3000, 3000), np.float32)

    def reset(self, *, seed=None, options=None):
        seen, info = super().reset(seed=seed, options=options)
        self.place, self.steps = 0, 0
        return seen if self.how == "old reset" else (seen, info)

    def step(self, action):
        seen, reward, over, cut, info = super().step(action)
        self.steps += 1
        if self.steps < 2:
            return seen, reward, over, cut, info
        if self.how == "raises":
            raise ZeroDivisionError("nought")
        seen = {"outside": seen + 40, "shape": seen[:1], "nan seen": seen * np.nan, "words": "here"}.get(self.how, seen)
        reward = {"nan paid": np.nan, "endless": np.inf, "none paid": None}.get(self.how, reward)
        return (seen, reward, over, info) if self.how == "old step" else (seen, reward, over, cut, info)


def batched(mode, told=None, liar=False, many=1):
    """The corridor as a vector environment that resets itself in a mode, or says so."""

    def make(num_envs=1, max_episode_steps=5, **given):
        does = AutoresetMode.SAME_STEP if liar else mode
        cut = [lambda: gymnasium.wrappers.TimeLimit(Corridor(**given), max_episode_steps)] * (num_envs * many)
        made = SyncVectorEnv(cut, autoreset_mode=does)
        made.metadata = {**made.metadata, "autoreset_mode": mode if told is None else told}
        return made

    return make


class Endless(SyncVectorEnv):
    """A vector environment that says a limit and does not keep it."""

    def __init__(self, num_envs=1, max_episode_steps=5):
        super().__init__([lambda: Corridor(width=19)] * num_envs)


def register():
    """Puts them into Gymnasium's registry, once."""
    if "Corridor-v0" in gymnasium.registry:
        return
    gymnasium.register("Corridor-v0", Corridor, max_episode_steps=5, reward_threshold=0.75)
    gymnasium.register("Unlimited-v0", Corridor)
    gymnasium.register("Arms-v0", Arms, max_episode_steps=1, reward_threshold=1.0)
    gymnasium.register("Odd-v0", Odd, max_episode_steps=5, reward_threshold=1.0)
    for mode in AutoresetMode:
        name = f"{mode.value}-v0"
        gymnasium.register(name, vector_entry_point=batched(mode), max_episode_steps=5, reward_threshold=0.75)
    lying = batched(AutoresetMode.NEXT_STEP, liar=True)
    gymnasium.register("Liar-v0", vector_entry_point=lying, max_episode_steps=5, reward_threshold=1)
    unheard = batched(AutoresetMode.NEXT_STEP, told="Sometimes")
    gymnasium.register("Unheard-v0", vector_entry_point=unheard, max_episode_steps=5, reward_threshold=1)
    crowd = batched(AutoresetMode.NEXT_STEP, many=2)
    gymnasium.register("Crowd-v0", vector_entry_point=crowd, max_episode_steps=5, reward_threshold=1)
    gymnasium.register("Endless-v0", vector_entry_point=Endless, max_episode_steps=5, reward_threshold=1)


def drawn_arms(rng, split):
    """Means of three arms, wider apart on the split 'shifted:far'."""
    means = rng.permutation([0.9, 0.1, 0.1]) if split == "shifted:far" else rng.uniform(size=3)
    return {"means": tuple(float(m) for m in means)}


drawn_arms.splits = ("shifted:far",)  # pyright: ignore[reportFunctionMemberAccess]
register()


class Lifetime(gymnasium.Env):
    """A bandit whose episode is a whole lifetime, as in RL²: last action and reward stand in the observation."""

    def __init__(self, arms=3, pulls=20, tells=True):
        self.arms, self.pulls, self.tells = arms, pulls, tells
        self.observation_space = spaces.Box(-1.0, 2.0, (arms + 1,), np.float32)
        self.action_space = spaces.Discrete(arms)

    def _seen(self, action=None, paid=0.0):
        seen = np.zeros(self.arms + 1, np.float32)
        if action is not None:
            seen[action], seen[-1] = 1.0, 2 * paid - 0.5 if self.tells else 0.0
        return seen

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.means, self.pulled = self.np_random.random(self.arms), 0
        return self._seen(), {}

    def step(self, action):
        paid = float(self.np_random.random() < self.means[action])
        self.pulled += 1
        return self._seen(action, paid), paid, self.pulled >= self.pulls, False, {"worth": float(self.means[action])}
