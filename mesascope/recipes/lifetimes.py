"""Runs batches of whole lifetimes for the recipes, and computes how much better each action was than expected.

Every lifetime has its own task and begins with a fresh carry.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from mesascope.agents.networks.recurrent import Recurrent
from mesascope.contracts import FRESH, SEEN, Family, Split, Subject, choose, select
from mesascope.errors import MesascopeError
from mesascope.keys import derive_key
from mesascope.recipes.descent import Number

N_SCALE_TASKS = 4096  # the number of tasks from which the scale is computed


class Scale(NamedTuple):
    """The mean pay-off of a trial under random actions and under the best actions, over the training tasks."""

    chance: jax.Array
    best: jax.Array


class Lifetimes(NamedTuple):
    """A batch of N lifetimes of T steps each to train on; the arrays are [T, N] unless stated.

    Trials may end before their last step. Then the steps that took place come first on the first axis, and the mask
    excludes the other steps.

    Attributes:
        inputs: [T, N, F] the F inputs of the network, which encode the percept.
        action: the action.
        log_prob: the action's log-probability under the network.
        value: the critic's estimate, before the action, of the return.
        score: the action's expected pay-off.
        target: the action that the network should have predicted; None if the family does not show it.
        teacher_log_probs: [T, N, K] the teacher's log-probabilities of all K actions; None without a teacher.
        mask: whether the step took place; None if all steps did.
        new_trial: the index of the trial that begins with this step, or -1 if no trial begins; None if all steps took
            place.
    """

    inputs: jax.Array
    action: jax.Array
    log_prob: jax.Array
    value: jax.Array
    score: jax.Array
    target: Any
    teacher_log_probs: Any
    mask: Any = None
    new_trial: Any = None


def find_training_split(family: Family) -> Split:
    """Finds the split of the training tasks: 'seen' if the family has a bank, otherwise 'fresh', which is unlimited."""
    return family.get_split(SEEN if family.bank_label else FRESH)


def compute_scale(family: Family) -> Scale:
    """Computes the mean pay-off of a trial under random and under best actions, over 4,096 training tasks.

    Raises:
        MesascopeError: the best action pays no more than chance.
    """
    latents = family.compute_latents(
        _draw_tasks(family, jax.random.key(0), N_SCALE_TASKS), find_training_split(family).name
    )
    chance, best = np.mean(latents["chance"]), np.mean(latents["best"])
    if best - chance < 1e-6:
        raise MesascopeError(f"In {family.name} the best action pays no more than chance.", "Train on another family.")
    return Scale(jnp.float32(chance), jnp.float32(best))


def draw_tasks_and_best(family: Family, key: jax.Array, lifetime_count: int) -> tuple[Any, jax.Array]:
    """Draws one training task per lifetime; returns the tasks, and the best pay-offs with axes trial, task."""
    tasks = _draw_tasks(family, key, lifetime_count)
    return tasks, jnp.asarray(family.compute_latents(tasks, find_training_split(family).name)["best"].T, jnp.float32)


@eqx.filter_jit
def _draw_tasks(family: Family, key: jax.Array, n: int) -> Any:
    return find_training_split(family).draw(key, n)


def run_lifetimes(
    key: jax.Array,
    network: Recurrent,
    family: Family,
    tasks: Any,
    teacher: Subject | None = None,
    *,
    led_lifetimes: int = 0,
) -> Lifetimes:
    """Runs one lifetime on each task, from a fresh carry.

    Args:
        key: the key of this batch.
        network: the network that acts.
        family: the family of the tasks.
        tasks: the tasks of the lifetimes, with leading axis N.
        teacher: a subject that responds on every step, along the same history; None if there is no teacher.
        led_lifetimes: the number of lifetimes in which the teacher acts; they come first.
    """
    state, percept = family.begin(derive_key(key, "begin"), tasks)
    n, steps = len(percept.action), family.steps

    def run_step(state_before, t):
        state, percept, carry, teacher_carry = state_before
        encoded = network.encode(percept)
        carry, features = network.memory.step(carry, encoded)
        log_probs = network.compute_log_probs(features)
        action, teacher_log_probs = choose(derive_key(key, "act", t), log_probs).action, None
        if teacher is not None:
            teacher_carry, answer = teacher.respond(derive_key(key, "teacher", t), teacher_carry, percept)
            action, teacher_log_probs = (
                jnp.where(jnp.arange(n) < led_lifetimes, answer.action, action),
                answer.log_probs,
            )
        idle = None if steps == 1 else family.find_idle(state)
        state, percept, score = family.step(derive_key(key, "pay", t), tasks, state, action)
        log_prob = jnp.take_along_axis(log_probs, action[:, None], 1)[:, 0]
        value, target = network.estimate_return(features), family.read_target(percept)
        record = Lifetimes(encoded, action, log_prob, value, score, target, teacher_log_probs)
        after = (state, percept, carry, teacher_carry)
        if idle is None:
            return after, record
        idle = idle & (t % steps > 0)
        record = record._replace(
            score=jnp.where(idle, 0.0, score),
            value=jnp.where(idle, 0.0, value),
            mask=~idle,
            new_trial=jnp.where(t % steps == 0, t // steps, jnp.full(n, -1)),
        )
        return select(idle, state_before, after), record

    start = (state, percept, network.initialize_carry(n), None if teacher is None else teacher.initialize_carry(n))
    lifetimes = jax.lax.scan(run_step, start, jnp.arange(family.horizon * steps))[1]
    if lifetimes.mask is None:
        return lifetimes
    order = jnp.argsort(~lifetimes.mask, axis=0, stable=True)

    def sort_steps(x):
        return jnp.take_along_axis(x, order.reshape(order.shape + (1,) * (x.ndim - 2)), 0)

    return jax.tree.map(sort_steps, lifetimes)


def compute_targets(
    lifetimes: Lifetimes, best: jax.Array, scale: Scale, discount: Number, gae_lambda: Number
) -> tuple[jax.Array, jax.Array]:
    """Computes the advantage of every action, for the policy's gradient, and the target of the critic.

    The reward is the expected pay-off minus the best pay-off of the trial. The best pay-off does not depend on the
    actions, so subtracting it leaves the mean of the gradient unchanged and removes most of its variance.

    Args:
        lifetimes: a batch of lifetimes.
        best: the best pay-off of every trial, with axes trial, lifetime. If trials have several steps, this pay-off is
            spread evenly over the steps; but if trials may end early, all of it is subtracted on the first step.
        scale: the family's scale. In its units, a lifetime of random actions returns about -1, and a lifetime of the
            best actions 0.
        discount: the discount of future reward, per step.
        gae_lambda: λ of the generalised advantage estimate.

    Returns:
        The advantages and the targets, both with axes step, lifetime.
    """
    steps = len(lifetimes.score) // len(best)
    discounted_trials = (discount ** jnp.arange(len(lifetimes.score))).sum() / steps
    if lifetimes.new_trial is not None:
        trial_best = jnp.take_along_axis(best, jnp.maximum(lifetimes.new_trial, 0), 0)
        best = jnp.where(lifetimes.new_trial >= 0, trial_best, 0.0)
    elif steps > 1:
        best = jnp.repeat(best / steps, steps, 0)
    reward = (lifetimes.score - best) / (scale.best - scale.chance) / discounted_trials
    advantage = estimate_advantages(reward, lifetimes.value, discount, gae_lambda)
    return advantage, advantage + lifetimes.value


def estimate_advantages(reward: jax.Array, value: jax.Array, discount: Number, gae_lambda: Number) -> jax.Array:
    """Computes generalised advantage estimates (Schulman et al. 2016, arXiv 1506.02438).

    The reward, the critic's values and the result have axes step, lifetime; after the last step, the return is 0.
    """
    next_value = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
    errors = reward + discount * next_value - value

    def step_back(later_advantage, error):
        advantage = error + discount * gae_lambda * later_advantage
        return advantage, advantage

    return jax.lax.scan(step_back, jnp.zeros_like(value[0]), errors, reverse=True)[1]


def average(x: jax.Array, mask: Any = None) -> jax.Array:
    """Computes the mean over the steps that took place."""
    return x.mean() if mask is None else (x * mask).sum() / mask.sum()


def standardise(x: jax.Array, mask: Any = None) -> jax.Array:
    """Standardises numbers to mean 0 and standard deviation 1 over the steps that took place."""
    if mask is None:
        return (x - x.mean()) / (x.std() + 1e-8)
    x = x - average(x, mask)
    return x / (jnp.sqrt(average(x * x, mask)) + 1e-8)


def compute_mean_score(lifetimes: Lifetimes, best: jax.Array) -> jax.Array:
    """Computes the mean score of a trial; `best`, with axes trial, lifetime, only gives the number of trials."""
    score = lifetimes.score
    return score.mean() if len(score) == len(best) else score.sum() / best.size
