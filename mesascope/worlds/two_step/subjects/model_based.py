"""Plans its first choice: learns the values of the states, counts transitions, and combines the two."""

from mesascope.contracts import Family, keep_settings
from mesascope.worlds.two_step.mixture import REAL_RANGE, UNIT_RANGE, Mixture, make_mixture


@keep_settings(rate=UNIT_RANGE, beta=REAL_RANGE, initial_value=REAL_RANGE)
def subject(family: Family, rate: float = 0.5, beta: float = 15.0, initial_value: float = 0.5) -> Mixture:
    """Plans its first choice from the values of the states and the transitions; uses announcements about both.

    Args:
        family: the two-step task.
        rate: the learning rate of the values of the states.
        beta: the inverse temperature of the softmax over values.
        initial_value: the initial value of every state.
    """
    return make_mixture(family, weight=1.0, rate=rate, beta=beta, initial_value=initial_value)
