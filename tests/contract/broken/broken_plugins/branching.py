"""A condition that asks for a trial's number in Python, which JAX cannot trace."""

from mesascope.contracts import Condition


class Branching(Condition):
    since: int

    def apply(self, carry, percept, second_carry, context):
        if context.trial >= self.since:
            percept = percept._replace(feedback=0 * percept.feedback)
        return carry, percept, second_carry


def condition(since: int = 3) -> Branching:
    """From a trial on the feedback is 0."""
    return Branching(since)
