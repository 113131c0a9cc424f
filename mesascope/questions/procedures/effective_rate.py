"""Is the subject's learning rate higher in volatile blocks than in calm ones?

The metric fits a Rescorla-Wagner rule to all lifetimes by maximum likelihood, with one rate for calm blocks, one for
volatile blocks, and one inverse temperature (Behrens et al. 2007; Wang et al. 2016). The value of each lifetime is the
estimate plus the lifetime's influence on the estimate, so the spread of these values gives the robust ('sandwich')
standard error. A subject with a fixed learning rate has equal rates in both kinds of block.

In shapes, N is the number of lifetimes, T of trials, and K of choices.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit

from mesascope.contracts import DoesNotApply, Metric, Reading, make_metric, select_fresh_trials
from mesascope.questions.procedures.histories import History, check_lifetimes, select_first_lifetimes


def metric(lifetimes: int = 128) -> Metric:
    """Which learning rates fit the subject's choices in calm and in volatile blocks?

    Args:
        lifetimes: the largest number of lifetimes to use.
    """
    check_lifetimes(lifetimes, minimum=3)

    def measure(trials, references, replay):
        if "volatility" not in select_fresh_trials(trials):
            raise DoesNotApply("the family has no calm and volatile blocks")
        rollout, history = select_first_lifetimes(select_fresh_trials(trials), lifetimes)
        is_volatile = rollout.volatility.values > 0
        if not is_volatile.any() or is_volatile.all():
            raise DoesNotApply("all blocks are calm, or all are volatile")
        choice_probs = history.choice_made.astype(float)
        if "log_probs" in rollout:
            choice_probs = np.exp(rollout.log_probs.sel(condition="intact").values.astype(float))
        rates, beta = fit_rates(history, is_volatile, choice_probs)
        split, reason = str(rollout.attrs["split"]), f"inverse temperature {beta:.1f}"
        blocks = zip(rates, ("calm blocks", "volatile blocks"), strict=True)
        readings = [Reading(rate, split, label, reason=reason) for rate, label in blocks]
        return [*readings, Reading(rates[1] - rates[0], split, "volatile less calm blocks")]

    question = "Which Rescorla-Wagner learning rate fits the subject's choices in calm and in volatile blocks?"
    return make_metric(question, measure, lifetimes=lifetimes)


def fit_rates(history: History, is_volatile: np.ndarray, choice_probs: np.ndarray) -> tuple[np.ndarray, float]:
    """Fits one learning rate for calm blocks, one for volatile blocks, and an inverse temperature.

    Args:
        history: the recorded lifetimes.
        is_volatile: [N, T] whether the trial is in a volatile block.
        choice_probs: [N, T, K] the subject's probability of every choice; if unknown, one for the choice that it made.

    Returns:
        Numbers [2, N] whose means are the two rates, and the inverse temperature.
    """

    def compute_log_likelihoods(x: np.ndarray) -> np.ndarray:
        return _compute_log_likelihood(history, is_volatile, choice_probs, expit(x[:2]), float(np.exp(x[2])))

    limits = [(-6, 6), (-6, 6), (-4, 5)]
    starts = ((r, np.log(b)) for r in (logit(0.1), logit(0.4)) for b in (2.0, 8.0))
    start = max((np.array([r, r, b]) for r, b in starts), key=lambda x: compute_log_likelihoods(x).mean())
    x = minimize(lambda x: -compute_log_likelihoods(x).mean(), start, method="L-BFGS-B", bounds=limits).x
    size = 1e-3
    steps = size * np.eye(3)
    slopes = np.stack(
        [(compute_log_likelihoods(x + s) - compute_log_likelihoods(x - s)) / (2 * size) for s in steps]
    )  # [3, N]
    optimum = compute_log_likelihoods(x).mean()
    hessian = np.empty((3, 3))
    for i, j in np.ndindex(3, 3):
        a, b = 20 * steps[i], 20 * steps[j]
        mixed = (
            compute_log_likelihoods(x + a + b).mean()
            - compute_log_likelihoods(x + a - b).mean()
            - compute_log_likelihoods(x - a + b).mean()
        )
        hessian[i, j] = (mixed + compute_log_likelihoods(x - a - b).mean()) / (4 * (20 * size) ** 2)
    influence = -np.linalg.pinv(hessian, rcond=1e-8) @ (slopes - slopes.mean(1, keepdims=True))
    rate = expit(x[:2])
    estimates = rate[:, None] + (rate * (1 - rate))[:, None] * influence[:2]
    return (estimates if np.isfinite(optimum) else np.full_like(estimates, np.nan)), float(np.exp(x[2]))


def _compute_log_likelihood(
    history: History, is_volatile: np.ndarray, choice_probs: np.ndarray, rates: np.ndarray, beta: float
):
    """Computes the mean log-likelihood per trial [N]; a pay-off is learnt with the rate of the block of its trial."""
    rate = np.where(history.shift_later(is_volatile), rates[1], rates[0])
    payoff, last_choice = history.shift_later(history.payoff), history.last_choice
    value, total = np.full(last_choice[:, 0].shape, 0.5), np.zeros(len(payoff))
    for t in range(history.trial_count):
        value = value + rate[:, t, None] * last_choice[:, t] * (payoff[:, t, None] - value)
        log_likelihood = (choice_probs[:, t] * log_softmax(beta * value, -1)).sum(-1)
        total += np.where(history.is_present[:, t], log_likelihood, 0.0)
    return total / np.maximum(history.is_present.sum(-1), 1)
