"""The slow reference procedures, which sample, look up an index, or hash."""

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np

from mesascope.questions.procedures.histories import History, memoise
from mesascope.questions.procedures.procedures import Axis, Levels, Procedure, Stepped, early_means, greedy, trial_index

CELLS = 64  # grid points for a mean in [0, 1], evenly spaced in the angle, so that any Beta posterior is resolved
ANGLE = (np.arange(CELLS) + 0.5) * np.pi / CELLS
MEAN = np.sin(ANGLE / 2) ** 2
EDGES = np.sin(np.arange(CELLS + 1) * np.pi / CELLS / 2) ** 2
LOGS = np.stack([np.log(MEAN), np.log1p(-MEAN)]).astype(np.float32)
BELOW = np.triu(np.ones((CELLS, CELLS)), 1) + np.eye(CELLS) / 2
BELOW = (BELOW + (np.eye(CELLS, k=1) - np.eye(CELLS, k=-1)) / 24).astype(np.float32)
FLAT = (np.sin(ANGLE) / np.sin(ANGLE).sum()).astype(np.float32)


def _masses(shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability masses […, CELLS] of Beta posteriors with shapes […, 2], and the cumulative mass below each cell."""
    packed = shapes[..., 0].astype(np.float32).astype(np.float64) * 2**24 + shapes[..., 1].astype(np.float32)
    _, first, index = np.unique(packed, return_index=True, return_inverse=True)
    log = (shapes.reshape(-1, 2)[first].astype(np.float32) - np.float32(0.5)) @ LOGS
    mass = np.exp(log - log.max(-1, keepdims=True))
    mass = mass / mass.sum(-1, keepdims=True)
    index = index.reshape(packed.shape)
    return mass[index], np.clip(mass @ BELOW, 1e-30, 1)[index]


def _product_of_others(x: np.ndarray) -> np.ndarray:
    """[R, K, CELLS] The product over the other arms, for each arm."""
    before, after = np.ones_like(x), np.ones_like(x)
    for k in range(1, x.shape[1]):
        before[:, k] = before[:, k - 1] * x[:, k - 1]
        after[:, -1 - k] = after[:, -k] * x[:, -k]
    return before * after


def probability_largest(masses: np.ndarray, below: np.ndarray) -> np.ndarray:
    """[R, K] The probability that each arm's draw is the largest, from masses [R, K, CELLS]."""
    won = (masses * _product_of_others(below)).sum(-1)
    return won / won.sum(-1, keepdims=True)


def _optimistic_choice(shapes: np.ndarray) -> np.ndarray:
    """[R, K] The same probability if draws below the posterior mean are raised to it (May et al. 2012)."""
    (masses, below), mean = _masses(shapes), shapes[..., 0] / shapes.sum(-1)
    floor = mean.max(-1)[:, None, None]
    share = np.clip((EDGES[1:] - floor) / np.diff(EDGES), 0, 1)
    above = (masses * _product_of_others(below) * share).sum(-1)
    under = np.clip((masses * (1 - share)).sum(-1), 1e-30, 1).prod(-1, keepdims=True)
    won = above + under * greedy(mean)
    return won / won.sum(-1, keepdims=True)


def _sample_probabilities(history: History, counts: np.ndarray, prior: Sequence[float], rule: Any = None) -> np.ndarray:
    """Thompson probabilities from counts [N, T, K, 2] on the answered trials; NaN on the others."""
    shapes = np.round((counts + np.asarray(prior, np.float32))[history.is_predicted], 5)
    out = np.full(history.choice_made.shape, np.nan, np.float32)
    out[history.is_predicted] = rule(shapes) if rule else probability_largest(*_masses(shapes))
    return out


def _thompson(history: History, discount: float, mean: float, strength: float) -> np.ndarray:
    return _sample_probabilities(history, history.decayed_counts(discount), (mean * strength, (1 - mean) * strength))


@memoise
def _plain_thompson(history: History) -> np.ndarray:
    return _thompson(history, 1.0, 0.5, 2.0)


def _late_thompson(history: History, **settings: bool) -> np.ndarray:
    """Thompson sampling with feedback that arrives one trial late.

    If the setting 'known' is true, it credits the feedback to the arm that earned it, else to the arm pulled after it.
    """
    paid = history.shift_later(history.shift_later(history.payoff))[..., None]
    earned = history.shift_later(history.last_choice)
    credited = earned if settings["known"] else history.last_choice * (earned.sum(-1, keepdims=True) > 0)
    counts = np.stack([credited * paid, credited * (1 - paid)], -1).cumsum(1)
    return _sample_probabilities(history, counts, (1, 1))


def _early_only(history: History, trials: int) -> np.ndarray:
    return np.where(trial_index(history) < trials, _plain_thompson(history), greedy(early_means(history, trials), "first"))


def _change_point(history: History, hazard: float) -> np.ndarray:
    """Thompson sampling with the exact filter for means that may be redrawn on any trial."""
    out = np.full(history.choice_made.shape, np.nan, np.float32)
    mass = np.tile(FLAT, (len(history.action), history.choices, 1))
    for t in range(history.trials):
        last = history.last_outcome[:, t, :, None]
        seen = last.sum(-1) > 0
        mass = mass * np.where(seen, last[..., 0] * MEAN + last[..., 1] * (1 - MEAN), 1).astype(np.float32)
        mass = (1 - hazard) * mass / mass.sum(-1, keepdims=True) + hazard * FLAT
        rows = history.is_predicted[:, t]
        if rows.any():
            out[rows, t] = probability_largest(mass[rows], np.clip(mass[rows] @ BELOW, 1e-30, 1))
    return out


def _gittins(history: History, discount: float) -> np.ndarray:
    from mesascope.worlds.bandits.subjects.gittins import discounted_indices, finite_indices

    wins, losses = (history.counts[..., i].astype(np.int64) for i in (0, 1))
    if discount:
        index = discounted_indices(discount, history.trials)[wins, losses]
    else:
        remaining = np.broadcast_to(history.trials - 1 - np.arange(history.trials)[:, None], wins.shape[1:])
        index = finite_indices(history.trials)[remaining, wins, losses]
    return greedy(index)


def _bayes_optimal(history: History) -> np.ndarray:
    """The Bayes-optimal choice, from a table of the best arm for all counts (Duff 2002, chapter 1)."""
    from mesascope.worlds.bandits.subjects.bayes_optimal import TIE, cached_plan

    table = cached_plan(history.trials, ((1.0, 1.0),) * history.choices)
    sums = history.counts.reshape(*history.action.shape, -1).cumsum(-1).astype(np.int64)
    ranks = np.array([[comb(s + i - 1, i) for i in range(1, sums.shape[-1] + 1)] for s in range(history.trials)])
    best = table[ranks[sums, np.arange(sums.shape[-1])].sum(-1)][..., None]
    return np.where(best == TIE, np.float32(1 / history.choices), best == np.arange(history.choices)).astype(np.float32)


def _greedy_dependent(history: History) -> np.ndarray:
    """The greedy choice between two arms whose means sum to one, so that each pull informs about both.

    The arms are those of Wang et al. (2016).
    """
    return greedy(history.counts[..., 0] + history.counts[..., ::-1, 1])


OFFSET, PRIME = np.uint32(2166136261), np.uint32(16777619)  # constants of the FNV-1a hash


@memoise
def _hash_choice(history: History) -> np.ndarray:
    """[N, T, K] One for the arm that a hash of the feedback so far selects, zero for the others."""
    state, out = np.full(len(history.action), OFFSET), np.zeros_like(history.last_choice)
    started = history.last_choice.sum(-1) > 0
    for t in range(history.trials):
        hashed = (state ^ (1 + history.last_win[:, t]).astype(np.uint32)) * PRIME
        state = np.where(started[:, t], hashed, state)
        x = (state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        out[np.arange(len(x)), t, (x ^ (x >> np.uint32(16))) % np.uint32(history.choices)] = 1
    return out


def _hash_commit(history: History, trials: int) -> np.ndarray:
    """Uniform for the first `trials` trials, then the arm that a hash of their feedback selects."""
    choice = _hash_choice(history)[:, np.minimum(np.arange(history.trials), trials)]
    return np.where(trial_index(history) < trials, np.float32(1 / history.choices), choice)


def sample_from_bank(means: np.ndarray, history: History) -> np.ndarray:
    """The choice probabilities of posterior sampling over a bank of tasks [M, K]."""
    p = np.clip(means, 1e-4, 1 - 1e-4)
    log = history.counts[..., 0] @ np.log(p).T + history.counts[..., 1] @ np.log1p(-p).T
    weight = np.exp(log - log.max(-1, keepdims=True))
    return ((weight / weight.sum(-1, keepdims=True)) @ greedy(means)).astype(np.float32)


def ideal_locator(means: np.ndarray) -> Procedure:
    """The ideal locator, a procedure that knows the training tasks [M, K] and nothing else."""
    return Procedure("locator", memoise(lambda history: sample_from_bank(means, history)), binary=True)


DISCOUNTS = (0, 0.02, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)  # 0: the remaining trials count
FITTED = "thompson, prior and discount fitted"
SLOW = (
    Procedure("thompson", _plain_thompson),
    Procedure(
        FITTED,
        _thompson,
        {
            "mean": Axis((0.1, 0.3, 0.5, 0.7, 0.9)),
            "strength": Axis((1, 2, 8, 20)),
            "discount": Axis((0.5, 0.8, 0.93, 0.98, 1.0)),
        },
        first={"mean": (0.3, 0.5, 0.7), "strength": (2, 8), "discount": (0.8, 0.93, 0.98, 1.0)},
        free=4,
    ),
    Procedure("thompson:minimise=True", lambda history: _sample_probabilities(history, history.counts[..., ::-1], (1, 1))),
    Procedure("optimistic_thompson", lambda history: _sample_probabilities(history, history.counts, (1, 1), _optimistic_choice)),
    Procedure("delayed", _late_thompson, {"known": Levels((True, False))}),
    Procedure("early_only", _early_only, {"trials": Levels()}, free=2),
    Procedure("change_point_thompson", _change_point, {"hazard": Axis((0.001, 0.01, 0.04, 0.15))}, free=2),
    Procedure("gittins", _gittins, {"discount": Stepped(DISCOUNTS)}, free=2, binary=True),
    Procedure("feedback_hash", _hash_choice, binary=True),
    Procedure("hash_commit", _hash_commit, {"trials": Levels()}, free=2, binary=True),
)
EXACT = Procedure("bayes_optimal", _bayes_optimal, binary=True)
EXACT_DEPENDENT = Procedure("bayes_optimal:dependent", _greedy_dependent, binary=True)
