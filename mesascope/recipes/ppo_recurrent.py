"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) over whole lifetimes.

Every update lives a batch of lifetimes from fresh activations, each on a task of its own, and improves the
network on them; one compiled function does both. The subject sees the noisy pay-off; the training reward is
the expected one, which only removes variance, scaled by the family's own chance and best.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from mesascope.errors import MesascopeError
from mesascope.families import Family
from mesascope.keys import address
from mesascope.recipes import Progress, Trained, silent
from mesascope.recipes._training import Training, train
from mesascope.subjects import choose
from mesascope.subjects.recurrent import Recurrent, create, observation_width


class Plan(NamedTuple):
    """The settings that decide what is compiled; seeds and banks do not."""

    updates: int
    lifetimes: int
    epochs: int
    minibatches: int
    rate: float
    final_rate: float
    entropy: float
    discount: float
    trace: float
    clip: float


class Batch(NamedTuple):
    """What one batch of lifetimes leaves to learn from, each [T, N], the encoded percepts [T, N, F]."""

    encoded: jax.Array
    action: jax.Array
    log_prob: jax.Array
    advantage: jax.Array
    worth: jax.Array  # what the critic should have said


def recipe(
    family: Family,
    out: str | os.PathLike,
    memory: str = "gru",
    width: int = 64,
    told: str = "action+feedback+trial+first+observation",
    updates: int = 500,
    lifetimes: int = 512,
    epochs: int = 3,
    minibatches: int = 4,
    rate: float = 3e-3,
    final_rate: float = 1e-4,
    entropy: float = 0.02,
    discount: float = 0.98,
    trace: float = 0.95,
    clip: float = 0.2,
    seed: int = 0,
    progress: Callable[[Progress], None] = silent,
) -> Trained:
    """Trains a network with or without memory by proximal policy optimisation.

    Args:
        family: what it is trained on: its bank where it has one, else unlimited fresh tasks.
        out: the folder for network.safetensors; a training begun there with the same settings goes on.
        memory: none, gru, lstm, transformer or lru.
        width: units.
        told: parts of the percept, joined by +.
        updates: batches in all.
        lifetimes: in a batch.
        epochs: passes over a batch.
        minibatches: parts of a batch, each one step of Adam.
        rate: Adam's step size at the start, falling linearly.
        final_rate: the same at the end.
        entropy: weight of the policy's entropy at the start, falling linearly to 0.
        discount: of the reward to come, per trial.
        trace: λ of the generalised advantage estimate.
        clip: largest change of a probability ratio that is rewarded.
        seed: of the weights, the tasks and all draws.
        progress: called after every update.

    Raises:
        MesascopeError: a setting is out of range, or the folder holds another training.
    """
    settings = {k: v for k, v in locals().items() if k not in ("family", "out", "progress")}
    _check(settings)
    plan = Plan(**{k: settings[k] for k in Plan._fields})
    key, span = jax.random.key(seed), scale(family)

    def begin() -> tuple[Recurrent, Any]:
        sizes = (family.choices, observation_width(family), family.horizon)
        network = create(address(key, "weights"), memory, width, tuple(told.split("+")), sizes)
        return network, optimiser(plan).init(eqx.filter(network, eqx.is_array))

    def after(number: int, network: Recurrent, state: Any) -> tuple[Recurrent, Any, jax.Array]:
        return update(address(key, "update", number), jnp.asarray(number), network, state, family, span, plan)

    return train(Training("ppo_recurrent", family, settings, updates, lifetimes), begin, after, out, progress)


def optimiser(plan: Plan) -> optax.GradientTransformation:
    """Adam with a falling rate, its gradients clipped."""
    steps = plan.updates * plan.epochs * plan.minibatches
    falling = optax.linear_schedule(plan.rate, plan.final_rate, steps)
    return optax.chain(optax.clip_by_global_norm(0.5), optax.adam(falling, eps=1e-5))


@eqx.filter_jit
def update(
    key: jax.Array,
    number: jax.Array,
    network: Recurrent,
    state: Any,
    family: Family,
    span: jax.Array,
    plan: Plan,
) -> tuple[Recurrent, Any, jax.Array]:
    """Lives one batch and improves the network on it.

    Args:
        key: of this update.
        number: of updates before it.
        network: before it.
        state: the optimiser's.
        family: what is lived.
        span: mean pay-off by chance and at best.
        plan: the settings.

    Returns:
        The network and the optimiser's state after it, and the batch's mean score.
    """
    batch, score = gather(address(key, "lives"), network, family, span, plan)
    entropy = plan.entropy * (1.0 - number / plan.updates)
    arrays, rest = eqx.partition(network, eqx.is_array)

    def improve(held, rows):
        arrays, state = held
        part = jax.tree.map(lambda x: x[:, rows], batch)
        slope = jax.grad(lambda a: loss(eqx.combine(a, rest), part, plan.clip, entropy))(arrays)
        change, state = optimiser(plan).update(slope, state, arrays)
        return (eqx.apply_updates(arrays, change), state), None

    orders = [jax.random.permutation(address(key, "order", i), plan.lifetimes) for i in range(plan.epochs)]
    rows = jnp.concatenate(orders).reshape(plan.epochs * plan.minibatches, -1)
    (arrays, state), _ = jax.lax.scan(improve, (arrays, state), rows)
    return eqx.combine(arrays, rest), state, score


def scale(family: Family) -> jax.Array:
    """[2] the mean pay-off of a trial by chance and at best, over 4,096 tasks of those it is trained on."""
    ring = "seen" if family.bank else "fresh"
    told = family.latents(family.draw(jax.random.key(0), 4096, ring), ring)
    span = np.asarray([np.mean(told["chance"]), np.mean(told["best"])])
    if span[1] - span[0] < 1e-6:
        raise MesascopeError(
            f"In {family.name} the best pays no more than chance.", "Train on another family."
        )
    return jnp.asarray(span, jnp.float32)


def gather(
    key: jax.Array, network: Recurrent, family: Family, span: jax.Array, plan: Plan
) -> tuple[Batch, jax.Array]:
    """Lives a batch of lifetimes and estimates the advantages; also the mean score of a trial."""
    lifetimes = plan.lifetimes
    tasks = family.draw(address(key, "tasks"), lifetimes, "seen" if family.bank else "fresh")
    state, percept = family.begin(address(key, "begin"), tasks)

    def trial(life, t):
        state, percept, carry = life
        encoded = network.encode(percept)
        carry, features = network.memory.step(carry, encoded)
        log_probs = network.log_probs(features)
        action = choose(address(key, "act", t), log_probs).action
        state, percept, score = family.step(address(key, "pay", t), tasks, state, action)
        log_prob = jnp.take_along_axis(log_probs, action[:, None], 1)[:, 0]
        return (state, percept, carry), (encoded, action, log_prob, network.worth(features), score)

    life = (state, percept, network.fresh(lifetimes))
    _, (encoded, action, log_prob, worth, score) = jax.lax.scan(trial, life, jnp.arange(family.horizon))
    chance, best = span
    longest = (plan.discount ** np.arange(family.horizon)).sum()  # the worth of a lifetime is then 1 at best
    reward = (score - chance) / (best - chance) / longest
    advantage = advantages(reward, worth, plan.discount, plan.trace)
    return Batch(encoded, action, log_prob, advantage, advantage + worth), score.mean()


def advantages(reward: jax.Array, worth: jax.Array, discount: float, trace: float) -> jax.Array:
    """Generalised advantage estimates [T, N] (Schulman et al. 2016, arXiv 1506.02438); lives end at T."""
    after = jnp.concatenate([worth[1:], jnp.zeros_like(worth[:1])])
    surprise = reward + discount * after - worth

    def back(later, now):
        later = now + discount * trace * later
        return later, later

    return jax.lax.scan(back, jnp.zeros_like(worth[0]), surprise, reverse=True)[1]


def loss(network: Recurrent, batch: Batch, clip: float, entropy: jax.Array) -> jax.Array:
    """The clipped surrogate, the critic's squared error and the entropy bonus."""
    features = network.memory.unroll(batch.encoded)
    log_probs = network.log_probs(features)
    log_prob = jnp.take_along_axis(log_probs, batch.action[..., None], -1)[..., 0]
    advantage = (batch.advantage - batch.advantage.mean()) / (batch.advantage.std() + 1e-8)
    ratio = jnp.exp(log_prob - batch.log_prob)
    gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1.0 - clip, 1.0 + clip) * advantage).mean()
    error = jnp.square(network.worth(features) - batch.worth).mean()
    spread = -(jnp.exp(log_probs) * log_probs).sum(-1).mean()
    return -gain + 0.5 * error - entropy * spread


def _check(settings: dict[str, Any]) -> None:
    """Raises where a setting is out of range."""
    for name, least in (("updates", 1), ("lifetimes", 1), ("epochs", 1), ("minibatches", 1), ("seed", 0)):
        if settings[name] < least:
            raise MesascopeError(
                f"{name}={settings[name]} is out of range.", f"Give a whole number from {least}."
            )
    if settings["lifetimes"] % settings["minibatches"]:
        raise MesascopeError(
            f"lifetimes={settings['lifetimes']} cannot be split into minibatches={settings['minibatches']}.",
            "Give a multiple.",
        )
    for name in ("rate", "final_rate", "entropy", "discount", "trace", "clip"):
        most = 1.0 if name in ("discount", "trace") else 10.0
        if not 0.0 <= settings[name] <= most:
            raise MesascopeError(
                f"{name}={settings[name]} is out of range.", f"Give a number from 0 to {most:g}."
            )
