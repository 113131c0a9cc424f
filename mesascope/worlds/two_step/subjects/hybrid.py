"""Mixes planned with cached values in the two-step task (Daw et al. 2011)."""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.two_step.learning import REAL, UNIT, Mixture, make_mixture

TRIED = "two_step:trials=12,bank=2"


@keep_settings(weight=UNIT, rate=UNIT, decay=UNIT, beta=REAL, stay=REAL, initial=REAL)
def subject(
    family: Family,
    *,
    weight: float = 0.5,
    rate: float = 0.5,
    decay: float = 1.0,
    beta: float = 5.0,
    stay: float = 0.0,
    initial: float = 0.5,
) -> Mixture:
    """Chooses by planned values of weight w and by cached ones of weight 1 - w.

    Args:
        family: the two-step task.
        weight: w, of the planned values.
        rate: the part of a prediction error that is taken over.
        decay: λ, the part of the second stage's error that reaches the first choice at once.
        beta: inverse temperature.
        stay: what is added to the value of the last first choice.
        initial: the values at birth.
    """
    return make_mixture(family, weight=weight, rate=rate, decay=decay, beta=beta, stay=stay, initial=initial)
