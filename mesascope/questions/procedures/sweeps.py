"""Finds the best setting of a deterministic procedure exactly, by a sweep over all values where its likelihood changes.

A deterministic procedure agrees with a choice if its setting lies in an interval that the history determines. So the
likelihood is constant between the ends of these intervals, and a search by gradients or simplices gets stuck. The sweep
finds the part of the setting's range that agrees best with the choices, and takes the middle of this part.
"""

import itertools
from typing import Any

import numpy as np

from mesascope.questions.procedures.histories import History

TOLERANCE = 1e-6  # values that differ by at most this count as equal


def find_best_middle(low: np.ndarray, high: np.ndarray, weight: np.ndarray, max_value: float) -> float:
    """Finds where in a setting's range overlapping intervals have the most weight; returns the middle of this part.

    Args:
        low: [R] the lower ends of intervals.
        high: [R] the upper ends; an interval is empty unless its upper end exceeds its lower end.
        weight: [R] the positive weights of the intervals.
        max_value: the largest value of the setting; the smallest is 0.
    """
    low, high = np.clip(low, 0.0, max_value), np.clip(high, 0.0, max_value)
    nonempty = high > low
    ends = np.concatenate([[0.0, max_value], low[nonempty], high[nonempty]])
    steps = np.concatenate([[0.0, 0.0], weight[nonempty], -weight[nonempty]])
    order = np.argsort(ends, kind="stable")
    ends, total = ends[order], np.cumsum(steps[order])
    stretches = np.flatnonzero(np.diff(ends) > 0)
    best = stretches[np.argmax(np.round(total[stretches], 9))]
    return float((ends[best] + ends[best + 1]) / 2)


def weigh_agreement(p: np.ndarray, lapse: float, choices: int) -> np.ndarray:
    """Computes the weight of agreement with a choice, in nats.

    It is the log-likelihood ratio of a choice that has probability p unless there is a lapse, and a choice by lapse
    alone.
    """
    return np.log(((1 - lapse) * p + lapse / choices) / (lapse / choices))


def sweep_ucb1(history: History, lapse: float, max_constant: float = 100.0) -> list[dict[str, Any]]:
    """Finds the best constant for each of four forms of UCB1, in which a choice has the value mean + constant · bonus.

    The forms differ in whether the bonus grows with time, and whether each choice is first made once.
    """
    settings = []
    for is_growing, tries_each_first in itertools.product((True, False), (False, True)):
        counts = history.counts if tries_each_first else history.counts + 1
        pulls = counts.sum(-1)
        time = history.counts.sum((-2, -1))[..., None] + 1
        bonus = np.sqrt((np.log(time) if is_growing else 1.0) / np.maximum(pulls, 1))
        use = history.is_present & (pulls > 0).all(-1)  # a choice never tried comes first with any constant
        action, mean = history.action[use][:, None], (counts[..., 0] / np.maximum(pulls, 1))[use].astype(float)
        bonus = np.broadcast_to(bonus, pulls.shape)[use].astype(float)
        lead = mean - np.take_along_axis(mean, action, 1)  # by how much each mean exceeds the mean of the choice made
        extra_bonus = np.take_along_axis(bonus, action, 1) - bonus
        parallel = np.abs(extra_bonus) <= TOLERANCE
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = lead / extra_bonus
        low = np.where(~parallel & (extra_bonus > 0), crossing, -np.inf).max(-1)
        high = np.where(~parallel & (extra_bonus < 0), crossing, np.inf).min(-1)
        high = np.where((parallel & (lead > TOLERANCE)).any(-1), -np.inf, high)
        ties = (parallel & (np.abs(lead) <= TOLERANCE)).sum(-1)  # the count includes the choice made
        constant = find_best_middle(low, high, weigh_agreement(1 / ties, lapse, history.choices), max_constant)
        settings.append(
            {"constant": round(constant, 6), "is_growing": is_growing, "tries_each_first": tries_each_first}
        )
    return settings


def sweep_satisficer(history: History, lapse: float) -> list[dict[str, Any]]:
    """Finds the best aspiration level of a satisficer, which repeats a choice whose mean reaches this level."""
    use = history.is_present & (history.last_choice.sum(-1) > 0)
    mean = (history.last_choice * history.compute_posterior_means()).sum(-1)[use].astype(float)
    stays = (history.choice_made * history.last_choice).sum(-1)[use] > 0
    low, high = np.where(stays, 0.0, mean), np.where(stays, mean, 1.0)
    weight = weigh_agreement(np.where(stays, 1.0, 1 / (history.choices - 1)), lapse, history.choices)
    return [{"min_mean": round(find_best_middle(low, high, weight, 1.0), 6)}]
