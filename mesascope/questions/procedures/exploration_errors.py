"""How much pay-off does the subject miss for lack of exploration, and how much for lack of exploitation?

The metric divides the regret of every trial in two. The greedy choice is the choice with the highest mean feedback so
far. The best choice's pay-off minus the greedy choice's is missed for lack of exploration. The greedy choice's pay-off
minus that of the choice made is missed for lack of exploitation; this part is negative if exploring pays. The division
follows Grams et al. 2025, arXiv 2501.08925.
"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric, require_choices, select_fresh_trials
from mesascope.stats import average_valid
from mesascope.trials import find_forced_trials


@define_metric(
    "How much expected pay-off per trial has the subject not found, and how much has it found and not taken?",
    splits=("logged",),
)
def metric(trials, references, replay):
    """How much pay-off per trial is missed for lack of exploration, and how much for lack of exploitation?"""
    rollout = require_choices(select_fresh_trials(trials))
    if "means" not in rollout:
        raise DoesNotApply("the expected pay-off of every choice is not known")
    action, feedback = (rollout[k].sel(condition="intact").values for k in ("action", "feedback"))
    means = rollout.means.values.astype(float)
    could = rollout.offered.values > 0 if "offered" in rollout else np.ones(means.shape, bool)
    greedy = _find_greedy_means(action, np.nan_to_num(feedback), means, could)
    best = np.where(could, means, -np.inf).max(-1)
    own = np.take_along_axis(means, np.maximum(action, 0)[..., None], -1)[..., 0]
    counts = (action >= 0) & ~find_forced_trials(rollout) & np.isfinite(best + own)
    is_moving = bool((np.nanmax(means, 1) - np.nanmin(means, 1) > 1e-6).any())
    reason = "the pay-offs change within a lifetime, but all trials have equal weight in the means" if is_moving else ""
    parts = {"not found (exploration)": best - greedy, "found and not taken (exploitation)": greedy - own}
    return [
        Reading(average_valid(np.where(counts, part, np.nan)), str(rollout.attrs["split"]), label, reason=reason)
        for label, part in parts.items()
    ]


def _find_greedy_means(
    action: np.ndarray, feedback: np.ndarray, means: np.ndarray, is_offered: np.ndarray
) -> np.ndarray:
    """Finds the expected pay-off [N, T] of the greedy choice, which has the highest mean feedback on earlier trials.

    If several choices are tied, their expected pay-offs are averaged. Only offered choices that were made before can be
    greedy. If there are none, all offered choices can.
    """
    choice_made = action[..., None] == np.arange(means.shape[-1])
    count, total = (
        np.cumsum(x, 1) - x for x in (choice_made.astype(float), choice_made * feedback[..., None].astype(float))
    )
    observed = np.where((count > 0) & is_offered, total / np.maximum(count, 1), -np.inf)
    top = is_offered & (observed >= observed.max(-1, keepdims=True) - 1e-9)
    return (top * np.nan_to_num(means)).sum(-1) / np.maximum(top.sum(-1), 1)
