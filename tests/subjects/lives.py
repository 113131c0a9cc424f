"""Lifetimes of scripted subjects in one batch, and forced along given histories."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope import catalogue
from mesascope.agents.networks.network_files import name_weights
from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts import Family, Percept, Subject
from mesascope.formats import NETWORK_FORMAT
from mesascope.keys import derive_key
from mesascope.recipes.files import write_tensors
from mesascope.worlds.bandits.families.bernoulli_bandit import Tasks


def make(spec: str, family: Family) -> Any:
    """A subject from its file's name with settings, 'thompson:discount=0.93'."""
    name, _, rest = spec.partition(":")
    settings = dict(part.split("=") for part in rest.split(",") if part)
    return catalogue.get_factory("subjects", name)(family, **{k: value(v) for k, v in settings.items()})


def value(text: str) -> Any:
    """A setting's value from its text."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def save(network: Recurrent, path: Path, told: dict[str, Any]) -> None:
    """Writes a network, with everything that the format asks for but the tensors."""
    tensors = {k: np.asarray(v) for k, v in name_weights(network).items()}
    write_tensors(path, tensors, {"format": NETWORK_FORMAT, **told})


class Lives(NamedTuple):
    """means [N, T, K]; action, score [N, T]."""

    means: np.ndarray
    action: np.ndarray
    score: np.ndarray

    @property
    def regret(self) -> np.ndarray:
        """[N] what knowing would have paid more."""
        return (self.means.max(-1) - self.score).sum(1)

    def share(self) -> tuple[float, float]:
        """Σ(score - chance) / Σ(best - chance) over all trials, and its standard error."""
        chance = self.means.mean(-1)
        gain, room = (self.score - chance).sum(1), (self.means.max(-1) - chance).sum(1)
        share = gain.sum() / room.sum()
        return float(share), float(np.sqrt(((gain - share * room) ** 2).sum()) / room.sum())


@eqx.filter_jit
def _live(subject, family, tasks, key):
    state, percept = family.begin(key, tasks)
    n = len(percept.action)

    def trial(life, t):
        state, percept, carry = life
        carry, response = subject.respond(derive_key(key, "act", t), carry, percept)
        state, percept, score = family.step(derive_key(key, "pay", t), tasks, state, response.action)
        return (state, percept, carry), (response.action, score)

    life = (state, percept, subject.initialize_carry(n))
    return jax.lax.scan(trial, life, jnp.arange(tasks.means.shape[1]))[1]


def live(subject: Subject, family: Family, split: str = "fresh", n: int = 2000, seed: int = 0) -> Lives:
    """Lives n lifetimes of a split at once."""
    key = jax.random.key(seed)
    return lived(subject, family, family.get_split(split).draw(derive_key(key, "tasks"), n), seed)


def lived(subject: Subject, family: Family, tasks: Tasks, seed: int = 0) -> Lives:
    """Lives given tasks, in batches of at most 4,000."""
    parts = []
    for i, start in enumerate(range(0, len(tasks.means), 4000)):
        part = jax.tree.map(lambda x, start=start: x[start : start + 4000], tasks)
        action, score = _live(subject, family, part, derive_key(jax.random.key(seed), "lives", i))
        parts.append(Lives(np.asarray(part.means), np.asarray(action).T, np.asarray(score).T))
    return Lives(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def forced(subject: Subject, actions: np.ndarray, feedback: np.ndarray) -> np.ndarray:
    """Probabilities [T + 1, N, K] before and after each of the given acts and outcomes [T, N]."""
    actions, feedback = jnp.asarray(actions, jnp.int32), jnp.asarray(feedback, jnp.float32)
    n = actions.shape[1]
    before = jnp.concatenate([jnp.full((1, n), -1, jnp.int32), actions])
    paid = jnp.concatenate([jnp.zeros((1, n)), feedback])
    return np.exp(np.asarray(_forced(subject, before, paid)))


@eqx.filter_jit
def _forced(subject, actions, feedback):
    n = actions.shape[1]

    def trial(carry, xs):
        t, action, paid = xs
        still = jnp.zeros(n, jnp.int32)
        percept = Percept(jnp.zeros((n, 0)), action, paid, still + t, still, action < 0)
        carry, response = subject.respond(derive_key(jax.random.key(0), t), carry, percept)
        return carry, response.log_probs

    return jax.lax.scan(trial, subject.initialize_carry(n), (jnp.arange(len(actions)), actions, feedback))[1]
