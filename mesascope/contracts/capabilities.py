"""What some families can do beside what all must: a family has a capability by having its methods and attributes."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from mesascope.contracts.goals import Goals
from mesascope.contracts.plans import Plans
from mesascope.contracts.questions import Moment, Question


@runtime_checkable
class HasArms(Protocol):
    """Arms that pay 1 with a probability of their own, fixed for a lifetime: exact procedures can be planned.

    `prior` names what the probabilities are drawn from, `shapes` are Beta's per arm, None for uniform ones.
    """

    prior: str
    shapes: tuple[tuple[float, float], ...] | None


@runtime_checkable
class HasFavourite(Protocol):
    """An arm that is best before anything is seen."""

    @property
    def favourite(self) -> int:
        """Its index."""
        ...


@runtime_checkable
class HasArmsBank(Protocol):
    """A bank of training tasks whose arms' means are known, [M, K]; None without a bank."""

    bank_means: Any


@runtime_checkable
class HasGoals(Protocol):
    """Training tasks that do not tell a goal from what goes along with it."""

    def goals(self, trials: xr.Dataset, label: str = "intact") -> Goals:
        """Both goals on the lifetimes of a condition, worked out from stored trials alone."""
        ...


@runtime_checkable
class ShowsPlans(Protocol):
    """Tasks in which acts can be thought out beforehand."""

    def plans(self, trials: xr.Dataset, label: str = "intact") -> Plans:
        """What each act leads to on the lifetimes of a condition, worked out from stored trials alone."""
        ...


@runtime_checkable
class SpeaksWords(Protocol):
    """Tasks in words, for language models."""

    def question(self, past: Sequence[Moment], now: Sequence[float]) -> Question:
        """What is asked after some trials, with the observation [D] now."""
        ...


@runtime_checkable
class ShowsFrames(Protocol):
    """Pictures in the first bytes of an observation, and the places of what they show behind them."""

    frame: tuple[int, int]  # height and width
    places: Any

    def strip(self, frames: int = 6, every: int = 4) -> np.ndarray:
        """Some observations [F, D] in a row."""
        ...


@runtime_checkable
class ShowsFields(Protocol):
    """Observations that are fields of cells, and problems to train on, for networks that think for some ticks."""

    def planes(self, observation: Any) -> tuple[Any, Any]:
        """Pictures [N, F, F, P] and the cell [N] where one stands, of observations [N, D]."""
        ...

    def problems(self, key: Any, n: int) -> Any:
        """n problems to train on."""
        ...


@runtime_checkable
class NamesPredictors(Protocol):
    """Reference procedures that predictions are compared with, by name."""

    predictors: Sequence[str]


@runtime_checkable
class MixesTasks(Protocol):
    """Tasks between two of the bank."""

    def between(self, observation: np.ndarray, part: float, rng: np.random.Generator) -> tuple[Any, Any]:
        """Outcomes [N, T], without noise and with it, `part` of the way from one task to another."""
        ...
