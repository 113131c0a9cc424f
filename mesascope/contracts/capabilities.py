"""Optional capabilities of families.

A family has a capability if it has all attributes and methods of the capability's class.

In shapes, N is the number of lifetimes, T of trials in a lifetime, K of arms, M of tasks in the bank, and D of numbers
in an observation.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from mesascope.contracts.consequences import ActionConsequences
from mesascope.contracts.goals import Goals
from mesascope.contracts.questions import PastTrial, Question


@runtime_checkable
class HasArms(Protocol):
    """A bandit whose arms pay 1 or 0, with probabilities that are fixed during a lifetime on fresh tasks.

    `prior` names the distribution of the arms' probabilities. `shapes` contains the parameters (a, b) of each arm's
    Beta prior if every arm has its own; otherwise it is None.
    """

    prior: str
    shapes: tuple[tuple[float, float], ...] | None


@runtime_checkable
class HasFavouriteArm(Protocol):
    """A bandit with an arm that is best under the prior."""

    @property
    def favourite_arm(self) -> int:
        """The index of the arm with the largest prior mean; 0 if all arms have the same prior."""
        ...


@runtime_checkable
class HasBankOfArms(Protocol):
    """A bandit that can have a bank.

    `bank_means` [M, K] contains the mean pay-off of every arm on every task of the bank, or is None without a bank.
    """

    bank_means: Any


@runtime_checkable
class HasOppositesByTask(Protocol):
    """A family whose opposite outcomes depend on the task, so that `with_opposite_outcome` cannot know them."""

    def with_opposite_outcome_of(self, tasks: Any, percept: Any) -> Any:
        """Replaces the last outcome in a percept with the opposite one that exists on these tasks."""
        ...


@runtime_checkable
class HasGoals(Protocol):
    """A family whose training tasks do not distinguish the rewarded goal from a proxy."""

    def compute_goals(self, trials: xr.Dataset, condition: str = "intact") -> Goals:
        """Evaluates both goals in the lifetimes under one condition, from the stored trials alone."""
        ...


@runtime_checkable
class AllowsPlanning(Protocol):
    """A family in which a subject can plan its actions."""

    def evaluate_consequences(self, trials: xr.Dataset, condition: str = "intact") -> ActionConsequences:
        """Evaluates the consequences of every action in the lifetimes under one condition, from stored trials alone."""
        ...


@runtime_checkable
class AsksQuestions(Protocol):
    """A family with tasks in words, for language models."""

    def write_question(self, past_trials: Sequence[PastTrial], observation: Sequence[float]) -> Question:
        """Writes the question about the present observation [D], after the past trials."""
        ...


@runtime_checkable
class ShowsFrames(Protocol):
    """A family whose observations contain an image, followed by the positions of the objects in it.

    `position_names` contains the name of each position, in the order of the observation.
    """

    frame_shape: tuple[int, int]  # height and width
    position_names: Any

    def record_frames(self, frame_count: int = 6, step_interval: int = 4) -> np.ndarray:
        """Records F = `frame_count` observations [F, D] of one lifetime, each `step_interval` steps after the last."""
        ...


@runtime_checkable
class ShowsGrids(Protocol):
    """A family whose observations are grids of cells, with training problems for networks that take several ticks."""

    def convert_to_images(self, observation: Any) -> tuple[Any, Any]:
        """Converts observations [N, D] to images [N, F, F, P] and to the indices [N] of the subjects' cells.

        An image has P planes, such as walls and goal, of F × F cells.
        """
        ...

    def draw_problems(self, key: Any, n: int) -> Any:
        """Draws n training problems."""
        ...


@runtime_checkable
class NamesPredictors(Protocol):
    """A family that names the reference procedures with which a subject's predictions are compared."""

    predictors: Sequence[str]


@runtime_checkable
class InterpolatesTasks(Protocol):
    """A family that can interpolate between two tasks of the bank."""

    def interpolate_tasks(
        self, observation: np.ndarray, proportion: float, rng: np.random.Generator
    ) -> tuple[Any, Any]:
        """Computes outcomes [N, T], without and with noise, of tasks that lie between two random tasks of the bank.

        Args:
            observation: [N, T, D] the observations of lifetimes; the two tasks are drawn separately for each lifetime.
            proportion: the fraction of the way from the first task to the second.
            rng: the NumPy generator that draws the tasks and the noise.
        """
        ...
