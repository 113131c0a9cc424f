"""Runs batches of whole lifetimes for the recipes, and computes how much better each action was than expected.

Every update runs its lifetimes from fresh activations, each on a task of its own.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts.condition import select
from mesascope.contracts.family import Family
from mesascope.contracts.split import FRESH, SEEN, Split
from mesascope.contracts.subject import Subject, choose
from mesascope.errors import MesascopeError
from mesascope.keys import address

Number = float | jax.Array
SCALE_TASKS = 4096  # the number of tasks from which the scale is computed


class Scale(NamedTuple):
    """The mean pay-off of a trial, by chance and at best, over the training tasks."""

    chance: jax.Array
    best: jax.Array


class TaskBatch(NamedTuple):
    """A batch of N tasks, and the best pay-off of each of their trials [T, N]."""

    tasks: Any
    best: jax.Array


class Lifetimes(NamedTuple):
    """A batch of lifetimes to train on. Each array is [T, N], or [T·S, N] if trials have several steps.

    Trials may end before their last step. The steps of a lifetime that happened come first; the mask excludes the rest.

    Attributes:
        encoded: [T, N, F] the network's inputs.
        action: the action.
        log_prob: the action's log-probability under the network.
        worth: the critic's estimate before the action.
        score: the expected pay-off.
        target: the target of prediction; None if the family does not show it.
        lesson: [T, N, K] the teacher's log-probabilities; None without a teacher.
        mask: whether the step happened; None if all steps happened.
        opens: the index of the trial that begins with this step, -1 on other steps; None if all steps happened.
    """

    encoded: jax.Array
    action: jax.Array
    log_prob: jax.Array
    worth: jax.Array
    score: jax.Array
    target: Any
    lesson: Any
    mask: Any = None
    opens: Any = None


class Gains(NamedTuple):
    """The advantage of each action [T, N], and the critic's target `worth` [T, N]."""

    advantage: jax.Array
    worth: jax.Array


def find_split(family: Family) -> Split:
    """The split of the training tasks, which is the family's bank if it has one, else unlimited fresh tasks."""
    return family.split(SEEN if family.bank else FRESH)


def find_scale(family: Family) -> Scale:
    """The mean pay-off of a trial, by chance and at best, over 4,096 training tasks.

    Raises:
        MesascopeError: the best action pays no more than chance.
    """
    latents = family.latents(_draw(family, jax.random.key(0), SCALE_TASKS), find_split(family).name)
    chance, best = np.mean(latents["chance"]), np.mean(latents["best"])
    if best - chance < 1e-6:
        raise MesascopeError(f"In {family.name} the best action pays no more than chance.", "Train on another family.")
    return Scale(jnp.float32(chance), jnp.float32(best))


def draw_tasks(family: Family, key: jax.Array, lifetimes: int) -> TaskBatch:
    """Draws a batch of training tasks."""
    tasks = _draw(family, key, lifetimes)
    return TaskBatch(tasks, jnp.asarray(family.latents(tasks, find_split(family).name)["best"].T, jnp.float32))


@eqx.filter_jit
def _draw(family: Family, key: jax.Array, n: int) -> Any:
    return find_split(family).draw(key, n)


def live(
    key: jax.Array, network: Recurrent, family: Family, tasks: Any, teacher: Subject | None = None, *, led: int = 0
) -> Lifetimes:
    """Runs one lifetime on each task, from fresh activations.

    Args:
        key: the key of this batch.
        network: the network that acts.
        family: the family of the tasks.
        tasks: the tasks of the lifetimes, with leading axis N.
        teacher: a subject that responds on every step, along the same history.
        led: the number of lifetimes in which the teacher acts; they come first.
    """
    state, percept = family.begin(address(key, "begin"), tasks)
    n, steps = len(percept.action), family.steps
    teacher_carry = None if teacher is None else teacher.fresh(n)

    def run_step(life, t):
        state, percept, carry, teacher_carry = life
        encoded = network.encode(percept)
        carry, features = network.memory.step(carry, encoded)
        log_probs = network.log_probs(features)
        action, lesson = choose(address(key, "act", t), log_probs).action, None
        if teacher is not None:
            teacher_carry, answer = teacher.respond(address(key, "teacher", t), teacher_carry, percept)
            action, lesson = jnp.where(jnp.arange(n) < led, answer.action, action), answer.log_probs
        idle = None if steps == 1 else family.idle(state)
        before, idle = life, None if idle is None else idle & (t % steps > 0)
        state, percept, score = family.step(address(key, "pay", t), tasks, state, action)
        log_prob = jnp.take_along_axis(log_probs, action[:, None], 1)[:, 0]
        record = Lifetimes(encoded, action, log_prob, network.worth(features), score, family.target(percept), lesson)
        next_state = (state, percept, carry, teacher_carry)
        if idle is None:
            return next_state, record
        record = record._replace(
            score=jnp.where(idle, 0.0, score),
            worth=jnp.where(idle, 0.0, record.worth),
            mask=~idle,
            opens=jnp.where(t % steps == 0, t // steps, jnp.full(n, -1)),
        )
        return select(idle, before, next_state), record

    life = (state, percept, network.fresh(n), teacher_carry)
    lives = jax.lax.scan(run_step, life, jnp.arange(family.horizon * steps))[1]
    if lives.mask is None:
        return lives
    order = jnp.argsort(~lives.mask, axis=0, stable=True)
    return jax.tree.map(lambda x: jnp.take_along_axis(x, order.reshape(order.shape + (1,) * (x.ndim - 2)), 0), lives)


def find_gains(lives: Lifetimes, best: jax.Array, scale: Scale, discount: Number, trace: Number) -> Gains:
    """Estimates how much better every action was than expected, with generalised advantage estimates.

    The reward is the expected pay-off minus the best pay-off of the trial. The best pay-off does not depend on the
    actions, so subtracting it leaves the mean of the gradient unchanged and removes most of its variance.

    Args:
        lives: a batch of lifetimes.
        best: [T, N] the best pay-off of every trial. If trials have several steps, it is spread evenly over them. If
            they may also end early, it is subtracted on the first step.
        scale: the family's scale; in its units a lifetime at chance is worth about -1, and one at best 0.
        discount: the discount of future reward, per step.
        trace: λ of the generalised advantage estimate.
    """
    steps = len(lives.score) // len(best)
    longest_sum = (discount ** jnp.arange(len(lives.score))).sum() / steps
    if lives.opens is not None:
        trial_best = jnp.take_along_axis(best, jnp.maximum(lives.opens, 0), 0)
        best = jnp.where(lives.opens >= 0, trial_best, 0.0)
    elif steps > 1:
        best = jnp.repeat(best / steps, steps, 0)
    reward = (lives.score - best) / (scale.best - scale.chance) / longest_sum
    advantage = sum_advantages(reward, lives.worth, discount, trace)
    return Gains(advantage, advantage + lives.worth)


def sum_advantages(reward: jax.Array, worth: jax.Array, discount: Number, trace: Number) -> jax.Array:
    """Generalised advantage estimates [T, N] (Schulman et al. 2016, arXiv 1506.02438), for lifetimes that end at T."""
    next_worth = jnp.concatenate([worth[1:], jnp.zeros_like(worth[:1])])
    surprise = reward + discount * next_worth - worth

    def step_back(later, now):
        later = now + discount * trace * later
        return later, later

    return jax.lax.scan(step_back, jnp.zeros_like(worth[0]), surprise, reverse=True)[1]


def mean_entropy(log_probs: jax.Array, mask: Any = None) -> jax.Array:
    """The mean entropy of distributions [..., K] over the steps that happened."""
    return -mean((jnp.exp(log_probs) * log_probs).sum(-1), mask)


def mean(x: jax.Array, mask: Any = None) -> jax.Array:
    """The mean over the steps that happened."""
    return x.mean() if mask is None else (x * mask).sum() / mask.sum()


def standardise(x: jax.Array, mask: Any = None) -> jax.Array:
    """Standardises numbers to mean 0 and standard deviation 1 over the steps that happened."""
    if mask is None:
        return (x - x.mean()) / (x.std() + 1e-8)
    x = x - mean(x, mask)
    return x / (jnp.sqrt(mean(x * x, mask)) + 1e-8)


def mean_score(lives: Lifetimes, best: jax.Array) -> jax.Array:
    """The mean score of a trial."""
    return lives.score.mean() if len(lives.score) == len(best) else lives.score.sum() / best.size
