"""Repeats the arms that it has often chosen, whatever they paid."""

import jax

from mesascope.contracts import ActionValueSubject, Family, Percept, choose, keep_settings


class ChoiceTrace(ActionValueSubject):
    """Carries a decaying trace of its own choices, [N, K]."""

    rate: float
    beta: float

    def respond(self, key, carry, percept: Percept):
        """Updates the trace, then chooses by softmax over it."""
        carry = (1.0 - self.rate) * carry + self.rate * jax.nn.one_hot(percept.action, self.choices)
        return carry, choose(key, jax.nn.log_softmax(self.beta * carry))


@keep_settings(rate=(0, 1), beta=(-1e4, 1e4))
def subject(family: Family, rate: float = 0.2, beta: float = 4.0) -> ChoiceTrace:
    """Repeats the arms that it has often chosen, whatever they paid.

    Args:
        family: the bandit.
        rate: the weight of the last choice in the trace; the older trace has the weight 1 - rate.
        beta: the inverse temperature of the softmax over the trace.
    """
    return ChoiceTrace(family.choices, rate, beta)
