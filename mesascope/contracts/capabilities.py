"""Optional capabilities of families: a family has a capability if it has its methods and attributes."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from mesascope.contracts.goals import Goals
from mesascope.contracts.plans import Plans
from mesascope.contracts.questions import Moment, Question


@runtime_checkable
class HasArms(Protocol):
    """Arms that each pay 1 with a fixed probability during a lifetime, so that exact procedures can plan.

    `prior` names the distribution of the probabilities; `shapes` are the Beta parameters per arm, None if uniform.
    """

    prior: str
    shapes: tuple[tuple[float, float], ...] | None


@runtime_checkable
class HasFavourite(Protocol):
    """An arm that is best under the prior."""

    @property
    def favourite(self) -> int:
        """The arm's index."""
        ...


@runtime_checkable
class HasArmsBank(Protocol):
    """A bank of training tasks with the means of their arms, [M, K]; None without a bank."""

    bank_means: Any


@runtime_checkable
class HasGoals(Protocol):
    """Training tasks that do not distinguish the rewarded goal from a proxy."""

    def goals(self, trials: xr.Dataset, label: str = "intact") -> Goals:
        """Both goals on the lifetimes of a condition, computed from stored trials alone."""
        ...


@runtime_checkable
class ShowsPlans(Protocol):
    """Tasks in which a subject can plan its acts."""

    def plans(self, trials: xr.Dataset, label: str = "intact") -> Plans:
        """The consequences of each act on the lifetimes of a condition, computed from stored trials alone."""
        ...


@runtime_checkable
class SpeaksWords(Protocol):
    """Tasks in words, for language models."""

    def question(self, past: Sequence[Moment], now: Sequence[float]) -> Question:
        """The question after the past trials, given the present observation [D]."""
        ...


@runtime_checkable
class ShowsFrames(Protocol):
    """Observations that contain an image, followed by the positions of the objects in it."""

    frame: tuple[int, int]  # height and width
    places: Any

    def strip(self, frames: int = 6, every: int = 4) -> np.ndarray:
        """F observations [F, D] of one lifetime, in order."""
        ...


@runtime_checkable
class ShowsFields(Protocol):
    """Observations that are grids of cells, and training problems, for networks that think for several ticks."""

    def planes(self, observation: Any) -> tuple[Any, Any]:
        """Images [N, F, F, P] and the agent's cell [N], from observations [N, D]."""
        ...

    def problems(self, key: Any, n: int) -> Any:
        """n training problems."""
        ...


@runtime_checkable
class NamesPredictors(Protocol):
    """The names of reference procedures to compare predictions with."""

    predictors: Sequence[str]


@runtime_checkable
class MixesTasks(Protocol):
    """Tasks interpolated between two tasks of the bank."""

    def between(self, observation: np.ndarray, part: float, rng: np.random.Generator) -> tuple[Any, Any]:
        """Outcomes [N, T], without and with noise, of tasks a fraction `part` of the way from one task to another."""
        ...
