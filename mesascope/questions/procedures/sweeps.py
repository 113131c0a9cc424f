"""Fits settings on which a deterministic procedure depends in steps, exactly, by sweeping over the breakpoints.

A deterministic procedure agrees with a choice if its setting lies in an interval, which the history determines. So its
likelihood is constant between the ends of these intervals, and a search by slopes or simplices gets stuck. The sweep
finds the stretch of the setting that agrees with the choices most, and takes its middle.
"""

from typing import Any

import numpy as np

from mesascope.questions.procedures.histories import History

CLOSE = 1e-6  # values that differ by at most this are equal, as for the procedures themselves


def middle_of_best(low: np.ndarray, high: np.ndarray, weight: np.ndarray, most: float) -> float:
    """The middle of the stretch of a setting, from 0 to `most`, that lies in intervals of the largest total weight.

    Args:
        low: [R] the lower ends of intervals.
        high: [R] the upper ends; an interval whose upper end is not above the lower one is empty.
        weight: [R] the weights, which are positive.
        most: the largest value of the setting.
    """
    low, high = np.clip(low, 0.0, most), np.clip(high, 0.0, most)
    some = high > low
    ends = np.concatenate([[0.0, most], low[some], high[some]])
    steps = np.concatenate([[0.0, 0.0], weight[some], -weight[some]])
    order = np.argsort(ends, kind="stable")
    ends, total = ends[order], np.cumsum(steps[order])
    stretches = np.flatnonzero(np.diff(ends) > 0)
    best = stretches[np.argmax(np.round(total[stretches], 9))]
    return float((ends[best] + ends[best + 1]) / 2)


def agreement_weight(p: np.ndarray, lapse: float, choices: int) -> np.ndarray:
    """The nats by which a choice with probability p is likelier, with a lapse, than one that only lapses make."""
    return np.log(((1 - lapse) * p + lapse / choices) / (lapse / choices))


def sweep_ucb1(history: History, lapse: float, most: float = 100.0) -> list[dict[str, Any]]:
    """The best constant of UCB1 for each of its forms: means + constant · bonus is a line for every choice."""
    found = []
    for growing in (True, False):
        for each_first in (False, True):
            seen = history.counts if each_first else history.counts + 1
            pulls = seen.sum(-1)
            time = history.counts.sum((-2, -1))[..., None] + 1
            bonus = np.sqrt((np.log(time) if growing else 1.0) / np.maximum(pulls, 1))
            use = history.is_present & (pulls > 0).all(-1)  # a choice that was never tried comes first, whatever the constant
            chosen, mean = history.action[use][:, None], (seen[..., 0] / np.maximum(pulls, 1))[use].astype(float)
            bonus = np.broadcast_to(bonus, pulls.shape)[use].astype(float)
            behind = mean - np.take_along_axis(mean, chosen, 1)
            more = np.take_along_axis(bonus, chosen, 1) - bonus
            parallel = np.abs(more) <= CLOSE
            with np.errstate(divide="ignore", invalid="ignore"):
                at = behind / more
            low = np.where(~parallel & (more > 0), at, -np.inf).max(-1)
            high = np.where(~parallel & (more < 0), at, np.inf).min(-1)
            high = np.where((parallel & (behind > CLOSE)).any(-1), -np.inf, high)
            equals = (parallel & (np.abs(behind) <= CLOSE)).sum(-1)  # counts the choice itself
            weight = agreement_weight(1 / equals, lapse, history.choices)
            constant = middle_of_best(low, high, weight, most)
            found.append({"constant": round(constant, 6), "growing": growing, "each_first": each_first})
    return found


def sweep_satisficer(history: History, lapse: float) -> list[dict[str, Any]]:
    """The best aspiration of a satisficer, which stays if the mean of the last choice reaches it, and else leaves."""
    use = history.is_present & (history.last_choice.sum(-1) > 0)
    mean = (history.last_choice * history.posterior_means()).sum(-1)[use].astype(float)
    stays = (history.choice_made * history.last_choice).sum(-1)[use] > 0
    low, high = np.where(stays, 0.0, mean), np.where(stays, mean, 1.0)
    weight = agreement_weight(np.where(stays, 1.0, 1 / (history.choices - 1)), lapse, history.choices)
    return [{"enough": round(middle_of_best(low, high, weight, 1.0), 6)}]
