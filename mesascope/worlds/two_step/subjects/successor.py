"""Learns a successor representation of its first choices and multiplies it by the values of states (Dayan 1993).

It uses announced pay-offs at once, but it learns transitions only from experience (Momennejad et al. 2017).
"""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.two_step.mixture import REAL_RANGE, UNIT_RANGE, Mixture, make_mixture


@keep_settings(rate=UNIT_RANGE, beta=REAL_RANGE, initial_value=REAL_RANGE)
def subject(family: Family, rate: float = 0.3, beta: float = 15.0, initial_value: float = 0.5) -> Mixture:
    """Uses announced pay-offs at once, but learns where choices lead only from experience.

    Args:
        family: the two-step task.
        rate: the learning rate of the values of the states and of the successor representation.
        beta: the inverse temperature of the softmax over values.
        initial_value: the initial value of every state.
    """
    return make_mixture(
        family,
        weight=1.0,
        rate=rate,
        beta=beta,
        initial_value=initial_value,
        counts_transitions=False,
        uses_announced_transitions=False,
    )
