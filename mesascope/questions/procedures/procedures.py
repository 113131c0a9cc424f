"""Reference procedures in NumPy, which give the probabilities of the choices along recorded lifetimes.

Each procedure computes probabilities [N, T, K] from a history and settings, and every fitted setting has an axis of
values. They are implemented independently of the scripted subjects with the same names, and `tests/questions` compares
the two.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from mesascope.questions.procedures.histories import History, decayed_sums, memoise
from mesascope.questions.procedures.sweeps import sweep_satisficer, sweep_ucb1


class Levels(tuple):
    """The values of a setting that fitting tries; empty if they depend on the history: choices or numbers of trials."""


class Axis(tuple):
    """The values of a setting in order; fitting also tries values between them."""


class Whole(Axis):
    """An axis of whole numbers."""


class Stepped(Axis):
    """An axis on which the likelihood is constant between breakpoints, because the procedure is deterministic."""


class Act(Protocol):
    """Computes the probabilities with which a procedure chooses."""

    def __call__(self, history: History, /, *args: Any, **settings: Any) -> np.ndarray:
        """[N, T, K] The probabilities of the choices on every trial; NaN on trials that a slow procedure skips.

        Args:
            history: the recorded lifetimes.
            args: not used.
            settings: the fitted settings, by name.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Procedure:
    """A procedure whose settings are fitted.

    Attributes:
        name: the name of the scripted subject, with the settings that are not fitted.
        act: (history, **settings) → probabilities [N, T, K]; NaN on trials that a slow procedure skips.
        axes: the settings that are fitted on a grid, with their values.
        fit: (history) → settings, if a formula gives them; then there is no grid.
        sweep: (history, lapse) → settings to choose from, if the best ones can be listed; then the grid is not used.
        lapse: whether a share of the choices may be uniformly random.
        free: how many numbers are fitted, including the lapse. Of the procedures that act alike, the one with the
            fewest gives the class its name.
        binary: whether the procedure needs pay-offs of 0 and 1.
        first: for large and slow grids, the values to try first, on a quarter of the trials.
    """

    name: str
    act: Act
    axes: Mapping[str, tuple] = dataclasses.field(default_factory=dict)
    fit: Callable[[History], dict[str, Any]] | None = None
    sweep: Callable[[History, float], list[dict[str, Any]]] | None = None
    lapse: bool = True
    free: int = 1
    binary: bool = False
    first: Mapping[str, tuple] | None = None


def greedy(values: np.ndarray, ties: str = "random") -> np.ndarray:
    """Greedy probabilities. Ties are split evenly, or go to the first of the best choices."""
    if ties == "first":
        return (values.argmax(-1)[..., None] == np.arange(values.shape[-1])).astype(np.float32)
    best = (values >= values.max(-1, keepdims=True) - 1e-6).astype(np.float32)
    return best / best.sum(-1, keepdims=True)


def softmax(values: np.ndarray) -> np.ndarray:
    """The softmax over the last axis."""
    e = np.exp(values - values.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def repeat_last(history: History, stay: Any) -> np.ndarray:
    """Repeats the last choice with probability `stay`, else draws another uniformly; the first choice is uniform."""
    stay = np.broadcast_to(np.asarray(stay, np.float32), history.action.shape)[..., None]
    p = stay * history.last_choice + (1 - stay) * (1 - history.last_choice) / (history.choices - 1)
    return np.where(history.last_choice.sum(-1, keepdims=True) > 0, p, np.float32(1 / history.choices))


def uniform(history: History) -> np.ndarray:
    """Gives every choice the same probability."""
    return np.full(history.choice_made.shape, 1 / history.choices, np.float32)


def trial_index(history: History) -> np.ndarray:
    """[1, T, 1] The index of the trial."""
    return np.arange(history.trials, dtype=np.float32)[None, :, None]


def mix_lapse(p: np.ndarray, lapse: Any) -> np.ndarray:
    """Probabilities p mixed with the uniform distribution, which has the weight `lapse`."""
    return (1 - lapse) * p + lapse / p.shape[-1]


def _frequencies(history: History) -> dict[str, Any]:
    count = history.choice_made.sum((0, 1)) + 0.5
    return {f"choice_{k}": float(x) for k, x in enumerate(count / count.sum())}


def _constant_shares(history: History, **share: float) -> np.ndarray:
    return np.broadcast_to(np.asarray(list(share.values()), np.float32), history.choice_made.shape)


def _stay_rate(history: History, among: np.ndarray) -> float:
    """The share of trials that repeat the last choice, after half a count is added to repeats and to switches."""
    among = among & history.is_present & (history.last_choice.sum(-1) > 0)
    return float(((history.choice_made * history.last_choice).sum(-1)[among].sum() + 0.5) / (among.sum() + 1))


def _always(history: History, arm: int) -> np.ndarray:
    return np.broadcast_to((np.arange(history.choices) == arm).astype(np.float32), history.choice_made.shape)


def _ramp(history: History, arm: int, trials: float, start: float = 0) -> np.ndarray:
    """Moves linearly from uniform choice to one arm, over the given number of trials from `start` on."""
    return mix_lapse(_always(history, arm), np.clip(1 - (trial_index(history) - start) / trials, 0, 1))


@memoise
def _losses_full(history: History, losses: int) -> np.ndarray:
    """[N, T] Whether the last trial completed a run of this many losses, after which the count starts again."""
    full, run = np.zeros(history.action.shape, bool), np.zeros(len(history.action), int)
    started = history.last_choice.sum(-1) > 0
    for t in range(history.trials):
        run = np.where(history.last_win[:, t] | ~started[:, t], 0, run + 1)
        full[:, t] = run >= losses
        run = np.where(full[:, t], 0, run)
    return full


def _trace(history: History, rate: float, beta: float) -> np.ndarray:
    return softmax(beta * decayed_sums(rate * history.last_choice, 1 - rate))


@memoise
def _best_of_late(history: History, window: int) -> np.ndarray:
    """Greedy probabilities for the summed pay-off of each choice in the last `window` trials."""
    paid = history.last_outcome[..., 0].cumsum(1)
    late = np.concatenate([np.zeros_like(paid[:, : min(window, history.trials)]), paid[:, :-window]], 1)
    return greedy(np.round(paid - late, 4))


def _window_policy(history: History, window: int, focus: float) -> np.ndarray:
    best = _best_of_late(history, window)
    others = (best == 0).astype(np.float32)
    count = others.sum(-1, keepdims=True)
    return np.where(count > 0, focus * best + (1 - focus) * others / np.maximum(count, 1), best)


@memoise
def _greedy(history: History, ties: str, each_first: bool) -> np.ndarray:
    values = np.where(history.counts.sum(-1) > 0, history.posterior_means(0.0, 1e-9), 2.0) if each_first else history.posterior_means()
    return greedy(values, ties)


def _ucb1(history: History, constant: float, growing: bool, each_first: bool) -> np.ndarray:
    seen = history.counts if each_first else history.counts + 1
    pulls = np.maximum(seen.sum(-1), 1)
    time = history.counts.sum((-2, -1))[..., None] + 1
    bonus = constant * np.sqrt((np.log(time) if growing else 1.0) / pulls)
    return greedy(np.where(seen.sum(-1) > 0, seen[..., 0] / pulls + bonus, np.inf))


@memoise
def _values(history: History, rate: float, initial: float) -> np.ndarray:
    """[N, T, K] The values under the rule of Rescorla and Wagner (1972)."""
    paid = history.shift_later(history.payoff)[..., None]
    out, value = np.empty_like(history.last_choice), np.full_like(history.last_choice[:, 0], initial)
    for t in range(history.trials):
        value = value + rate * history.last_choice[:, t] * (paid[:, t] - value)
        out[:, t] = value
    return out


def _rescorla_wagner(history: History, rate: float, beta: float, initial: float = 0.5) -> np.ndarray:
    return softmax(beta * _values(history, rate, initial))


def _commit(history: History, pulls: int) -> np.ndarray:
    """Tries the choices in turn, then keeps to the one that paid best."""
    turn = (np.arange(history.trials)[:, None] % history.choices == np.arange(history.choices)).astype(np.float32)
    early = trial_index(history) < pulls
    return np.where(early, turn, greedy(early_means(history, pulls), "first"))


def early_means(history: History, trials: int) -> np.ndarray:
    """Posterior means given the first `trials` trials alone."""
    counts = history.counts[:, np.minimum(np.arange(history.trials), trials)]
    return (counts[..., 0] + 1) / (counts.sum(-1) + 2)


def _delayed_exploiter(history: History, start: int) -> np.ndarray:
    return np.where(trial_index(history) < start, np.float32(1 / history.choices), _greedy(history, "random", False))


def _satisficer(history: History, enough: float) -> np.ndarray:
    return repeat_last(history, (history.last_choice * history.posterior_means()).sum(-1) >= enough - 1e-6)


def levels(name: str, values: tuple, history: History) -> tuple:
    """The values of a setting that fitting tries first."""
    if values or name == "known":
        return values
    if name == "arm":
        return tuple(range(history.choices))
    return tuple(np.unique(np.linspace(1, max(history.trials - 1, 1), 100).round().astype(int)).tolist())


SIMPLE = (
    Procedure("uniform", uniform, lapse=False, free=0),
    Procedure("round_robin", lambda history: _commit(history, history.trials)),
    Procedure("fixed", _always, {"arm": Levels()}),
    Procedure("sticky", repeat_last, fit=lambda history: {"stay": _stay_rate(history, history.is_present)}, lapse=False),
    Procedure("biased", _constant_shares, fit=_frequencies, lapse=False, free=2),
    Procedure(
        "win_stay_lose_shift",
        lambda history, after_win, after_loss: repeat_last(history, np.where(history.last_win, after_win, after_loss)),
        fit=lambda history: {"after_win": _stay_rate(history, history.last_win), "after_loss": _stay_rate(history, ~history.last_win)},
        lapse=False,
        free=2,
    ),
    Procedure(
        "two_loss_reflex",
        lambda history, losses: repeat_last(history, ~_losses_full(history, losses)),
        {"losses": Levels((2, 3, 4, 5, 6))},
        free=2,
    ),
    Procedure(
        "clock_win_stay",
        lambda history, trials: mix_lapse(repeat_last(history, history.last_win), np.clip(1 - trial_index(history) / trials, 0, 1)),
        {"trials": Whole((5, 10, 20, 40, 80, 160))},
        free=2,
    ),
    Procedure("clock", _ramp, {"arm": Levels(), "trials": Whole((5, 10, 20, 40, 80, 160))}, free=3),
    Procedure(
        "random_then_fixed",
        lambda history, arm, start: _ramp(history, arm, 1, start - 1),
        {"arm": Levels(), "start": Whole((1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 70, 100, 150))},
        free=3,
    ),
    Procedure(
        "choice_trace",
        _trace,
        {"rate": Axis((0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)), "beta": Axis((-4, -1, 0.5, 1, 2, 4, 8, 16))},
        free=3,
    ),
    Procedure(
        "windowed",
        _window_policy,
        {"window": Levels((2, 3, 5, 7, 10, 14, 20, 30)), "focus": Axis((0.5, 0.7, 0.8, 0.9, 0.95, 0.99))},
        lapse=False,
        free=2,
    ),
    Procedure("epsilon_greedy", _greedy, {"ties": Levels(("random", "first")), "each_first": Levels((False, True))}),
    Procedure(
        "softmax of means",
        lambda history, beta: softmax(beta * history.posterior_means()),
        {"beta": Axis((-8, -2, 1, 2, 4, 8, 16, 32, 64))},
        free=2,
    ),
    Procedure(
        "rescorla_wagner",
        _rescorla_wagner,
        {
            "rate": Axis((0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8, 1.0)),
            "beta": Axis((-4, 1, 2, 4, 8, 16, 32)),
            "initial": Levels((0.0, 0.5, 1.0)),
        },
        free=4,
    ),
    Procedure(
        "ucb1",
        _ucb1,
        {
            "constant": Stepped((0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.7, 1, 1.4, 2)),
            "growing": Levels((True, False)),
            "each_first": Levels((False, True)),
        },
        sweep=sweep_ucb1,
        free=2,
    ),
    Procedure("explore_then_commit", _commit, {"pulls": Levels()}, free=2),
    Procedure("delayed_exploiter", _delayed_exploiter, {"start": Levels()}, free=2),
    Procedure(
        "satisficer", _satisficer, {"enough": Stepped(i / 20 for i in range(6, 20))}, sweep=sweep_satisficer, free=2
    ),
)
