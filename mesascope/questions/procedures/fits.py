"""Fits reference procedures to one half of the lifetimes and predicts the other half, for each half in turn.

In shapes, N is the number of lifetimes, T of trials, K of choices, F of features, and P of procedures.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from mesascope.questions.procedures.histories import History, cache_in_history, compute_beliefs
from mesascope.questions.procedures.procedures import IntegerRange, Procedure, Range, StepRange, list_values, mix_lapse

MIN_PROBABILITY = 1e-4  # the smallest lapse; also the smallest probability of a procedure without a lapse
FITTED_CHOICES = 2000  # how many choice probabilities fit slow procedures; more are used in large data sets
INITIAL_LAPSE = 0.05  # the lapse with which a sweep begins
HALVINGS = 6  # how often the distance between the values of a StepRange is halved
MAX_EVALUATIONS = (12, 36, 50)  # how many settings between grid values are tried, for one, two and three ranges
ALIKE_DISTANCE = 0.05  # the largest total variation at which two distributions count as the same
ALIKE_SHARE = 0.01  # the share of visited histories on which two procedures of one class may differ


class Fit(NamedTuple):
    """A procedure, with the settings that were fitted to the even lifetimes and to the odd ones.

    Attributes:
        procedure: the procedure that was fitted.
        settings: the settings fitted to each half; 'lapse' is one of them if the procedure has a lapse.
        held_out_probabilities: [N, T, K] the probabilities on every trial, with the settings fitted to the other half.
    """

    procedure: Procedure
    settings: tuple[dict[str, Any], dict[str, Any]]
    held_out_probabilities: np.ndarray

    def describe_settings(self) -> str:
        """Describes the settings in words (see `summarise_settings`)."""
        return ", ".join(f"{k} {v}" for k, v in self.summarise_settings().items())

    def summarise_settings(self) -> dict[str, Any]:
        """Summarises the settings by name.

        Real numbers are averaged over the halves. If other values differ, both are given.
        """
        even, odd = self.settings
        result = {}
        for name, value in even.items():
            if isinstance(value, float) or (value != odd[name] and isinstance(odd[name], float)):
                result[name] = round((value + odd[name]) / 2, 4)
            else:
                result[name] = value if value == odd[name] else f"{value} or {odd[name]}"
        return result


def fit(procedure: Procedure, history: History) -> Fit:
    """Fits a procedure to each half of the lifetimes, and predicts each half with the fit to the other half."""
    settings = (_fit_settings(procedure, split_half(history, 0)), _fit_settings(procedure, split_half(history, 1)))
    held_out = np.empty(history.choice_made.shape, np.float32)
    for i in (0, 1):
        held_out[i::2] = predict_choices(procedure, split_half(history, i, 1), settings[1 - i])
    return Fit(procedure, settings, held_out)


@cache_in_history
def split_half(history: History, half: int, thinning: int = 0) -> History:
    """Selects one half of the lifetimes.

    The half is cached in `history`, so every procedure gets the same object, with the results that are cached in it.

    Args:
        history: the history of all lifetimes.
        half: 0 for the even lifetimes, 1 for the odd ones.
        thinning: as in `History`; with 0, it is chosen for fitting (see `FITTED_CHOICES`).
    """
    size = history.choice_made.size / 2
    thinning = thinning or max(1, round(size / max(FITTED_CHOICES, size - 5 * FITTED_CHOICES)))
    return history.select_lifetimes(np.arange(half, len(history.action), 2), thinning)


def predict_choices(procedure: Procedure, history: History, settings: dict[str, Any]) -> np.ndarray:
    """Computes a procedure's probabilities [N, T, K] with given settings; 1/K on trials without a prediction."""
    arguments = {k: v for k, v in settings.items() if k != "lapse"}
    p = procedure.policy(history, **arguments).astype(np.float32)
    p = np.where(np.isfinite(p), p, np.float32(1 / history.choices))
    lapse = settings.get("lapse")
    return mix_lapse(p, np.float32(lapse)) if lapse is not None else np.maximum(p, np.float32(MIN_PROBABILITY))


def _fit_settings(procedure: Procedure, history: History) -> dict[str, Any]:
    """Finds the maximum-likelihood settings for the choices of a history."""
    if procedure.estimate:
        return procedure.estimate(history)
    if procedure.sweep:
        return _fit_by_sweep(procedure, history)

    def score(settings: dict[str, Any]) -> float:
        return _score_settings(procedure, history, settings)[0]

    coarse_history = history.select_lifetimes(np.arange(len(history.action)), 4 * history.thinning)
    grid_history = coarse_history if procedure.coarse_grid else history
    candidates = list_grid_settings(procedure, history)
    best = max(candidates, key=lambda settings: _score_settings(procedure, grid_history, settings)[0])
    best = max((best, *_refine_settings(procedure, score, best)), key=score)
    return {**best, **({"lapse": _score_settings(procedure, history, best)[1]} if procedure.has_lapse else {})}


def _fit_by_sweep(procedure: Procedure, history: History) -> dict[str, Any]:
    """Finds the best of the settings that a procedure lists for a lapse, and the best lapse for these settings."""
    assert procedure.sweep
    best, lapse = {}, INITIAL_LAPSE
    for _ in range(2):
        candidates = [(_score_settings(procedure, history, s), s) for s in procedure.sweep(history, lapse)]
        (_, lapse), best = max(candidates, key=lambda candidate: candidate[0][0])
    return {**best, "lapse": lapse}


def _score_settings(procedure: Procedure, history: History, settings: dict[str, Any]) -> tuple[float, float]:
    """Computes the mean log-probability of the choices made, with the lapse that fits them best, and returns both.

    The lapse is 0 if the procedure has none.
    """
    p = procedure.policy(history, **settings)
    p = np.take_along_axis(p, np.maximum(history.action, 0)[..., None], -1)[..., 0]
    p = p[history.is_present & np.isfinite(p)].astype(np.float64)
    lapse = _fit_lapse(p, history.choices) if procedure.has_lapse else 0.0
    own = (1 - lapse) * p + lapse / history.choices
    return float(np.log(np.maximum(own, MIN_PROBABILITY / 2)).mean()), lapse


def list_grid_settings(procedure: Procedure, history: History) -> Iterator[dict[str, Any]]:
    """Yields every combination of the values that fitting tries first."""
    grid = {k: list_values(k, tuple(v), history) for k, v in (procedure.coarse_grid or procedure.grid).items()}
    return (dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))


def _fit_lapse(p: np.ndarray, choices: int) -> float:
    """Finds the maximum-likelihood lapse by bisection, from the probabilities p of the choices made."""
    low, high, off = MIN_PROBABILITY, 1.0, 1 / choices - p
    if len(p) == 0:
        return 1.0
    for _ in range(14):
        middle = (low + high) / 2
        if (off / np.maximum(p + middle * off, 1e-12)).sum() > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2 if low > MIN_PROBABILITY else MIN_PROBABILITY


def _refine_settings(procedure: Procedure, score: Callable, best: dict[str, Any]) -> list[dict[str, Any]]:
    """Searches for better settings between the grid values, with the simplex method of Nelder and Mead (1965).

    The search runs over the positions in all ranges at once. Whole-numbered positions are the values of the grid. If
    one of the ranges is a `StepRange`, only its setting is searched, by halving. The function returns a list with the
    settings that the search finds, which is empty if no setting has a range.
    """
    ranges = {k: v for k, v in procedure.grid.items() if isinstance(v, Range)}
    if not ranges:
        return []
    if name := next((k for k, v in ranges.items() if isinstance(v, StepRange)), None):
        value = _search_by_halving(lambda x: score({**best, name: x}), ranges[name], best[name])
        return [{**best, name: value}]

    def interpolate_settings(positions: np.ndarray) -> dict[str, Any]:
        settings = dict(best)
        for (name, values), position in zip(ranges.items(), positions, strict=True):
            value = float(np.interp(position, np.arange(len(values)), values))
            settings[name] = round(value) if isinstance(values, IntegerRange) else round(value, 6)
        return settings

    start = np.array([values.index(best[name]) for name, values in ranges.items()], float)
    ends = np.array([len(values) - 1 for values in ranges.values()])
    simplex = np.vstack([start, start + np.diag(np.where(start + 0.5 > ends, -0.5, 0.5))])
    options = {"initial_simplex": simplex, "maxfev": MAX_EVALUATIONS[len(ranges) - 1], "xatol": 0.02, "fatol": 1e-6}
    bounds = [(0, end) for end in ends]
    found = minimize(
        lambda x: -score(interpolate_settings(x)), start, method="Nelder-Mead", bounds=bounds, options=options
    )
    return [interpolate_settings(found.x)]


def _search_by_halving(score: Callable[[float], float], grid: Sequence[float], start: float) -> float:
    """Finds the best value between the neighbours of the best grid value `start`, by repeated halving.

    If several values share the best score, the one nearest to their mean is returned. The value 0 stands for another
    form of the procedure and has no neighbours. If 0 is best, the search begins at the best of the other values.
    """
    grid = [x for x in grid if x]
    start = start or max(grid, key=score)
    position = grid.index(start)
    low, high = grid[max(position - 1, 0)], grid[min(position + 1, len(grid) - 1)]
    scores = {x: score(x) for x in (low, start, high)}
    best = max(scores, key=lambda x: scores[x])
    for _ in range(HALVINGS):
        values = sorted(scores)
        i = values.index(best)
        near = values[max(i - 2, 0) : i + 3]  # two on either side, as scores may fluctuate slightly
        for middle in [round((a + b) / 2, 6) for a, b in itertools.pairwise(near)]:
            scores[middle] = scores[middle] if middle in scores else score(middle)
        best = max(scores, key=lambda x: scores[x])
        alike = [x for x, s in scores.items() if s > scores[best] - 1e-9]
        best = min(alike, key=lambda x: abs(x - np.mean(alike)))
    return best


def group_procedures(fits: Sequence[Fit], history: History, scores: np.ndarray) -> list[list[int]]:
    """Groups procedures that act alike.

    Args:
        fits: the fitted procedures.
        history: the recorded lifetimes, in which each trial has visited one history.
        scores: [P] the mean held-out log-probability of a trial under each procedure, in nats.

    Returns:
        The indices of the procedures in each class. The best class comes first, and in each class the procedure with
        the fewest fitted numbers. On less than ALIKE_SHARE of the visited histories, a member differs from the best
        procedure of its class by more than ALIKE_DISTANCE.
    """
    remaining, classes = list(np.argsort(-scores, kind="stable")), []
    predictions = [f.held_out_probabilities[history.is_present] for f in fits]
    while remaining:
        best = remaining[0]
        distances = {i: 0.5 * np.abs(predictions[i] - predictions[best]).sum(-1) for i in remaining}
        members = [i for i in remaining if (distances[i] > ALIKE_DISTANCE).mean() < ALIKE_SHARE or i == best]
        classes.append(sorted(members, key=lambda i: (fits[i].procedure.parameter_count, i)))
        remaining = [i for i in remaining if i not in members]
    return classes


def measure_flexible_gain(nearest_fit: Fit, other_fits: Sequence[Fit], history: History) -> np.ndarray:
    """Measures the held-out gain [N, T], in nats, of a flexible model of the choices over the nearest procedure.

    The model multiplies the nearest procedure's odds by the exponential of a weighted sum of features: the other
    procedures' predictions, the last choices and pay-offs, counts and means, and the trial index. Its weights are
    fitted to one half (with a ridge penalty) and scored on the other half, so useless weights lower the score. If the
    nearest procedure is the true one, no function of the history helps, and the expected gain is below 0.
    """
    out = np.zeros(history.action.shape)
    for i in (0, 1):
        train, test = split_half(history, i, 1), split_half(history, 1 - i, 1)
        base, features = _collect_features(nearest_fit, other_fits, train, i)
        scale = np.maximum(features[train.is_present].std((0, 1)), 1e-6)
        weights = _fit_logit(base[train.is_present], features[train.is_present] / scale, train.action[train.is_present])
        base, features = _collect_features(nearest_fit, other_fits, test, i)
        gain = log_softmax(base + features @ (weights / scale), -1) - log_softmax(base, -1)
        own = np.take_along_axis(gain, np.maximum(test.action, 0)[..., None], -1)[..., 0]
        out[1 - i :: 2] = np.where(test.is_present, own, 0.0)
    return out


def _collect_features(
    nearest_fit: Fit, other_fits: Sequence[Fit], history: History, half: int
) -> tuple[np.ndarray, np.ndarray]:
    """Collects the nearest procedure's log-probabilities [N, T, K], and features [N, T, K, F].

    All procedures have the settings that were fitted to `half`: 0 for the even lifetimes, 1 for the odd ones.
    """
    base = predict_choices(nearest_fit.procedure, history, nearest_fit.settings[half])
    stack = [base, *(predict_choices(f.procedure, history, f.settings[half]) for f in other_fits)]
    features = np.stack([*_collect_history_features(history), *(np.log(np.maximum(p, 0.003)) for p in stack)], -1)
    return np.log(np.maximum(base, MIN_PROBABILITY / 2)), features - features.mean(2, keepdims=True)


def _collect_history_features(history: History) -> list[np.ndarray]:
    """Collects features [N, T, K] of the history that may influence a choice, besides the procedures' predictions."""
    last, second_last = history.last_choice, history.shift_later(history.last_choice)
    last_win, second_last_win = history.is_last_win[..., None], history.shift_later(history.is_last_win)[..., None]
    time = np.broadcast_to(np.arange(history.trial_count)[None, :, None] / max(history.trial_count, 1), last.shape)
    means, spread, pulls = compute_beliefs(history).values()
    features = [last, last * last_win, last * time, second_last, second_last * second_last_win, means, means * time]
    features += [np.log1p(pulls), np.log1p(pulls) * time, spread, spread * time]
    if history.choices <= 16:
        features += [np.broadcast_to(np.arange(history.choices) == k, last.shape) for k in range(1, history.choices)]
    return [np.asarray(x, np.float32) for x in features]


def _fit_logit(
    offset: np.ndarray, features: np.ndarray, action: np.ndarray, ridge_penalty: float = 1.0, max_steps: int = 8
) -> np.ndarray:
    """Fits the weights [F] of a conditional logit by damped Newton steps.

    Args:
        offset: [R, K] the logits of the K choices on R trials if all weights are 0.
        features: [R, K, F] the features, whose weighted sum is added to the logits.
        action: [R] the choices made.
        ridge_penalty: the weight of the penalty, half the sum of the squared weights.
        max_steps: the largest number of Newton steps.
    """
    weights, offset, features = np.zeros(features.shape[-1]), offset.astype(np.float64), features.astype(np.float64)
    features_of_choice = features[np.arange(len(features)), action]

    def compute_objective(w):
        log = log_softmax(offset + features @ w, -1)
        return log[np.arange(len(features)), action].sum() - 0.5 * ridge_penalty * (w**2).sum(), log

    value, log = compute_objective(weights)
    for _ in range(max_steps):
        p = np.exp(log)
        mean = np.einsum("rk,rkf->rf", p, features)
        slope = (features_of_choice - mean).sum(0) - ridge_penalty * weights
        flat = (np.sqrt(p)[..., None] * features).reshape(-1, features.shape[-1])
        curve = flat.T @ flat - mean.T @ mean + ridge_penalty * np.eye(len(weights))
        move, size = np.linalg.solve(curve, slope), 1.0
        while size > 1e-3:
            new_value, new_log = compute_objective(weights + size * move)
            if new_value >= value:
                break
            size /= 2
        if size <= 1e-3 or new_value - value < 1e-3:
            break
        weights, value, log = weights + size * move, new_value, new_log
    return weights
