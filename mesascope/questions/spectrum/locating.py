"""Tests whether a subject is nearer to the ideal locator of its bank of training tasks than to a learner.

In shapes, N is the number of lifetimes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from mesascope.contracts import TrialsBySplit
from mesascope.questions.spectrum.carried import find_counted_trials
from mesascope.questions.spectrum.ladder import Rule
from mesascope.questions.spectrum.position import compute_position, compute_retention_shares
from mesascope.stats import compute_standard_error, linearise
from mesascope.trials import measure_gain


class BankTest(NamedTuple):
    """Whether picking among the training tasks explains the subject's gain.

    Attributes:
        locating_by_resample: [resamples] 1 if the subject is nearer to the locator, 0 if it is nearer to a learner, NaN
            if the bank cannot distinguish the two; None if this was not tested.
        obstacle: why the test was not possible, or None.
        position: [resamples] the position between the locator (0) and a learner (1).
        share_of_locator: [resamples] the subject's gain on seen tasks, as a share of the ideal locator's gain on them.
    """

    locating_by_resample: np.ndarray | None
    obstacle: str | None
    position: np.ndarray | None = None
    share_of_locator: np.ndarray | None = None


@dataclasses.dataclass
class Gains:
    """The gains of the subject and its references in each lifetime, for or against the pay-off.

    Attributes:
        trials: the subject's trials by split.
        references: by role and split, the references' trials. The roles of references that go against the pay-off end
            in 'against'.
        is_against: whether the subject goes against the pay-off.
        weights: by split, the weights of the lifetimes [resamples, N].
        window: if tasks have parts, a trial counts only if its part did not occur in this number of trials before it; 0
            for all trials.
    """

    trials: TrialsBySplit
    references: Mapping[str, TrialsBySplit]
    is_against: bool
    weights: Mapping[str, np.ndarray]
    window: int = 0

    def list_splits(self, kind: str) -> list[str]:
        """Lists the counted splits of a kind on which the subject and a reference with a clear gain were run."""
        splits = [split for split, trials in self.trials.items() if trials.attrs.get("counted", True)]
        return [s for s in splits if s.partition(":")[0] == kind and self.find_best_gain(s) is not None]

    def find_gain(self, role: str | None, split: str, condition: str = "intact") -> np.ndarray | None:
        """Finds the gain [N] of a reference (None if it was not run), or of the subject if the role is None."""
        if role is None:
            return self._sum_gain(self.trials[split], condition)
        trials = self.find_reference(role, split)
        return None if trials is None or condition not in trials.condition.values else self._sum_gain(trials, condition)

    def _sum_gain(self, trials: xr.Dataset, label: str) -> np.ndarray:
        """Sums the gain [N] on the trials that count."""
        mask = find_counted_trials(trials, self.window) if self.window and "part" in trials else None
        return measure_gain(trials, label, mask, is_against=self.is_against)[0]

    def find_reference(self, role: str, split: str) -> xr.Dataset | None:
        """Finds the trials of a reference that has the subject's direction, on one split; None if it was not run."""
        return self.references.get(f"{role} against" if self.is_against else role, {}).get(split)

    def find_best_gain(self, split: str) -> np.ndarray | None:
        """Finds the gain [N] of the best reference on a split, including references whose carry was reset.

        The result is None if no reference's gain exceeds two standard errors: then there is nothing to compare with.
        """
        gains = []
        for role in ("learner", "discounting"):
            if (trials := self.find_reference(role, split)) is not None:
                undisturbed = (c for c in trials.condition.values.tolist() if c.startswith(("intact", "carry_reset")))
                gains += [self._sum_gain(trials, label) for label in undisturbed]
        return max((row for row in gains if row.mean() > 2 * compute_standard_error(row)), key=np.sum, default=None)


def test_bank(gains: Gains, trained_on: str, rule: Rule, numbers: dict[str, Any]) -> BankTest:
    """Tests a subject's position for the bank `trained_on`, and adds the statistics used to `numbers`.

    If the test is not possible, the result has only an obstacle.
    """
    if trained_on.startswith("bank:1@"):
        return BankTest(None, "the ideal locator of a bank of one task has a fixed action, so no position is defined")
    if "seen" not in gains.trials:
        return BankTest(None, "the seen split was not run")
    rows = [gains.find_gain(role, split) for split in ("fresh", "seen") for role in (None, "learner", "locator")]
    if any(r is None for r in rows):
        return BankTest(None, "the ideal locator or the learner was not run on these tasks")
    parts = np.stack([r for r in rows if r is not None])
    means = parts.mean(1)
    if (means[[1, 3, 4, 5]] <= 0).any():  # subject and locator may have a negative gain on fresh tasks
        return BankTest(None, "it gains nothing on seen tasks, or a reference gains nothing on seen or on fresh tasks")
    rho, lam = compute_retention_shares(means)
    numbers |= {"kept_by_locator": float(lam), "kept_on_fresh": float(rho)}
    if lam >= rule.max_locator_retention:
        return BankTest(None, f"the ideal locator of this bank keeps {lam:.2f} on fresh tasks, as a learner does")
    positions = linearise(compute_position, parts)
    numbers |= {"position": float(positions.mean()), "position_error": compute_standard_error(positions)}
    numbers |= {"seen_of_locator": float(means[3] / means[5])}
    resampled = np.stack([gains.weights["fresh" if i < 3 else "seen"] @ parts[i] for i in range(6)])
    with np.errstate(divide="ignore", invalid="ignore"):
        lam, position = compute_retention_shares(resampled)[1], compute_position(resampled)
        share_of_locator = resampled[3] / resampled[5]
    return BankTest(np.where(lam < 1, position < rule.min_position, np.nan), None, position, share_of_locator)
