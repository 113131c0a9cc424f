"""Trains a convolutional network that applies the same layer in every tick, or its feed-forward counterpart.

The method is that of Schwarzschild et al. (2021, arXiv 2106.04537), with recall and progressive training from
intermediate states (Bansal et al. 2022, arXiv 2202.05826). A batch of problems and the network's activations persist
from update to update. Each update runs a few more ticks and follows the gradient of the loss over those ticks alone. So
the network learns to continue from any state for any number of ticks. When a problem has had all its ticks, a fresh
problem replaces it, or its goal moves and the activations stay.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from mesascope.agents.networks import thinking_network as networks
from mesascope.agents.networks.network_files import name_weights
from mesascope.agents.networks.thinking_network import Weights, compute_logits, make_zero_state, run_layers, run_tick
from mesascope.contracts import (
    Family,
    FolderPath,
    OnProgress,
    TrainingSummary,
    convert_to_arrays,
    ignore_progress,
    require_family,
    select,
)
from mesascope.contracts.capabilities import ShowsGrids
from mesascope.errors import require
from mesascope.keys import derive_key
from mesascope.recipes.descent import NO_LIMIT, check_settings, collect_settings
from mesascope.recipes.training_loop import Checkpoint, TrainingRun, run_training
from mesascope.rollouts.compiling import compile_loop

CHECK_FAMILY = "maze:size=5,trials=12"
CHECK_SETTINGS = {"problems": 6, "width": 5, "ticks": 4, "window": 2}
ADAM = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99))
N_TEST_PROBLEMS = 256  # the number of fresh problems for evaluating the trained network


class State(NamedTuple):
    """Everything that passes from one update to the next.

    Attributes:
        weights: the network's weights.
        adam_state: Adam's state.
        problems: the N problems of the batch.
        activations: [N, H, W, C] the activations of the network's C channels in the H × W cells of every problem.
        problem_ages: [N] the number of updates that each problem has been in the batch.
    """

    weights: Weights
    adam_state: Any
    problems: Any
    activations: jax.Array
    problem_ages: jax.Array


def recipe(
    family: Family,
    out: FolderPath,
    *,
    updates: int = 1200,
    problems: int = 64,
    width: int = 32,
    layers: int = 0,
    ticks: int = 32,
    window: int = 8,
    swap_probability: float = 0.5,
    rate: float = 5e-3,
    final_rate: float = 2e-4,
    seed: int = 0,
    progress: OnProgress = ignore_progress,
) -> TrainingSummary:
    """Trains a network to compute for as many ticks as a problem needs; the target is the correct move in every cell.

    Args:
        family: a family that shows grids of cells and gives training problems, such as maze, without a bank.
        out: the folder for network.safetensors. An unfinished training run in this folder is continued.
        updates: the number of updates; each is one step of Adam.
        problems: the number of problems in the batch.
        width: C, the number of channels.
        layers: 0 for a recurrent network; otherwise a feed-forward network has this number of layers, each with weights
            of its own.
        ticks: the number of ticks after which another problem replaces a problem, or the problem's goal moves.
        window: the number of ticks in an update, through which the gradient is taken.
        swap_probability: the probability that, after these ticks, the goal moves and the activations stay; 0 for never.
        rate: Adam's step size at the start; it falls as a half cosine.
        final_rate: Adam's step size at the end.
        seed: the seed of the weights, the problems and all random draws.
        progress: a function that is called with a `Progress` after every update; the score in it is the share of cells
            with a correct move.

    Raises:
        MesascopeError: a setting is out of range, the family shows no grids, or the folder contains another training
            run.
    """
    settings = collect_settings(locals(), problems=(2, NO_LIMIT), width=(2, 1024), layers=(0, 512), window=(1, 512))
    check_settings(settings, swap_probability=(0.0, 1.0), ticks=(window, 4096))
    grid_family: Any = require_family(family, ShowsGrids, "does not give grids to train on", "Train on maze.")
    require(
        not family.bank_label, f"{family.name} has a bank, but this recipe draws fresh problems.", "Leave the bank out."
    )
    require(ticks % window == 0, f"ticks={ticks} is not a multiple of window={window}.", "Give a multiple.")
    _, planes = networks.find_grid_sizes(family)
    key, choices = jax.random.key(seed), int(family.choices or 0)
    metadata = {"format": networks.FORMAT, "width": width, "layers": layers, "planes": planes, "choices": choices}
    rates = convert_to_arrays(updates=updates, swap_probability=swap_probability, rate=rate, final_rate=final_rate)

    def make_initial_state() -> State:
        weights = networks.create_network(derive_key(key, "weights"), width, layers, planes, choices)
        first_problems = grid_family.draw_problems(derive_key(key, "first"), problems)
        activations = make_zero_state(weights, grid_family.render_planes(first_problems))
        ages = jnp.arange(problems) % (ticks // window)  # so that not all problems end at once
        return State(weights, ADAM.init(weights), first_problems, activations, ages)

    def train_from(start: Checkpoint):
        state, updates_done = start.state, start.updates_done
        while updates_done < updates:
            i = jnp.asarray(updates_done)
            state, share_right = update(key, i, state, family, rates, ticks, window, layers > 0)
            updates_done += 1
            yield Checkpoint(state, updates_done, updates_done * problems * window, updates_done, [float(share_right)])

    def evaluate(state: State) -> list[float]:
        solved = _find_solved_problems(derive_key(key, "evaluation"), family, state.weights, ticks, layers > 0)
        return solved.astype(float).tolist()

    run = TrainingRun("deep_thinking", family, settings, updates, lambda state: (metadata, name_weights(state.weights)))
    return run_training(run, make_initial_state, train_from, out, progress=progress, evaluate=evaluate)


@compile_loop
def update(
    key: jax.Array,
    updates_done: jax.Array,
    state: State,
    family: Any,
    rates: dict,
    ticks: int,
    window: int,
    is_feed_forward: bool,
) -> tuple[State, jax.Array]:
    """Replaces finished problems, runs a window of ticks on all problems, and takes one step of Adam.

    Args:
        key: the key of the training run.
        updates_done: the number of updates before this one.
        state: the state before this update.
        family: the family, which gives the problems, their pictures and the correct moves.
        rates: the settings updates, swap_probability, rate and final_rate, which may change without compiling again.
        ticks: the number of ticks for each problem.
        window: the number of ticks in this update.
        is_feed_forward: whether the network has layers with weights of their own instead of ticks.

    Returns:
        The state after the update, and the share of cells with a correct move at the end of the window.
    """
    update_key = derive_key(key, "update", updates_done)
    weights, adam_state, problems, activations, problem_ages = state
    n = len(problem_ages)
    is_finished = problem_ages >= (1 if is_feed_forward else ticks // window)
    moves_goal = jax.random.bernoulli(derive_key(update_key, "swap"), rates["swap_probability"], (n,))
    moves_goal &= not is_feed_forward
    is_replaced, is_moved = is_finished & ~moves_goal, is_finished & moves_goal
    fresh_problems = family.draw_problems(derive_key(update_key, "fresh"), n)
    moved_problems = family.move_goal(derive_key(update_key, "moved"), problems)
    problems = select(is_replaced, fresh_problems, select(is_moved, moved_problems, problems))
    activations = jnp.where(is_replaced[:, None, None, None], 0.0, activations)
    problem_ages = jnp.where(is_finished, 0, problem_ages)
    pictures, correct_moves = family.render_planes(problems), family.find_correct_moves(problems).astype(jnp.float32)
    is_scored = correct_moves.any(-1)
    target = correct_moves / jnp.maximum(correct_moves.sum(-1, keepdims=True), 1.0)
    is_inside = pictures[..., -1:]

    def compute_loss(weights):
        def sum_loss(activations):
            log_probs = jax.nn.log_softmax(compute_logits(weights, activations))
            share_right = (_find_correct_moves(log_probs, correct_moves) * is_scored).sum() / is_scored.sum()
            return -(target * log_probs).sum((-1, -2, -3)), share_right

        if is_feed_forward:
            loss, share_right = sum_loss(run_layers(weights, pictures))
            return loss.sum() / is_scored.sum(), (state.activations, share_right)
        inputs = networks.project_input(weights.mixing_weights[0], pictures)

        def run_one_tick(activations, i):
            activations = run_tick(weights.mixing_weights[0], weights.bias[0], activations, inputs, is_inside)
            loss, share_right = sum_loss(activations)
            weight = (
                problem_ages * window + i + 1
            ) / ticks  # small at first, because few ticks suffice for few cells only
            return activations, ((loss * weight).sum(), share_right)

        last_activations, (losses, shares_right) = jax.lax.scan(run_one_tick, activations, jnp.arange(window))
        return losses.sum() / (is_scored.sum() * window), (last_activations, shares_right[-1])

    gradient, (activations, share_correct) = jax.grad(compute_loss, has_aux=True)(weights)
    direction, adam_state = ADAM.update(gradient, adam_state)
    decay = 0.5 * (1 + jnp.cos(jnp.pi * updates_done / rates["updates"]))
    rate = rates["final_rate"] + (rates["rate"] - rates["final_rate"]) * decay
    weights = jax.tree.map(lambda w, d: w - rate * d, weights, direction)
    return State(weights, adam_state, problems, activations, problem_ages + 1), share_correct


def _find_correct_moves(scores: jax.Array, correct_moves: jax.Array) -> jax.Array:
    """Finds the cells in which the move with the highest score is correct.

    Scores and correct moves have the moves on their last axis, which the result lacks.
    """
    return jnp.take_along_axis(correct_moves, scores.argmax(-1)[..., None], -1)[..., 0]


@compile_loop
def _find_solved_problems(
    key: jax.Array, family: Any, weights: Weights, ticks: int, is_feed_forward: bool
) -> jax.Array:
    """Finds which of `N_TEST_PROBLEMS` fresh problems the network solves, by a correct move in every cell."""
    problems = family.draw_problems(key, N_TEST_PROBLEMS)
    pictures, correct_moves = family.render_planes(problems), family.find_correct_moves(problems)
    start = make_zero_state(weights, pictures)
    activations = (
        run_layers(weights, pictures) if is_feed_forward else networks.run_ticks(weights, start, pictures, ticks)
    )
    is_correct = _find_correct_moves(compute_logits(weights, activations), correct_moves) | ~correct_moves.any(-1)
    return is_correct.all((-1, -2))
