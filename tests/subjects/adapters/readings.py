"""The same examination of a subject and of its native twin."""

from __future__ import annotations

import numpy as np

from mesascope import catalogue
from mesascope.agents.opening import open_subject
from mesascope.contracts import Family
from mesascope.examination.bench import RolloutCache
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.spectrum.placement import list_conditions
from mesascope.rollouts.replays import Replays

FAMILY = catalogue.make("families", "bernoulli_bandit:arms=3,trials=20")
METRICS = ("benefit", "cost_of_reset", "dependence_on_carry", "dependence_on_percept")


class Reader:
    """Reads subjects of one family on the same tasks; references and controls are lived once."""

    def __init__(self, family: Family, lifetimes: int):
        self.family = family
        self.metrics = [catalogue.make("metrics", name) for name in METRICS]
        labels = [*list_conditions(family), *(c for p in self.metrics for c in p.conditions)]
        self.bench = RolloutCache(family, labels, ["fresh"], lifetimes)

    def read(self, subject):
        """Its trials on the fresh split, its placement, and the findings of METRICS by name."""
        one = open_subject(subject, self.family)
        lived, references, placement = self.bench.place(one, "unlimited")
        assert placement is not None
        found = apply_metrics(self.metrics, lived, references, Replays(one))
        return lived["fresh"], placement, {f.metric: f for f in found}


def same(one, other, moved: float = 0.0) -> None:
    """The same level and direction, and numbers within each other's intervals; at most `moved` of the acts differ."""
    lived, placement, found = one
    twin, placed, known = other
    assert (placement.level, placement.lowest, placement.highest) == (placed.level, placed.lowest, placed.highest)
    assert placement.direction == placed.direction
    intact = [x.action.sel(condition="intact").values for x in (lived, twin)]
    assert (intact[0] != intact[1]).mean() <= moved
    assert set(found) == set(known)
    for name, finding in found.items():
        assert finding.status == known[name].status, (name, finding.reason)
        if finding.status == "measured":
            assert known[name].low - 1e-9 <= finding.estimate <= known[name].high + 1e-9, (name, finding, known[name])


def chances(lived, condition: str = "intact") -> np.ndarray:
    """Probabilities [N, T, K]."""
    return np.exp(lived.log_probs.sel(condition=condition).values)
