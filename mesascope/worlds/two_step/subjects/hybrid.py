"""Mixes planned and cached values in the two-step task (Daw et al. 2011)."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.two_step.mixture import REAL_RANGE, UNIT_RANGE, Mixture, make_mixture


@keep_settings(
    weight=UNIT_RANGE,
    rate=UNIT_RANGE,
    decay=UNIT_RANGE,
    beta=REAL_RANGE,
    stay_bonus=REAL_RANGE,
    initial_value=REAL_RANGE,
)
def subject(
    family: Family,
    *,
    weight: float = 0.5,
    rate: float = 0.5,
    decay: float = 1.0,
    beta: float = 5.0,
    stay_bonus: float = 0.0,
    initial_value: float = 0.5,
) -> Mixture:
    """Chooses from planned values, which have the weight w, and cached values, which have the weight 1 - w.

    Args:
        family: the two-step task.
        weight: w, the weight of the planned values.
        rate: the learning rate of all values.
        decay: λ, the part of the prediction error of the second stage that also updates the cached value.
        beta: the inverse temperature of the softmax over values.
        stay_bonus: a bonus on the value of repeating the first choice of the last trial.
        initial_value: the initial value of every first choice and option.
    """
    return make_mixture(
        family, weight=weight, rate=rate, decay=decay, beta=beta, stay_bonus=stay_bonus, initial_value=initial_value
    )
