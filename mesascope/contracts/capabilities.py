"""Optional capabilities of families: a family has a capability if it defines its methods and attributes."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from mesascope.contracts.goals import Goals
from mesascope.contracts.plans import Plans
from mesascope.contracts.questions import PastTrial, Question


@runtime_checkable
class HasArms(Protocol):
    """Arms that each pay 1 with a probability that is fixed during a lifetime, so that exact procedures can plan.

    `prior` names the distribution of these probabilities. `shapes` contains the Beta parameters of each arm, if the
    arms have different ones; otherwise it is None.
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
    """A bank of training tasks; `bank_means` contains the means of their arms [M, K], or is None without a bank."""

    bank_means: Any


@runtime_checkable
class HasGoals(Protocol):
    """Training tasks that do not distinguish the rewarded goal from a proxy."""

    def goals(self, trials: xr.Dataset, label: str = "intact") -> Goals:
        """Evaluates both goals in the lifetimes under one condition, from the stored trials alone."""
        ...


@runtime_checkable
class ShowsPlans(Protocol):
    """Tasks in which a subject can plan its actions."""

    def plans(self, trials: xr.Dataset, label: str = "intact") -> Plans:
        """Evaluates the consequences of every action in the lifetimes under one condition, from stored trials alone."""
        ...


@runtime_checkable
class SpeaksWords(Protocol):
    """Tasks in words, for language models."""

    def question(self, past: Sequence[PastTrial], now: Sequence[float]) -> Question:
        """The question about the present observation [D], after the past trials."""
        ...


@runtime_checkable
class ShowsFrames(Protocol):
    """Observations that contain an image, followed by the positions of the objects in it."""

    frame: tuple[int, int]  # height and width
    places: Any

    def strip(self, frames: int = 6, every: int = 4) -> np.ndarray:
        """`frames` observations [F, D] of one lifetime, `every` steps apart."""
        ...


@runtime_checkable
class ShowsFields(Protocol):
    """Grids of cells as observations, and training problems, for networks that think for several ticks."""

    def planes(self, observation: Any) -> tuple[Any, Any]:
        """Converts observations [N, D] into images [N, F, F, P] and the index of the agent's cell [N]."""
        ...

    def problems(self, key: Any, n: int) -> Any:
        """Draws n training problems."""
        ...


@runtime_checkable
class NamesPredictors(Protocol):
    """The names of the reference procedures with which a subject's predictions are compared."""

    predictors: Sequence[str]


@runtime_checkable
class MixesTasks(Protocol):
    """Tasks interpolated between two tasks of the bank."""

    def interpolate_tasks(self, observation: np.ndarray, part: float, rng: np.random.Generator) -> tuple[Any, Any]:
        """Outcomes [N, T], without and with noise, of tasks that lie a fraction `part` of the way between two tasks."""
        ...
