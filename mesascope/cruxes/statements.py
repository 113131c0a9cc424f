"""The statements of a linear program: claims with intervals, rules that are certain, and comparisons of two chances."""

from __future__ import annotations

from dataclasses import dataclass, field

from mesascope.cruxes.language import Event, are_equivalent


@dataclass(frozen=True)
class Constraint:
    """A claim that P(event | condition) lies in [low, high].

    Args:
        id: the id of the claim.
        event, condition: the events of the probability.
        low, high: the ends of the interval; equal for a single number.
        place: the file, line and name of the claim, for messages.
    """

    id: str
    event: Event
    condition: Event
    low: float
    high: float
    place: str = field(default="", compare=False, repr=False)

    @property
    def atoms(self) -> frozenset[str]:
        """The atoms of the event and of the condition."""
        return self.event.atoms | self.condition.atoms


@dataclass(frozen=True)
class Rule:
    """An event that is certain; worlds in which it does not happen are excluded."""

    id: str
    event: Event

    @property
    def atoms(self) -> frozenset[str]:
        """The atoms of the event."""
        return self.event.atoms


@dataclass(frozen=True)
class Comparison:
    """A claim that P(`event` | `condition`) is at least as large as P(`lesser_event` | `lesser_condition`)."""

    id: str
    event: Event
    condition: Event
    lesser_event: Event
    lesser_condition: Event

    @property
    def atoms(self) -> frozenset[str]:
        """The atoms of the four events."""
        return frozenset().union(
            *(e.atoms for e in (self.event, self.condition, self.lesser_event, self.lesser_condition))
        )

    @property
    def is_linear(self) -> bool:
        """Whether both chances have the same condition, so that one linear row states the comparison."""
        return are_equivalent(self.condition, self.lesser_condition)

    def make_constraints(self, low: float, high: float) -> tuple[Constraint, Constraint]:
        """Makes the two claims that follow if some value between the two chances lies in [low, high]."""
        greater = Constraint(self.id, self.event, self.condition, low, 1.0)
        return greater, Constraint(self.id, self.lesser_event, self.lesser_condition, 0.0, high)


Statement = Constraint | Rule | Comparison
