"""Plans its first choice: learns what the states pay and counts where the choices lead, and puts the two together."""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.two_step.learning import REAL, UNIT, Mixture, make_mixture

TRIED = "two_step:trials=12,bank=2"


@keep_settings(rate=UNIT, beta=REAL, initial=REAL)
def subject(family: Family, rate: float = 0.5, beta: float = 15.0, initial: float = 0.5) -> Mixture:
    """Plans its first choice from what the states pay and where the choices lead; heeds what is announced of both.

    Args:
        family: the two-step task.
        rate: the part of a prediction error that is taken over.
        beta: inverse temperature.
        initial: what the states are thought to pay at birth.
    """
    return make_mixture(family, weight=1.0, rate=rate, beta=beta, initial=initial)
