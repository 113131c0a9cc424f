"""Draws its partners from global randomness."""

import numpy as np

from mesascope.contracts import Condition, take_rows


class Unsteady(Condition):
    """The carry of a partner, another one in every run."""

    @property
    def label(self) -> str:
        """'unsteady'."""
        return "unsteady"

    @property
    def replicate_number(self) -> int:
        """A number that nobody can repeat."""
        return int(np.random.default_rng().integers(2**30))

    def apply(self, carry, percept, second_carry, context):
        """The partner's carry."""
        return take_rows(carry, context.partners), percept, second_carry


def condition() -> Unsteady:
    """Draws its partners from global randomness."""
    return Unsteady()
