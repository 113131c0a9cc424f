"""Repeats what it chose often, whatever it paid."""

import jax

from mesascope.contracts.choices import ActionValues
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings


class ChoiceTrace(ActionValues):
    """A fading trace of its own acts [N, K]."""

    rate: float
    beta: float

    def respond(self, key, carry, percept: Percept):
        """Softmax over the trace."""
        carry = (1.0 - self.rate) * carry + self.rate * jax.nn.one_hot(percept.action, self.choices)
        return carry, choose(key, jax.nn.log_softmax(self.beta * carry))


@keep_settings(rate=(0, 1), beta=(-1e4, 1e4))
def subject(family: Family, rate: float = 0.2, beta: float = 4.0) -> ChoiceTrace:
    """Repeats what it chose often, whatever it paid.

    Args:
        family: the bandit.
        rate: how fast the trace follows its acts.
        beta: inverse temperature.
    """
    return ChoiceTrace(family.choices, rate, beta)
