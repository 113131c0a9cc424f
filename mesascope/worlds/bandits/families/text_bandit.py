"""A Bernoulli bandit in words: each lifetime has its own arm names and one of several wordings.

After Krishnamurthy et al. 2024 (arXiv 2403.15371). The prompt shows the history of pulls, raw or summarised per arm.
"""

import dataclasses
import functools
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import (
    ConfiguredFamily,
    DrawTasks,
    PastTrial,
    Percept,
    Question,
    Split,
    check_range,
    keep_settings,
)
from mesascope.keys import derive_key
from mesascope.worlds.bandits.families.bernoulli_bandit import BernoulliBandit, Tasks
from mesascope.worlds.bandits.families.bernoulli_bandit import family as bernoulli_bandit

WORDING_INDEX, NAMES_START = 0, 1  # positions of the wording and of the first arm's name in the observation


@functools.cache
def read_texts() -> dict[str, Any]:
    """Reads the texts from the data file next to this module."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


class WordedTasks(NamedTuple):
    """Tasks of the bandit, and the constant observation [N, 1 + K]: the indices of the wording and of the K names."""

    bandit: Tasks
    observation: jax.Array


class TextBandit(ConfiguredFamily):
    """A bandit in words; see `family` for the settings."""

    history: str
    wording: int
    bandit: BernoulliBandit

    controls: ClassVar = BernoulliBandit.controls

    @property
    def references(self) -> dict[str, str]:
        """The references of the Bernoulli bandit by role, without the locators."""
        references = self.bandit.references.items()
        return {role: procedure for role, procedure in references if not role.startswith("locator")}

    def draw(self, key: jax.Array, n: int) -> WordedTasks:
        """Draws n fresh tasks, with their wordings and arm names."""
        return self._draw_worded(self.bandit.draw, key, n)

    def list_splits(self) -> tuple[Split, ...]:
        """Lists the splits of the Bernoulli bandit, with wordings and arm names."""
        return tuple(
            dataclasses.replace(split, draw=functools.partial(self._draw_worded, split.draw))
            for split in self.bandit.list_splits()
        )

    def _draw_worded(self, draw_tasks: DrawTasks, key: jax.Array, n: int) -> WordedTasks:
        """Draws n tasks of the bandit with `draw_tasks`, and their wordings and arm names."""
        scores = jax.random.uniform(derive_key(key, "names"), (n, len(read_texts()["names"]["letters"])))
        wording = jnp.full((n,), self.wording)
        if self.wording < 0:
            wording = jax.random.randint(derive_key(key, "wording"), (n,), 0, len(read_texts()["wordings"]))
        names = jnp.argsort(scores, -1)[:, : self.choices]
        observation = jnp.concatenate([wording[:, None], names], -1).astype(jnp.float32)
        return WordedTasks(draw_tasks(key, n), observation)

    def begin(self, key: jax.Array, tasks: WordedTasks) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task."""
        state, percept = self.bandit.begin(key, tasks.bandit)
        return state, percept._replace(observation=tasks.observation)

    def step(self, key: jax.Array, tasks: WordedTasks, state: jax.Array, action: jax.Array):
        """Pulls one arm in each lifetime; an action below 0 pulls no arm, and its feedback and score are NaN."""
        is_missing = action < 0
        state, percept, score = self.bandit.step(key, tasks.bandit, state, jnp.maximum(action, 0))
        percept = percept._replace(
            observation=tasks.observation,
            action=jnp.where(is_missing, -1, action),
            feedback=jnp.where(is_missing, jnp.nan, percept.feedback),
        )
        return state, percept, jnp.where(is_missing, jnp.nan, score)

    def compute_latents(self, tasks: WordedTasks, split: str) -> dict[str, np.ndarray]:
        """Computes the latents of the Bernoulli bandit, and the index of the wording [N]."""
        return self.bandit.compute_latents(tasks.bandit, split) | {
            "wording": np.asarray(tasks.observation)[:, WORDING_INDEX]
        }

    def write_question(self, past_trials: Sequence[PastTrial], observation: Sequence[float]) -> Question:
        """Writes the prompt: the history of pulls, raw or summarised, and a question about which arm to pull next."""
        wording, letters = read_texts()["wordings"][int(observation[WORDING_INDEX])], read_texts()["names"]["letters"]
        names = tuple(letters[int(i)] for i in observation[NAMES_START:])
        first_names = ", ".join(names[:-1])
        pulls = [m for m in past_trials if m.action >= 0]
        if self.history == "raw":
            lines = tuple(wording["won" if m.feedback > 0.5 else "lost"].format(name=names[m.action]) for m in pulls)
        else:
            wins = [[m.feedback > 0.5 for m in pulls if m.action == i] for i in range(len(names))]
            lines = tuple(
                wording["summary"].format(name=n, times=len(w), paid=sum(w)) for n, w in zip(names, wins, strict=True)
            )
        intro = wording["intro"].format(arms=len(names), names=f"{first_names} and {names[-1]}")
        request = f"Answer with one letter, {first_names} or {names[-1]}."
        return Question(intro, lines, wording["asked"], names, request)

    def describe_step(self, action: int, feedback: float) -> str:
        """Describes one pull in words."""
        return self.bandit.describe_step(action, feedback)


@keep_settings(history=("raw", "summary"), arms=(2, 10), trials=(2, 1000))
def family(arms: int = 2, trials: int = 25, history: str = "raw", wording: int = -1) -> TextBandit:
    """A Bernoulli bandit in words, for language models.

    Args:
        arms: K, the number of arms, from 2 to 10.
        trials: T, the number of trials, at least 2.
        history: how the prompt shows the past pulls: 'raw' (one line per pull) or 'summary' (one line per arm).
        wording: the index of the wording, from 0; -1 to draw one per lifetime.
    """
    check_range(-1, len(read_texts()["wordings"]) - 1, wording=wording)
    return TextBandit(history, wording, bernoulli_bandit(arms, trials), choices=arms, horizon=trials)
