"""Mixes planned and cached values in the two-step task (Daw et al. 2011)."""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.two_step.mixture import REAL_RANGE, UNIT_RANGE, Mixture, make_mixture


@keep_settings(
    weight=UNIT_RANGE, rate=UNIT_RANGE, decay=UNIT_RANGE, beta=REAL_RANGE, stay=REAL_RANGE, initial=REAL_RANGE
)
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
    """Chooses from planned values, which have the weight w, and cached values, which have the weight 1 - w.

    Args:
        family: the two-step task.
        weight: w, the weight of the planned values.
        rate: the learning rate.
        decay: λ, the part of the prediction error of the second stage that also updates the first choice.
        beta: the inverse temperature.
        stay: a bonus on the value of the last first choice.
        initial: the initial value of every first choice and option.
    """
    return make_mixture(family, weight=weight, rate=rate, decay=decay, beta=beta, stay=stay, initial=initial)
