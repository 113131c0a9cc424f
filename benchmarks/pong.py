"""Time dqn_atari beside stable-baselines3's DQN on Pong: python benchmarks/pong.py [--updates N] [--json].

Both play the same games in ale-py's vector environment, 16 at a time on one thread, see the same four frames of 33 by
40 and have the same network, batch, replay and ratio of updates to steps; theirs has the same inputs scaled the
same way. Ours is double and looks four steps ahead, theirs is neither: they differ in what is learned per update, which
this does not time. Each is timed over the same number of updates, alternating, after what compiles or warms up.

With --reached U,S (updates and CPU seconds of ours at a training score of +15, from the curve of a training) theirs is
extrapolated: the same number of updates at its own speed. That is generous to it where it needs more of them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import jax
import numpy as np

from mesascope.recipes.training_loop import Checkpoint, TrainingRun
from mesascope.worlds.pong.recipes import dqn_atari as ours
from mesascope.worlds.pong.subjects.q_network import FIELD_GREY, GREY_SCALE, LAYERS, STACK_SIZE, Sizes, create_weights
from mesascope.worlds.pong.vector_games import VectorGames

GAMES, BATCH, STEPS, REPLAY, BEFORE, HIDDEN, ROUNDS = 16, 32, 4, 50_000, 10_000, 128, 3
WARM = 100  # updates that are not timed


class Ours:
    """The recipe's own loop."""

    def __init__(self) -> None:
        settings = {
            **{
                "updates": 10**9,
                "steps": STEPS,
                "environments": GAMES,
                "threads": 1,
                "batch": BATCH,
                "return_steps": 4,
            },
            **{"discount": 0.99, "rate": 2.5e-4, "final_rate": 2.5e-4, "target_every": 1000, "replay": REPLAY},
            **{"first_steps": BEFORE, "exploration_steps": 1, "epsilon": 0.01, "seed": 0},
        }
        weights = create_weights(jax.random.key(0), Sizes(33, 40, STACK_SIZE, HIDDEN, 3))
        state = ours.State(weights, weights, ours.OPTIMISER.init(weights))
        run = TrainingRun("dqn_atari", None, settings, 1, lambda state: ({}, {}))  # pyright: ignore[reportArgumentType]
        self.loop = ours.play_and_update(run, Checkpoint(state, 0, 0, 0, ()))
        self.done = self.steps = 0

    def go(self, updates: int) -> None:
        goal = self.done + updates
        while self.done < goal:
            kept = next(self.loop)
            self.done, self.steps = kept.done, kept.steps
        jax.block_until_ready(kept.state)


class Theirs:
    """stable-baselines3's DQN, its own loop and replay."""

    def __init__(self) -> None:
        import torch
        from stable_baselines3 import DQN

        torch.set_num_threads(1)
        told = {"features_extractor_class": extractor(), "net_arch": [], "normalize_images": False}
        self.model = DQN(
            *("CnnPolicy", vectorised()),
            **{"learning_rate": 2.5e-4, "buffer_size": REPLAY, "learning_starts": BEFORE, "batch_size": BATCH},
            **{"train_freq": (1, "step"), "gradient_steps": GAMES // STEPS, "target_update_interval": 4 * 1000},
            **{"exploration_fraction": 1e-9, "exploration_final_eps": 0.01, "policy_kwargs": told, "seed": 0},
        )
        self.begun = False
        self.done = self.steps = 0

    def go(self, updates: int) -> None:
        more = updates * STEPS + (0 if self.begun else BEFORE)
        self.model.learn(more, reset_num_timesteps=not self.begun)
        self.begun, self.done, self.steps = True, self.model._n_updates, self.model.num_timesteps


def extractor() -> Any:
    """Our layers in PyTorch."""
    import torch
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
    from torch import nn

    class Layers(BaseFeaturesExtractor):
        def __init__(self, space: Any) -> None:
            super().__init__(space, HIDDEN)
            (a, s, c), (b, t, d) = LAYERS
            convolutions = [nn.Conv2d(STACK_SIZE, c, a, s), nn.ReLU(), nn.Conv2d(c, d, b, t), nn.ReLU(), nn.Flatten()]
            flat = nn.Sequential(*convolutions)(torch.zeros(1, *space.shape)).shape[1]
            self.net = nn.Sequential(*convolutions, nn.Linear(flat, HIDDEN), nn.ReLU())

        def forward(self, seen: Any) -> Any:
            return self.net((seen.float() - FIELD_GREY) / GREY_SCALE)

    return Layers


def vectorised() -> Any:
    """The same games as one of their vectorised environments."""
    import gymnasium
    from stable_baselines3.common.vec_env import VecEnv

    class Table(VecEnv):
        def __init__(self) -> None:
            shape = (STACK_SIZE, *VectorGames.shape)
            box = gymnasium.spaces.Box(0, 255, shape, np.uint8)
            super().__init__(GAMES, box, gymnasium.spaces.Discrete(3))
            self.games = VectorGames(GAMES, 1, 0)
            self.age = np.zeros(GAMES, int)

        def reset(self) -> Any:
            self.stacks = ours.push_frame(ours.make_empty_stacks(self.games), self.games.frame, self.age)
            return self.stacks

        def step_async(self, actions: Any) -> None:
            self.games.send(np.asarray(actions))

        def step_wait(self) -> Any:
            frame, reward, over, fake = self.games.receive_results()
            self.age = np.where(fake, 0, self.age + 1)
            self.stacks = ours.push_frame(self.stacks, frame, self.age)
            told = [{"terminal_observation": s} if o else {} for s, o in zip(self.stacks, over, strict=True)]
            return self.stacks, reward, over, told

        def close(self) -> None:
            pass

        def get_attr(self, name: str, indices: Any = None) -> list[Any]:
            return [None] * GAMES

        def set_attr(self, name: str, value: Any, indices: Any = None) -> None:
            pass

        def env_method(self, name: str, *given: Any, indices: Any = None, **named: Any) -> list[Any]:
            return [None] * GAMES

        def env_is_wrapped(self, wrapper: Any, indices: Any = None) -> list[bool]:
            return [False] * GAMES

    return Table()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=500, help="of each in each of three rounds")
    parser.add_argument("--reached", default="", help="updates,cpu_seconds of ours at a training score of +15")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    sides = {"ours": Ours(), "stable-baselines3": Theirs()}
    for side in sides.values():
        side.go(WARM)
    took: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            wall, cpu, done, steps = time.perf_counter(), time.process_time(), side.done, side.steps
            side.go(told.updates)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            made, lived = side.done - done, side.steps - steps
            took[name].append(
                {
                    **{"updates_per_second": made / wall, "steps_per_second": lived / wall},
                    **{"updates_per_cpu_second": made / cpu, "steps_per_cpu_second": lived / cpu},
                }
            )
    found = {n: {k: float(np.median([r[k] for r in rounds])) for k in rounds[0]} for n, rounds in took.items()}
    mine, other = (found[n]["updates_per_cpu_second"] for n in sides)
    out: dict[str, Any] = {
        **{"cores": os.cpu_count(), "load": os.getloadavg(), "median_of_rounds": found, "rounds": took},
        "times_per_cpu_second": mine / other,
        "times": found["ours"]["updates_per_second"] / found["stable-baselines3"]["updates_per_second"],
    }
    if told.reached_state:
        updates, seconds = map(float, told.reached_state.split(","))
        out["cpu_seconds_to_15"] = {"ours": seconds, "stable-baselines3, extrapolated": updates / other}
    if told.json:
        print(json.dumps(out, indent=1))
        return
    for name, numbers in found.items():
        print(name.ljust(20), "  ".join(f"{k.replace('_', ' ')} {v:,.0f}" for k, v in numbers.items()))
    print(f"ours: {out['times_per_cpu_second']:.1f} times the updates per CPU second, {out['times']:.1f} per second")
    for name, seconds in out.get("cpu_seconds_to_15", {}).items():
        print(f"{name}: {seconds:,.0f} CPU seconds to a training score of +15")


if __name__ == "__main__":
    main()
