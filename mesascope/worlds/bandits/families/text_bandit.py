"""A Bernoulli bandit in words: names of arms in an order of its own for every lifetime, one of several wordings.

After Krishnamurthy et al. 2024 (arXiv 2403.15371): the past as it was, or summed up per arm.
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

from mesascope.contracts.configured import Configured, Draw, Percept, Split, check_range, keep_settings
from mesascope.contracts.questions import Moment, Question
from mesascope.keys import address
from mesascope.worlds.bandits.families.bernoulli_bandit import BernoulliBandit, Tasks
from mesascope.worlds.bandits.families.bernoulli_bandit import family as bernoulli_bandit

HISTORIES = ("raw", "summary")
WORDING, FIRST = 0, 1  # places in the observation; the names of the arms stand from FIRST on


@functools.cache
def texts() -> dict[str, Any]:
    """The texts of the data file beside this one."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


class PullsSoFar(NamedTuple):
    """A bandit's tasks with the observation [N, 1 + K] that every percept shows: the wording and the arms' names."""

    bandit: Tasks
    shown: jax.Array


class TextBandit(Configured):
    """A bandit in words; see `family` for the settings."""

    history: str
    wording: int
    bandit: BernoulliBandit

    controls: ClassVar = BernoulliBandit.controls

    @property
    def references(self) -> dict[str, str]:
        """The bandit's, but for the locator."""
        return {role: who for role, who in self.bandit.references.items() if not role.startswith("locator")}

    def draw(self, key: jax.Array, n: int) -> PullsSoFar:
        """Draws n fresh tasks, the wording, and the names of the arms."""
        return self._worded(self.bandit.draw, key, n)

    def splits(self) -> tuple[Split, ...]:
        """The bandit's."""
        return tuple(
            dataclasses.replace(split, draw=functools.partial(self._worded, split.draw))
            for split in self.bandit.splits()
        )

    def _worded(self, draw: Draw, key: jax.Array, n: int) -> PullsSoFar:
        """n tasks of the bandit in words."""
        scores = jax.random.uniform(address(key, "names"), (n, len(texts()["names"]["letters"])))
        wording = jnp.full((n,), self.wording)
        if self.wording < 0:
            wording = jax.random.randint(address(key, "wording"), (n,), 0, len(texts()["wordings"]))
        names = jnp.argsort(scores, -1)[:, : self.choices]
        shown = jnp.concatenate([wording[:, None], names], -1).astype(jnp.float32)
        return PullsSoFar(draw(key, n), shown)

    def begin(self, key: jax.Array, tasks: PullsSoFar) -> tuple[jax.Array, Percept]:
        """Starts one lifetime per task."""
        state, percept = self.bandit.begin(key, tasks.bandit)
        return state, percept._replace(observation=tasks.shown)

    def step(self, key: jax.Array, tasks: PullsSoFar, state: jax.Array, action: jax.Array):
        """Pulls one arm in each lifetime; an answer below 0 pulls none."""
        none = action < 0
        state, percept, score = self.bandit.step(key, tasks.bandit, state, jnp.maximum(action, 0))
        percept = percept._replace(
            observation=tasks.shown,
            action=jnp.where(none, -1, action),
            feedback=jnp.where(none, jnp.nan, percept.feedback),
        )
        return state, percept, jnp.where(none, jnp.nan, score)

    def latents(self, tasks: PullsSoFar, split: str) -> dict[str, np.ndarray]:
        """The bandit's, and the wording [N]."""
        return self.bandit.latents(tasks.bandit, split) | {"wording": np.asarray(tasks.shown)[:, WORDING]}

    def question(self, past: Sequence[Moment], now: Sequence[float]) -> Question:
        """What is asked: which arm comes next, after the pulls that were told or their sums."""
        wording, letters = texts()["wordings"][int(now[WORDING])], texts()["names"]["letters"]
        names = tuple(letters[int(i)] for i in now[FIRST:])
        pulled = [m for m in past if m.action >= 0]
        if self.history == "raw":
            lines = tuple(
                wording["won" if m.feedback > 0.5 else "lost"].format(name=names[m.action]) for m in pulled
            )
        else:
            paid = [[m.feedback > 0.5 for m in pulled if m.action == i] for i in range(len(names))]
            lines = tuple(
                wording["summary"].format(name=n, times=len(p), paid=sum(p))
                for n, p in zip(names, paid, strict=True)
            )
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        intro = wording["intro"].format(arms=len(names), names=listed)
        request = f"Answer with one letter, {', '.join(names[:-1])} or {names[-1]}."
        return Question(intro, lines, wording["asked"], names, request)

    def text(self, action: int, feedback: float) -> str:
        """One pull in words."""
        return self.bandit.text(action, feedback)


@keep_settings(history=HISTORIES, arms=(2, 10), trials=(2, 1000))
def family(arms: int = 2, trials: int = 25, history: str = "raw", wording: int = -1) -> TextBandit:
    """A Bernoulli bandit in words, for language models.

    Args:
        arms: K, from 2 to 10.
        trials: T, at least 2.
        history: raw, a line for every pull, or summary, a line for every arm.
        wording: which of the wordings, from 0; -1 to draw one per lifetime.
    """
    check_range(-1, len(texts()["wordings"]) - 1, wording=wording)
    return TextBandit(
        choices=arms,
        horizon=trials,
        history=history,
        wording=wording,
        bandit=bernoulli_bandit(arms, trials),
    )
