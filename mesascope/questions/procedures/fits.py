"""Fits reference procedures to one half of the lifetimes and predicts the other half, for each half in turn."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from mesascope.questions.procedures.histories import History, memoise
from mesascope.questions.procedures.procedures import Axis, Procedure, Stepped, Whole, levels, mix_lapse

LEAST = 1e-4  # the smallest lapse, and the smallest probability of a procedure without one
SOUGHT = 2000  # how many choice probabilities are used to fit slow procedures; more if there are many
FIRST_LAPSE = 0.05  # the lapse with which a sweep begins
HALVINGS = 6  # how often the distance between values of a stepped axis is halved
MOST = (12, 36, 50)  # how many settings between the grid values are tried, for one, two and three axes
ALIKE = 0.05  # the largest total variation at which two distributions count as the same
SHARE = 0.01  # the share of visited histories on which two procedures of one class may differ


class Fitted(NamedTuple):
    """A procedure, with the settings that were fitted to the even lifetimes and to the odd ones.

    Attributes:
        procedure: the procedure that was fitted.
        settings: the settings fitted to each half; 'lapse' is one of them if the procedure has a lapse.
        held_out: [N, T, K] the probabilities on every trial, with the settings fitted to the other half.
    """

    procedure: Procedure
    settings: tuple[dict[str, Any], dict[str, Any]]
    held_out: np.ndarray

    def text(self) -> str:
        """Its settings in words (see `summary`)."""
        return ", ".join(f"{k} {v}" for k, v in self.summary().items())

    def summary(self) -> dict[str, Any]:
        """Its settings. Real numbers are averaged over the halves; for others that differ, both values are given."""
        first, second = self.settings
        out = {}
        for name, value in first.items():
            both = (value, second[name])
            if value == second[name]:
                out[name] = round(value, 4) if isinstance(value, float) else value
            elif isinstance(value, float) or isinstance(second[name], float):
                out[name] = round(float(np.mean(both)), 4)
            else:
                out[name] = f"{both[0]} or {both[1]}"
        return out


def fit(procedure: Procedure, history: History) -> Fitted:
    """Fits a procedure to the even and to the odd lifetimes, and predicts each half from the fit to the other."""
    settings = (_fit_settings(procedure, split_half(history, 0)), _fit_settings(procedure, split_half(history, 1)))
    held_out = np.empty(history.choice_made.shape, np.float32)
    for i in (0, 1):
        held_out[i::2] = predict(procedure, split_half(history, i, 1), settings[1 - i])
    return Fitted(procedure, settings, held_out)


@memoise
def split_half(history: History, half: int, every: int = 0) -> History:
    """One half of the lifetimes, cached with the history so that all procedures share the results cached in it.

    Args:
        history: the history of all lifetimes.
        half: 0 for the even lifetimes, 1 for the odd ones.
        every: as in `History`; 0 thins the trials for fitting (see `SOUGHT`).
    """
    size = history.choice_made.size / 2
    every = every or max(1, round(size / max(SOUGHT, size - 5 * SOUGHT)))
    return history.take(np.arange(half, len(history.action), 2), every)


def predict(procedure: Procedure, history: History, settings: dict[str, Any]) -> np.ndarray:
    """[N, T, K] The probabilities under the settings, including the lapse; 1/K on trials without a prediction."""
    arguments = {k: v for k, v in settings.items() if k != "lapse"}
    p = procedure.act(history, **arguments).astype(np.float32)
    p = np.where(np.isfinite(p), p, np.float32(1 / history.choices))
    lapse = settings.get("lapse")
    return mix_lapse(p, np.float32(lapse)) if lapse is not None else np.maximum(p, np.float32(LEAST))


def _fit_settings(procedure: Procedure, history: History) -> dict[str, Any]:
    """The maximum-likelihood settings for the choices of a history."""
    if procedure.fit:
        return procedure.fit(history)
    if procedure.sweep:
        return _sweep(procedure, history)
    coarse = history.coarser_history if procedure.first else history
    best = max(grid(procedure, history), key=lambda settings: _score(procedure, coarse, settings)[0])
    refined = _refine(procedure, lambda settings: _score(procedure, history, settings)[0], best)
    best = max((best, *refined), key=lambda settings: _score(procedure, history, settings)[0])
    return {**best, **({"lapse": _score(procedure, history, best)[1]} if procedure.lapse else {})}


def _sweep(procedure: Procedure, history: History) -> dict[str, Any]:
    """The best of the settings that a procedure lists, with its lapse, on which the list depends a little."""
    assert procedure.sweep
    best, lapse = {}, FIRST_LAPSE
    for _ in range(2):
        found = procedure.sweep(history, lapse)
        best = max(found, key=lambda settings: _score(procedure, history, settings)[0])
        lapse = _score(procedure, history, best)[1]
    return {**best, "lapse": lapse}


def _score(procedure: Procedure, history: History, settings: dict[str, Any]) -> tuple[float, float]:
    """The mean log-probability of the choices made, with the lapse that maximises it, and that lapse."""
    p = procedure.act(history, **settings)
    p = np.take_along_axis(p, np.maximum(history.action, 0)[..., None], -1)[..., 0]
    p = p[history.is_present & np.isfinite(p)].astype(np.float64)
    lapse = _lapse(p, history.choices) if procedure.lapse else 0.0
    own = (1 - lapse) * p + lapse / history.choices
    return float(np.log(np.maximum(own, LEAST / 2)).mean()), lapse


def grid(procedure: Procedure, history: History) -> Iterator[dict[str, Any]]:
    """Yields every combination of values on the first grid."""
    axes = {k: levels(k, tuple(v), history) for k, v in (procedure.first or procedure.axes).items()}
    return (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))


def _lapse(p: np.ndarray, choices: int) -> float:
    """Finds the maximum-likelihood lapse by bisection, from the probabilities of the choices made."""
    low, high, off = LEAST, 1.0, 1 / choices - p
    if len(p) == 0:
        return 1.0
    for _ in range(14):
        middle = (low + high) / 2
        if (off / np.maximum(p + middle * off, 1e-12)).sum() > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2 if low > LEAST else LEAST


def _refine(
    procedure: Procedure, score: Callable[[dict[str, Any]], float], best: dict[str, Any]
) -> list[dict[str, Any]]:
    """Looks for better settings between the grid values, with the simplex method of Nelder and Mead (1965).

    It searches over the positions on all axes at once. Whole-numbered positions are the values of the grid.
    """
    axes = {k: v for k, v in procedure.axes.items() if isinstance(v, Axis)}
    if not axes:
        return []
    if stepped := next((k for k, v in axes.items() if isinstance(v, Stepped)), None):
        return [{**best, stepped: _halve(lambda x: score({**best, stepped: x}), axes[stepped], best[stepped])}]

    def settings_at(places: np.ndarray) -> dict[str, Any]:
        values = {}
        for (name, axis), place in zip(axes.items(), places, strict=True):
            value = float(np.interp(place, np.arange(len(axis)), axis))
            values[name] = round(value) if isinstance(axis, Whole) else round(value, 6)
        return {**best, **values}

    start = np.array([axis.index(best[name]) for name, axis in axes.items()], float)
    inward = np.where(start + 0.5 > np.array([len(v) - 1 for v in axes.values()]), -0.5, 0.5)
    found = minimize(
        lambda places: -score(settings_at(places)),
        start,
        method="Nelder-Mead",
        bounds=[(0, len(axis) - 1) for axis in axes.values()],
        options={
            "initial_simplex": np.vstack([start, start + np.diag(inward)]),
            "maxfev": MOST[len(axes) - 1],
            "xatol": 0.02,
            "fatol": 1e-6,
        },
    )
    return [settings_at(found.x)]


def _halve(score: Callable[[float], float], axis: Sequence[float], start: float) -> float:
    """The best value of a stepped axis between the neighbours of its best grid value, by repeated halving.

    Values that score alike are one step, of which it takes the middle. The value 0 of an axis stands for another form
    of the procedure, so it has no neighbours; then the search begins at the best of the other values.
    """
    axis = [x for x in axis if x]
    start = start or max(axis, key=score)
    at = axis.index(start)
    low, high = axis[max(at - 1, 0)], axis[min(at + 1, len(axis) - 1)]
    scores = {x: score(x) for x in (low, start, high)}
    best = max(scores, key=lambda x: scores[x])
    for _ in range(HALVINGS):
        values = sorted(scores)
        i = values.index(best)
        near = values[max(i - 2, 0) : i + 3]  # two on either side, because steps may rise and fall by a few choices
        for middle in [round((a + b) / 2, 6) for a, b in itertools.pairwise(near)]:
            scores[middle] = scores[middle] if middle in scores else score(middle)
        best = max(scores, key=lambda x: scores[x])
        alike = [x for x, s in scores.items() if s > scores[best] - 1e-9]
        best = min(alike, key=lambda x: abs(x - np.mean(alike)))
    return best


def group_alike(fitted: Sequence[Fitted], history: History, scores: np.ndarray) -> list[list[int]]:
    """Groups procedures that act alike.

    Args:
        fitted: the fitted procedures.
        history: the visited histories.
        scores: [P] the mean held-out scores.

    Returns:
        The indices of each class, best class first; in each, the procedure with the fewest fitted numbers comes first.
        Members differ from the best one of their class on less than SHARE of the visited histories.
    """
    remaining, out = list(np.argsort(-scores, kind="stable")), []
    predictions = [f.held_out[history.is_present] for f in fitted]
    while remaining:
        best = remaining[0]
        apart = {i: (0.5 * np.abs(predictions[i] - predictions[best]).sum(-1) > ALIKE).mean() for i in remaining}
        members = [i for i in remaining if apart[i] < SHARE or i == best]
        out.append(sorted(members, key=lambda i: (fitted[i].procedure.free, i)))
        remaining = [i for i in remaining if i not in members]
    return out


def flexible_gain(nearest: Fitted, others: Sequence[Fitted], history: History) -> np.ndarray:
    """[N, T] The held-out gain, in nats, of a flexible model of the choices over the nearest procedure.

    The model multiplies the nearest procedure's odds by the exponential of a weighted sum of features: the other
    procedures' predictions, the last choices and pay-offs, counts and means, and the trial index. Its weights are
    fitted to one half (with a ridge penalty) and scored on the other, so useless weights lower the score. If the
    procedure is the true one, no function of the history helps, and the expected gain is below 0.
    """
    out = np.zeros(history.action.shape)
    for i in (0, 1):
        train, test = split_half(history, i, 1), split_half(history, 1 - i, 1)
        base, features = _tilt_features(nearest, others, train, i)
        scale = np.maximum(features[train.is_present].std((0, 1)), 1e-6)
        weights = _fit_logit(base[train.is_present], features[train.is_present] / scale, train.action[train.is_present])
        base, features = _tilt_features(nearest, others, test, i)
        gain = log_softmax(base + features @ (weights / scale), -1) - log_softmax(base, -1)
        own = np.take_along_axis(gain, np.maximum(test.action, 0)[..., None], -1)[..., 0]
        out[1 - i :: 2] = np.where(test.is_present, own, 0.0)
    return out


def _tilt_features(nearest: Fitted, others: Sequence[Fitted], history: History, half: int) -> tuple[np.ndarray, np.ndarray]:
    """The log-probabilities [N, T, K] of the nearest procedure as fitted to one half, and the features [N, T, K, F]."""
    base = predict(nearest.procedure, history, nearest.settings[half])
    stack = [base, *(predict(f.procedure, history, f.settings[half]) for f in others)]
    features = np.stack([*_history_features(history), *(np.log(np.maximum(p, 0.003)) for p in stack)], -1)
    return np.log(np.maximum(base, LEAST / 2)), features - features.mean(2, keepdims=True)


def _history_features(history: History) -> list[np.ndarray]:
    """Features [N, T, K] of the history on which a choice may depend, besides the procedures' predictions."""
    late = np.broadcast_to(np.arange(history.trials)[None, :, None] / max(history.trials, 1), history.choice_made.shape)
    won, before = history.last_win[..., None], history.shift_later(history.last_choice)
    pulls, means = history.counts.sum(-1), history.posterior_means()
    spread = np.sqrt(means * (1 - means) / (pulls + 3))
    parts = [history.last_choice, history.last_choice * won, history.last_choice * late, before, before * history.shift_later(history.last_win)[..., None]]
    parts += [means, means * late, np.log1p(pulls), np.log1p(pulls) * late, spread, spread * late]
    if history.choices <= 16:
        parts += [np.broadcast_to(np.arange(history.choices) == k, history.choice_made.shape) for k in range(1, history.choices)]
    return [np.asarray(x, np.float32) for x in parts]


def _fit_logit(base: np.ndarray, z: np.ndarray, action: np.ndarray, ridge: float = 1.0, steps: int = 8) -> np.ndarray:
    """Fits weights [F] of a conditional logit with offset base [R, K] and features z [R, K, F], with damped Newton."""
    weights, base, z = np.zeros(z.shape[-1]), base.astype(np.float64), z.astype(np.float64)
    chosen = z[np.arange(len(z)), action]

    def objective(w):
        log = log_softmax(base + z @ w, -1)
        return log[np.arange(len(z)), action].sum() - 0.5 * ridge * (w**2).sum(), log

    value, log = objective(weights)
    for _ in range(steps):
        p = np.exp(log)
        mean = np.einsum("rk,rkf->rf", p, z)
        slope = (chosen - mean).sum(0) - ridge * weights
        flat = (np.sqrt(p)[..., None] * z).reshape(-1, z.shape[-1])
        curve = flat.T @ flat - mean.T @ mean + ridge * np.eye(len(weights))
        move, size = np.linalg.solve(curve, slope), 1.0
        while size > 1e-3:
            new_value, new_log = objective(weights + size * move)
            if new_value >= value:
                break
            size /= 2
        if size <= 1e-3 or new_value - value < 1e-3:
            break
        weights, value, log = weights + size * move, new_value, new_log
    return weights
