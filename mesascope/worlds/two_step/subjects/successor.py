"""Learns which states follow its first choices, and multiplies that with what they pay (Dayan 1993).

What states pay can be announced to it. Where choices lead it holds as habits of expectation, which only living moves
(Momennejad et al. 2017).
"""

from mesascope.contracts.scripted import Family, keep_settings
from mesascope.worlds.two_step.learning import REAL, UNIT, Mixture, make_mixture

TRIED = "two_step:trials=12,bank=2"


@keep_settings(rate=UNIT, beta=REAL, initial=REAL)
def subject(family: Family, rate: float = 0.3, beta: float = 15.0, initial: float = 0.5) -> Mixture:
    """Follows what states are said to pay at once, and where choices are said to lead only by living it.

    Args:
        family: the two-step task.
        rate: the part of a prediction error that is taken over, of pay-offs and of successors.
        beta: inverse temperature.
        initial: what the states are thought to pay at birth.
    """
    return make_mixture(family, weight=1.0, rate=rate, beta=beta, initial=initial, counts=False, heeds=False)
