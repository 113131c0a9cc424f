"""Plans its first choice: learns what the states pay and counts where the choices lead, and puts the two together."""

from __future__ import annotations

from mesascope.contracts.family import Family
from mesascope.contracts.settings import named, within
from mesascope.worlds.two_step.learning import Mixed, mixed

TRIED = "two_step:trials=12,bank=2"


def subject(family: Family, rate: float = 0.5, beta: float = 15.0, initial: float = 0.5) -> Mixed:
    """Plans its first choice from what the states pay and where the choices lead; heeds what is announced of both.

    Args:
        family: the two-step task.
        rate: the part of a prediction error that is taken over.
        beta: inverse temperature.
        initial: what the states are thought to pay at birth.
    """
    within(0, 1, rate=rate)
    within(-1e4, 1e4, beta=beta, initial=initial)
    given = {"rate": rate, "beta": beta, "initial": initial}
    fixed = {"weight": 1.0, "decay": 1.0, "stay": 0.0, "counts": True, "heeds": True, "greedy": False}
    return mixed(family, named(subject, **given), **given, **fixed)
