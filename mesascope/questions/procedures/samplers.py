"""The slow reference procedures, which sample from a posterior, look up an index or a plan, or hash the feedback.

In shapes, N is the number of lifetimes, T of trials, K of arms, R of histories, and M of tasks in a bank.
"""

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np

from mesascope.questions.procedures.histories import History, cache_in_history
from mesascope.questions.procedures.procedures import Procedure, Range, StepRange, choose_best

GRID_SIZE = 64  # grid points for a mean in [0, 1], evenly spaced in angle, which resolve any Beta posterior
GRID_ANGLES = (np.arange(GRID_SIZE) + 0.5) * np.pi / GRID_SIZE
GRID_MEANS = np.sin(GRID_ANGLES / 2) ** 2
GRID_EDGES = np.sin(np.arange(GRID_SIZE + 1) * np.pi / GRID_SIZE / 2) ** 2
GRID_LOGS = np.stack([np.log(GRID_MEANS), np.log1p(-GRID_MEANS)]).astype(np.float32)
MASS_BELOW = np.triu(np.ones((GRID_SIZE, GRID_SIZE)), 1) + np.eye(GRID_SIZE) / 2  # sums the mass below each point
MASS_BELOW = (MASS_BELOW + (np.eye(GRID_SIZE, k=1) - np.eye(GRID_SIZE, k=-1)) / 24).astype(np.float32)
FLAT_PRIOR = (np.sin(GRID_ANGLES) / np.sin(GRID_ANGLES).sum()).astype(np.float32)


def _discretise_posteriors(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the masses […, GRID_SIZE] of Beta posteriors with shapes […, 2], and the mass below each grid point."""
    packed = shapes[..., 0].astype(np.float32).astype(np.float64) * 2**24 + shapes[..., 1].astype(np.float32)
    _, first, index = np.unique(packed, return_index=True, return_inverse=True)
    log = (shapes.reshape(-1, 2)[first].astype(np.float32) - np.float32(0.5)) @ GRID_LOGS
    mass = np.exp(log - log.max(-1, keepdims=True))
    mass = mass / mass.sum(-1, keepdims=True)
    index = index.reshape(packed.shape)
    return mass[index], np.clip(mass @ MASS_BELOW, 1e-30, 1)[index]


def _multiply_others(x: np.ndarray) -> np.ndarray:
    """Multiplies, for each arm, the values x [R, K, GRID_SIZE] of the other arms."""
    before, after = np.ones_like(x), np.ones_like(x)
    for k in range(1, x.shape[1]):
        before[:, k] = before[:, k - 1] * x[:, k - 1]
        after[:, -1 - k] = after[:, -k] * x[:, -k]
    return before * after


def compute_largest_probabilities(masses: np.ndarray, mass_below: np.ndarray) -> np.ndarray:
    """Computes the probability [R, K] that each arm's draw is the largest, from masses [R, K, GRID_SIZE]."""
    won = (masses * _multiply_others(mass_below)).sum(-1)
    return won / won.sum(-1, keepdims=True)


def _choose_optimistically(shapes: np.ndarray, masses: np.ndarray, mass_below: np.ndarray) -> np.ndarray:
    """Computes the probability [R, K] that each arm's draw is the largest, in optimistic Thompson sampling.

    There, the posterior mean replaces every draw below it (May et al. 2012).
    """
    mean = shapes[..., 0] / shapes.sum(-1)
    floor = mean.max(-1)[:, None, None]
    share = np.clip((GRID_EDGES[1:] - floor) / np.diff(GRID_EDGES), 0, 1)
    above = (masses * _multiply_others(mass_below) * share).sum(-1)
    under = np.clip((masses * (1 - share)).sum(-1), 1e-30, 1).prod(-1, keepdims=True)
    won = above + under * choose_best(mean)
    return won / won.sum(-1, keepdims=True)


def _choose_by_sampling(
    history: History, counts: np.ndarray, prior: Sequence[float], is_optimistic: bool = False
) -> np.ndarray:
    """Chooses by Thompson sampling from counts [N, T, K, 2]; NaN on trials that slow procedures do not predict."""
    shapes = np.round((counts + np.asarray(prior, np.float32))[history.is_predicted], 5)
    masses, below = _discretise_posteriors(shapes)
    largest = (
        _choose_optimistically(shapes, masses, below) if is_optimistic else compute_largest_probabilities(masses, below)
    )
    p = np.full(history.choice_made.shape, np.nan, np.float32)
    p[history.is_predicted] = largest
    return p


def _choose_by_thompson(history: History, discount: float, mean: float, strength: float) -> np.ndarray:
    """Chooses by Thompson sampling with discounted counts.

    `mean` is the mean of the Beta prior, and `strength` the sum of its two shapes.
    """
    return _choose_by_sampling(
        history, history.compute_decayed_counts(discount), (mean * strength, (1 - mean) * strength)
    )


@cache_in_history
def _choose_by_plain_thompson(history: History) -> np.ndarray:
    """Chooses by Thompson sampling with a Beta(1, 1) prior and without discount."""
    return _choose_by_thompson(history, 1.0, 0.5, 2.0)


def _choose_by_late_feedback(history: History, **settings: Any) -> np.ndarray:
    """Chooses by Thompson sampling with feedback that arrives one trial late.

    If the setting 'is_aware' is true, the feedback counts for the arm that earned it. Otherwise it counts for the arm
    that was pulled next.
    """
    payoff = history.shift_later(history.shift_later(history.payoff))[..., None]
    earning_arm = history.shift_later(history.last_choice)
    credited_arm = (
        earning_arm if settings["is_aware"] else history.last_choice * (earning_arm.sum(-1, keepdims=True) > 0)
    )
    counts = np.stack([credited_arm * payoff, credited_arm * (1 - payoff)], -1).cumsum(1)
    return _choose_by_sampling(history, counts, (1, 1))


def _sample_then_commit(history: History, learning_trials: int) -> np.ndarray:
    """Chooses by Thompson sampling for `learning_trials` trials, then always the arm with the best mean after these."""
    late = choose_best(history.compute_early_means(learning_trials), "first")
    return np.where(history.trial_index < learning_trials, _choose_by_plain_thompson(history), late)


def _choose_by_change_point_posterior(history: History, hazard: float) -> np.ndarray:
    """Chooses by Thompson sampling with the exact posterior for means that may be redrawn on any trial."""
    out = np.full(history.choice_made.shape, np.nan, np.float32)
    mass = np.tile(FLAT_PRIOR, (len(history.action), history.choices, 1))
    for t in range(history.trial_count):
        outcome = history.last_outcome[:, t, :, None]
        likelihood = outcome[..., 0] * GRID_MEANS + outcome[..., 1] * (1 - GRID_MEANS)
        mass = mass * np.where(outcome.sum(-1) > 0, likelihood, 1).astype(np.float32)
        mass = (1 - hazard) * mass / mass.sum(-1, keepdims=True) + hazard * FLAT_PRIOR
        rows = history.is_predicted[:, t]
        if rows.any():
            out[rows, t] = compute_largest_probabilities(mass[rows], np.clip(mass[rows] @ MASS_BELOW, 1e-30, 1))
    return out


def _choose_by_gittins(history: History, discount: float) -> np.ndarray:
    """Makes the choice with the largest Gittins index; if the discount is 0, the index is for the remaining trials."""
    from mesascope.worlds.bandits.subjects.gittins import compute_discounted_indices, compute_finite_indices

    wins, losses = (history.counts[..., i].astype(np.int64) for i in (0, 1))
    if discount:
        index = compute_discounted_indices(discount, history.trial_count)[wins, losses]
    else:
        remaining = np.broadcast_to(history.trial_count - 1 - np.arange(history.trial_count)[:, None], wins.shape[1:])
        index = compute_finite_indices(history.trial_count)[remaining, wins, losses]
    return choose_best(index)


def _choose_bayes_optimally(history: History) -> np.ndarray:
    """Makes the Bayes-optimal choice, from a table with the best arm for all counts (Duff 2002, chapter 1)."""
    from mesascope.worlds.bandits.subjects.bayes_optimal import ALL_TIED, load_plan

    table = load_plan(history.trial_count, ((1.0, 1.0),) * history.choices)
    sums = history.counts.reshape(*history.action.shape, -1).cumsum(-1).astype(np.int64)
    ranks = np.array([[comb(s + i - 1, i) for i in range(1, sums.shape[-1] + 1)] for s in range(history.trial_count)])
    best = table[ranks[sums, np.arange(sums.shape[-1])].sum(-1)][..., None]
    return np.where(best == ALL_TIED, np.float32(1 / history.choices), best == np.arange(history.choices)).astype(
        np.float32
    )


def _choose_best_dependent(history: History) -> np.ndarray:
    """Makes the greedy choice between two arms whose means sum to one (Wang et al. 2016)."""
    return choose_best(history.counts[..., 0] + history.counts[..., ::-1, 1])


FNV_OFFSET, FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)  # constants of the FNV-1a hash


@cache_in_history
def _choose_by_hash(history: History) -> np.ndarray:
    """Chooses the arm that a hash of all earlier feedback selects."""
    state, out = np.full(len(history.action), FNV_OFFSET), np.zeros_like(history.last_choice)
    started = history.last_choice.sum(-1) > 0
    for t in range(history.trial_count):
        hashed = (state ^ (1 + history.is_last_win[:, t]).astype(np.uint32)) * FNV_PRIME
        state = np.where(started[:, t], hashed, state)
        x = (state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        out[np.arange(len(x)), t, (x ^ (x >> np.uint32(16))) % np.uint32(history.choices)] = 1
    return out


def _commit_by_hash(history: History, random_trials: int) -> np.ndarray:
    """Chooses uniformly for `random_trials` trials, then always the arm that a hash of their feedback selects."""
    choice = _choose_by_hash(history)[:, np.minimum(np.arange(history.trial_count), random_trials)]
    return np.where(history.trial_index < random_trials, np.float32(1 / history.choices), choice)


def sample_from_bank(means: np.ndarray, history: History) -> np.ndarray:
    """Chooses by posterior sampling over a bank of tasks with these means [M, K]."""
    p = np.clip(means, 1e-4, 1 - 1e-4)
    log = history.counts[..., 0] @ np.log(p).T + history.counts[..., 1] @ np.log1p(-p).T
    weight = np.exp(log - log.max(-1, keepdims=True))
    return ((weight / weight.sum(-1, keepdims=True)) @ choose_best(means)).astype(np.float32)


def make_ideal_locator(means: np.ndarray) -> Procedure:
    """Makes the ideal locator: a procedure that knows the means of the training tasks [M, K] and nothing else."""
    return Procedure("locator", cache_in_history(lambda history: sample_from_bank(means, history)), needs_binary=True)


DISCOUNTS = (0, 0.02, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)  # 0: finite horizon
SLOW_PROCEDURES = (
    Procedure("thompson", _choose_by_plain_thompson),
    Procedure(
        "thompson, prior and discount fitted",
        _choose_by_thompson,
        {
            "mean": Range((0.1, 0.3, 0.5, 0.7, 0.9)),
            "strength": Range((1, 2, 8, 20)),
            "discount": Range((0.5, 0.8, 0.93, 0.98, 1.0)),
        },
        coarse_grid={"mean": (0.3, 0.5, 0.7), "strength": (2, 8), "discount": (0.8, 0.93, 0.98, 1.0)},
        parameter_count=4,
    ),
    Procedure(
        "thompson:should_minimise=True", lambda history: _choose_by_sampling(history, history.counts[..., ::-1], (1, 1))
    ),
    Procedure(
        "optimistic_thompson", lambda history: _choose_by_sampling(history, history.counts, (1, 1), is_optimistic=True)
    ),
    Procedure("delayed", _choose_by_late_feedback, {"is_aware": (True, False)}),
    Procedure("early_only", _sample_then_commit, {"learning_trials": ()}, parameter_count=2),
    Procedure(
        "change_point_thompson",
        _choose_by_change_point_posterior,
        {"hazard": Range((0.001, 0.01, 0.04, 0.15))},
        parameter_count=2,
    ),
    Procedure("gittins", _choose_by_gittins, {"discount": StepRange(DISCOUNTS)}, parameter_count=2, needs_binary=True),
    Procedure("feedback_hash", _choose_by_hash, needs_binary=True),
    Procedure("hash_commit", _commit_by_hash, {"random_trials": ()}, parameter_count=2, needs_binary=True),
)
BAYES_OPTIMAL = Procedure("bayes_optimal", _choose_bayes_optimally, needs_binary=True)
BAYES_DEPENDENT = Procedure("bayes_optimal:dependent", _choose_best_dependent, needs_binary=True)
