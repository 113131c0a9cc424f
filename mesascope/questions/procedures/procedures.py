"""Reference procedures in NumPy, which compute the probabilities of choices along recorded lifetimes.

Each procedure computes probabilities [N, T, K] from settings and a history of N lifetimes, T trials and K choices.
The code is independent of the scripted subjects with the same names, and `tests/questions` compares both.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from mesascope.questions.procedures.histories import History, cache_in_history, sum_with_decay
from mesascope.questions.procedures.sweeps import sweep_satisficer, sweep_ucb1


class Range(tuple):
    """The values of a setting in ascending order; fitting also tries values between them."""


class IntegerRange(Range):
    """A range of whole numbers."""


class StepRange(Range):
    """A range over which the likelihood is a step function of the setting, because the procedure is deterministic.

    The steps need not begin at the listed values, so fitting searches for the best step by halving.
    """


@dataclasses.dataclass(frozen=True)
class Procedure:
    """A procedure whose settings are fitted.

    Attributes:
        name: the name of the scripted subject, with the settings that are not fitted; or else a description.
        policy: (history, **settings) → probabilities [N, T, K]; NaN on trials that a slow procedure skips.
        grid: by setting, the values on the grid for fitting; an empty tuple stands for the values of `list_values`.
        estimate: (history) → settings, if a formula gives them; then there is no grid.
        sweep: (history, lapse) → candidate settings, if these can be computed directly; then the grid is not used.
        has_lapse: whether a share of the choices, the lapse, may be uniformly random; this share is then fitted.
        parameter_count: how many numbers are fitted, including the lapse. A class of procedures that act alike is named
            after the procedure with the fewest numbers.
        needs_binary: whether the procedure needs pay-offs of 0 and 1.
        coarse_grid: if the grid is large and slow, the values to try first, on a quarter of the trials.
    """

    name: str
    policy: Callable[..., np.ndarray]
    grid: Mapping[str, tuple] = dataclasses.field(default_factory=dict)
    estimate: Callable[[History], dict[str, Any]] | None = None
    sweep: Callable[[History, float], list[dict[str, Any]]] | None = None
    has_lapse: bool = True
    parameter_count: int = 1
    needs_binary: bool = False
    coarse_grid: Mapping[str, tuple] | None = None


def choose_best(values: np.ndarray, ties: str = "random") -> np.ndarray:
    """Computes probabilities of a greedy choice; ties are split evenly ('random'), or go to the first one ('first')."""
    if ties == "first":
        return (values.argmax(-1)[..., None] == np.arange(values.shape[-1])).astype(np.float32)
    best = (values >= values.max(-1, keepdims=True) - 1e-6).astype(np.float32)
    return best / best.sum(-1, keepdims=True)


def repeat_last_choice(history: History, stay_probability: Any) -> np.ndarray:
    """Repeats the last choice with a given probability, otherwise makes another choice; the first choice is uniform."""
    stay_probability = np.broadcast_to(np.asarray(stay_probability, np.float32), history.action.shape)[..., None]
    p = stay_probability * history.last_choice + (1 - stay_probability) * (1 - history.last_choice) / (
        history.choices - 1
    )
    return np.where(history.last_choice.sum(-1, keepdims=True) > 0, p, np.float32(1 / history.choices))


def choose_uniformly(history: History) -> np.ndarray:
    """Makes every choice with the same probability."""
    return np.full(history.choice_made.shape, 1 / history.choices, np.float32)


def mix_lapse(p: np.ndarray, lapse: Any) -> np.ndarray:
    """Mixes probabilities p with the uniform distribution, which has the weight `lapse`."""
    return (1 - lapse) * p + lapse / p.shape[-1]


def _fit_frequencies(history: History) -> dict[str, Any]:
    """Fits the share of each choice, with half a count added to each choice."""
    count = history.choice_made[history.is_present].sum(0) + 0.5
    return {f"choice_{k}": float(x) for k, x in enumerate(count / count.sum())}


def _choose_by_frequencies(history: History, **shares: float) -> np.ndarray:
    """Makes every choice with its own constant probability."""
    return np.broadcast_to(np.asarray(list(shares.values()), np.float32), history.choice_made.shape)


def _compute_stay_rate(history: History, mask: np.ndarray) -> float:
    """Computes the share of repeated choices on the trials in a mask [N, T].

    Half a count is added to the repeats and to the switches.
    """
    mask = mask & history.is_present & (history.last_choice.sum(-1) > 0)
    return float(((history.choice_made * history.last_choice).sum(-1)[mask].sum() + 0.5) / (mask.sum() + 1))


def _choose_arm(history: History, arm: int) -> np.ndarray:
    """Always makes the same choice."""
    return np.broadcast_to((np.arange(history.choices) == arm).astype(np.float32), history.choice_made.shape)


def _move_to_arm(history: History, arm: int, ramp_trials: float, start: float = 0) -> np.ndarray:
    """Moves linearly from uniform choices to one arm, over `ramp_trials` trials from the trial `start` on."""
    return mix_lapse(_choose_arm(history, arm), np.clip(1 - (history.trial_index - start) / ramp_trials, 0, 1))


@cache_in_history
def _find_complete_loss_runs(history: History, losses: int) -> np.ndarray:
    """Finds the trials [N, T] just before which a run of `losses` losses was completed; then a new count starts."""
    full, run = np.zeros(history.action.shape, bool), np.zeros(len(history.action), int)
    started = history.last_choice.sum(-1) > 0
    for t in range(history.trial_count):
        run = np.where(history.is_last_win[:, t] | ~started[:, t], 0, run + 1)
        full[:, t] = run >= losses
        run = np.where(full[:, t], 0, run)
    return full


def _follow_choice_trace(history: History, rate: float, beta: float) -> np.ndarray:
    """Chooses by a softmax of traces of past choices; each choice moves the traces towards it by a fraction `rate`."""
    return softmax(beta * sum_with_decay(rate * history.last_choice, 1 - rate), -1)


@cache_in_history
def _choose_best_of_window(history: History, window: int) -> np.ndarray:
    """Makes the choice with the largest total pay-off in the last `window` trials."""
    total = history.last_outcome[..., 0].cumsum(1)
    older = np.concatenate([np.zeros_like(total[:, : min(window, history.trial_count)]), total[:, :-window]], 1)
    return choose_best(np.round(total - older, 4))


def _choose_by_window(history: History, window: int, focus: float) -> np.ndarray:
    """Makes the choice that paid most in the last `window` trials with probability `focus`, otherwise another."""
    best = _choose_best_of_window(history, window)
    others = (best == 0).astype(np.float32)
    count = others.sum(-1, keepdims=True)
    return np.where(count > 0, focus * best + (1 - focus) * others / np.maximum(count, 1), best)


@cache_in_history
def _choose_greedily(history: History, ties: str, tries_each_first: bool) -> np.ndarray:
    """Makes the choice with the largest posterior mean.

    With `tries_each_first`, it first makes every choice once, and then the one with the largest mean pay-off.
    """
    values = history.compute_posterior_means()
    if tries_each_first:
        values = np.where(history.counts.sum(-1) > 0, history.compute_posterior_means(0.0, 1e-9), 2.0)
    return choose_best(values, ties)


def _choose_by_ucb1(history: History, constant: float, is_growing: bool, tries_each_first: bool) -> np.ndarray:
    """Chooses by the rule UCB1 of Auer et al. (2002); if `is_growing`, the bonus grows with the logarithm of time."""
    counts = history.counts if tries_each_first else history.counts + 1
    pulls = np.maximum(counts.sum(-1), 1)
    time = history.counts.sum((-2, -1))[..., None] + 1
    bonus = constant * np.sqrt((np.log(time) if is_growing else 1.0) / pulls)
    return choose_best(np.where(counts.sum(-1) > 0, counts[..., 0] / pulls + bonus, np.inf))


@cache_in_history
def _learn_values(history: History, rate: float, initial_value: float) -> np.ndarray:
    """Computes the values [N, T, K] under the rule of Rescorla and Wagner (1972)."""
    last_payoff = history.shift_later(history.payoff)[..., None]
    values, value = np.empty_like(history.last_choice), np.full_like(history.last_choice[:, 0], initial_value)
    for t in range(history.trial_count):
        value = value + rate * history.last_choice[:, t] * (last_payoff[:, t] - value)
        values[:, t] = value
    return values


def _choose_by_learned_values(history: History, rate: float, beta: float, initial: float = 0.5) -> np.ndarray:
    """Chooses by a softmax of the values under the rule of Rescorla and Wagner."""
    return softmax(beta * _learn_values(history, rate, initial), -1)


def _explore_then_commit(history: History, pulls: int) -> np.ndarray:
    """Makes the choices in turn for `pulls` trials, and then always the one that paid best in these trials."""
    turn = (np.arange(history.trial_count)[:, None] % history.choices == np.arange(history.choices)).astype(np.float32)
    early = history.trial_index < pulls
    return np.where(early, turn, choose_best(history.compute_early_means(pulls), "first"))


def _exploit_later(history: History, start: int) -> np.ndarray:
    """Chooses uniformly before the trial `start`, and greedily from this trial on."""
    return np.where(
        history.trial_index < start, np.float32(1 / history.choices), _choose_greedily(history, "random", False)
    )


def _satisfice(history: History, min_mean: float) -> np.ndarray:
    """Repeats the last choice if its posterior mean is at least `min_mean`, otherwise makes another choice."""
    return repeat_last_choice(
        history, (history.last_choice * history.compute_posterior_means()).sum(-1) >= min_mean - 1e-6
    )


def list_values(name: str, values: tuple, history: History) -> tuple:
    """Lists the values of a setting that fitting tries first.

    These are `values` or, if `values` is empty, all arms for the setting 'arm', and up to 100 numbers of trials for any
    other setting.
    """
    if values:
        return values
    if name == "arm":
        return tuple(range(history.choices))
    return tuple(np.unique(np.linspace(1, max(history.trial_count - 1, 1), 100).round().astype(int)).tolist())


SIMPLE_PROCEDURES = (
    Procedure("uniform", choose_uniformly, has_lapse=False, parameter_count=0),
    Procedure("round_robin", lambda history: _explore_then_commit(history, history.trial_count)),
    Procedure("fixed", _choose_arm, {"arm": ()}),
    Procedure(
        "sticky",
        repeat_last_choice,
        estimate=lambda history: {"stay_probability": _compute_stay_rate(history, history.is_present)},
        has_lapse=False,
    ),
    Procedure("biased", _choose_by_frequencies, estimate=_fit_frequencies, has_lapse=False, parameter_count=2),
    Procedure(
        "win_stay_lose_shift",
        lambda history, after_win, after_loss: repeat_last_choice(
            history, np.where(history.is_last_win, after_win, after_loss)
        ),
        estimate=lambda history: {
            "after_win": _compute_stay_rate(history, history.is_last_win),
            "after_loss": _compute_stay_rate(history, ~history.is_last_win),
        },
        has_lapse=False,
        parameter_count=2,
    ),
    Procedure(
        "two_loss_reflex",
        lambda history, losses: repeat_last_choice(history, ~_find_complete_loss_runs(history, losses)),
        {"losses": (2, 3, 4, 5, 6)},
        parameter_count=2,
    ),
    Procedure(
        "clock_win_stay",
        lambda history, ramp_trials: mix_lapse(
            repeat_last_choice(history, history.is_last_win), np.clip(1 - history.trial_index / ramp_trials, 0, 1)
        ),
        {"ramp_trials": IntegerRange((5, 10, 20, 40, 80, 160))},
        parameter_count=2,
    ),
    Procedure(
        "clock", _move_to_arm, {"arm": (), "ramp_trials": IntegerRange((5, 10, 20, 40, 80, 160))}, parameter_count=3
    ),
    Procedure(
        "random_then_fixed",
        lambda history, arm, start: _move_to_arm(history, arm, 1, start - 1),
        {"arm": (), "start": IntegerRange((1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 70, 100, 150))},
        parameter_count=3,
    ),
    Procedure(
        "choice_trace",
        _follow_choice_trace,
        {"rate": Range((0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)), "beta": Range((-4, -1, 0.5, 1, 2, 4, 8, 16))},
        parameter_count=3,
    ),
    Procedure(
        "windowed",
        _choose_by_window,
        {"window": (2, 3, 5, 7, 10, 14, 20, 30), "focus": Range((0.5, 0.7, 0.8, 0.9, 0.95, 0.99))},
        has_lapse=False,
        parameter_count=2,
    ),
    Procedure("epsilon_greedy", _choose_greedily, {"ties": ("random", "first"), "tries_each_first": (False, True)}),
    Procedure(
        "softmax of means",
        lambda history, beta: softmax(beta * history.compute_posterior_means(), -1),
        {"beta": Range((-8, -2, 1, 2, 4, 8, 16, 32, 64))},
        parameter_count=2,
    ),
    Procedure(
        "rescorla_wagner",
        _choose_by_learned_values,
        {
            "rate": Range((0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8, 1.0)),
            "beta": Range((-4, 1, 2, 4, 8, 16, 32)),
            "initial": (0.0, 0.5, 1.0),
        },
        parameter_count=4,
    ),
    Procedure(
        "ucb1",
        _choose_by_ucb1,
        {
            "constant": StepRange((0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1, 1.4, 2)),
            "is_growing": (True, False),
            "tries_each_first": (False, True),
        },
        sweep=sweep_ucb1,
        parameter_count=2,
    ),
    Procedure("explore_then_commit", _explore_then_commit, {"pulls": ()}, parameter_count=2),
    Procedure("delayed_exploiter", _exploit_later, {"start": ()}, parameter_count=2),
    Procedure(
        "satisficer",
        _satisfice,
        {"min_mean": StepRange(i / 20 for i in range(6, 20))},
        sweep=sweep_satisficer,
        parameter_count=2,
    ),
)
