"""In the hybrid model of the two-step task (Daw et al. 2011), how much weight do planned values have?

Log-odds of the first choice: β · (w · planned + (1 - w) · cached) values, and a constant for repeating. Planned values
are those of the states times counted transitions, cached ones learn from the pay-off; both learn at one rate, which is
fitted. λ is told and not fitted: it can hardly be told from w. The number describes choices in the model's terms; a
filter that plans nothing has one too.
"""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import t as student

from mesascope.contracts.metric import DoesNotApply, Metric, Reading, fresh, make_metric
from mesascope.contracts.settings import check_range
from mesascope.worlds.two_step.two_steps import Steps, by_units, logistic, two_steps

NEAR = 0.1  # half of the widest interval that still tells w
KNOWN = 10.0  # transitions that a subject is taken to have counted before the first trial
RATES = (0.01, 0.99)


def metric(decay: float = 1.0) -> Metric:
    """How much weight do planned values have against cached ones, in the hybrid model of its first choices?

    Args:
        decay: λ, the part of the second stage's error that reaches the cached value at once.
    """
    check_range(0, 1, decay=decay)

    def measure(trials, references, replay):
        lived = fresh(trials)
        steps = two_steps(lived)
        weight, rate, beta = fit_weight(steps, decay)
        told = f"learning rate {rate:.2f}, inverse temperature {beta:.1f}; no evidence of planning"
        return [Reading(weight[steps.unit], str(lived.attrs["split"]), reason=told, descriptive=True)]

    question = (
        "How much weight do planned values have against cached ones, in the hybrid model of its choices?"
    )
    return make_metric(question, measure, decay=decay)


def fit_weight(steps: Steps, decay: float = 1.0) -> tuple[np.ndarray, float, float]:
    """w [U] whose mean is the estimate and whose spread over units gives its error; rate and inverse temperature.

    Raises:
        DoesNotApply: w is not told within .1, or the choices hang on neither value.
    """
    units = int(steps.unit.max()) + 1
    if units < 3:
        raise DoesNotApply(
            f"from {units} of what is resampled w has no interval; 40 lifetimes of 100 trials do"
        )
    asked, y = steps.known, (steps.first == 1).astype(float)

    def loss(rate: float) -> float:
        x = features(steps, rate, decay)[asked]
        weights, _ = logistic(x, y[asked])
        z = x @ weights
        return float((np.logaddexp(0.0, z) - y[asked] * z).mean())

    found: Any = minimize_scalar(loss, bounds=RATES, method="bounded", options={"xatol": 1e-3})
    rate = float(found.x)
    values = features(steps, rate, decay)
    weights, curve = logistic(values[asked], y[asked])
    size = 1e-3
    moved = [features(steps, rate + s, decay) for s in (size, -size)]
    left = asked * (y - expit(values @ weights))  # [N, T]
    of_rate = (moved[0] - moved[1]) @ weights / (2 * size)  # [N, T] how the log-odds move with the rate
    bent = (moved[0] + moved[1] - 2 * values) @ weights / size**2
    slope = np.concatenate([(left[..., None] * values).sum(1), (left * of_rate).sum(1)[:, None]], -1)
    p = expit(values @ weights)
    heft = asked * p * (1 - p)
    across = (heft[..., None] * values * of_rate[..., None]).sum((0, 1))
    across -= (left[..., None] * (moved[0] - moved[1]) / (2 * size)).sum((0, 1))
    own = (heft * of_rate**2 - left * bent).sum()
    whole = np.block([[curve, across[:, None]], [across[None], np.array([[own]])]])
    slope = by_units(steps, slope)
    influence = units * (slope - slope.mean(0)) @ np.linalg.pinv(whole, rcond=1e-10)
    planned, cached = weights[:2]
    beta = planned + cached
    spread = (influence[:, 0] + influence[:, 1]).std(ddof=1) / np.sqrt(units)
    if not beta > 3 * spread:
        raise DoesNotApply("its first choices hang on neither planned nor cached values")
    w = planned / beta + (cached * influence[:, 0] - planned * influence[:, 1]) / beta**2
    half = float(student.ppf(0.975, units - 1) * w.std(ddof=1) / np.sqrt(units))
    if not half <= NEAR:
        raise DoesNotApply(
            f"w is told to within {half:.2f} only; it takes more trials to tell it within {NEAR}"
        )
    return w, rate, float(beta)


def features(steps: Steps, rate: float, decay: float) -> np.ndarray:
    """[N, T, 3] planned and cached values of the second less those of the first choice, and the last choice as ±1."""
    n, length = steps.first.shape
    rows, usual = np.arange(n), float(steps.common[steps.known].mean())
    way = np.broadcast_to(KNOWN * (usual * np.eye(2) + (1 - usual) * (1 - np.eye(2))), (n, 2, 2)).copy()
    options, cached, last = np.full((n, 2, 2), 0.5), np.full((n, 2), 0.5), np.zeros(n)
    single = not steps.second.any()
    out = np.empty((n, length, 3))
    for t in range(length):
        best = options[..., 0] if single else options.max(-1)
        planned = (way * best[:, None]).sum(-1) / way.sum(-1)
        out[:, t, 0] = planned[:, 1] - planned[:, 0]
        out[:, t, 1] = cached[:, 1] - cached[:, 0]
        out[:, t, 2] = last
        known = steps.known[:, t].astype(float)
        first, place, second = steps.first[:, t], steps.place[:, t], steps.second[:, t]
        there = options[rows, place, second]
        error = known * (steps.paid[:, t] - there)
        cached[rows, first] += rate * (known * (there - cached[rows, first]) + decay * error)
        options[rows, place, second] += rate * error
        way[rows, first, place] += known
        last = np.where(known > 0, 2.0 * first - 1.0, last)
    return out
