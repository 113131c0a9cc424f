"""Learns which states follow its first choices, and multiplies that with what they pay (Dayan 1993).

What states pay can be announced to it. Where choices lead it holds as habits of expectation, which only living moves
(Momennejad et al. 2017).
"""

from __future__ import annotations

from mesascope.contracts.family import Family
from mesascope.contracts.settings import named, within
from mesascope.worlds.two_step.learning import Mixed, mixed

TRIED = "two_step:trials=12,bank=2"


def subject(family: Family, rate: float = 0.3, beta: float = 15.0, initial: float = 0.5) -> Mixed:
    """Follows what states are said to pay at once, and where choices are said to lead only by living it.

    Args:
        family: the two-step task.
        rate: the part of a prediction error that is taken over, of pay-offs and of successors.
        beta: inverse temperature.
        initial: what the states are thought to pay at birth.
    """
    within(0, 1, rate=rate)
    within(-1e4, 1e4, beta=beta, initial=initial)
    given = {"rate": rate, "beta": beta, "initial": initial}
    fixed = {"weight": 1.0, "decay": 1.0, "stay": 0.0, "counts": False, "heeds": False, "greedy": False}
    return mixed(family, named(subject, **given), **given, **fixed)
