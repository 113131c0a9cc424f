"""How does the subject explore?

The measures are those of Krishnamurthy et al. 2024, arXiv 2403.15371, section 3: suffix failures (SuffFailFreq at
t = T/2), K times the share of the least used choice (K·MinFrac at T), and the share of greedy choices (GreedyFrac). A
suffix failure is a lifetime whose last half never contains the best choice.

K is the number of choices and T the number of trials; in shapes, N is the number of lifetimes.
"""

import numpy as np

from mesascope.contracts import DoesNotApply, Reading, define_metric, require_choices, select_fresh_trials
from mesascope.stats import average_valid
from mesascope.trials import find_forced_trials, select_window


@define_metric("How does the subject explore?")
def metric(trials, references, replay):
    """How does the subject explore: does it abandon the best choice, neglect some choices, or act greedily?"""
    rollout = require_choices(select_fresh_trials(trials))
    action = rollout.action.sel(condition="intact").values
    feedback = rollout.feedback.sel(condition="intact").values.astype(float)
    choices = int(rollout.attrs.get("choices") or rollout.sizes.get("choice") or action.max() + 1)
    if choices > 64:
        raise DoesNotApply(f"there are {choices} choices, too many to count one by one")
    choice_made = action[..., None] == np.arange(choices)  # [N, T, K]
    own_choice = choice_made & ~find_forced_trials(rollout)[..., None]
    lengths = np.maximum(own_choice.sum((1, 2)), 1)
    split = "fresh" if "fresh" in trials else "logged"
    least, never_chosen = (
        choices * own_choice.sum(1).min(-1) / lengths,
        _describe_unused_choices(choice_made.any((0, 1))),
    )
    readings = [Reading(least, split, "share of the least used choice, relative to chance", reason=never_chosen)]
    if "offered" not in rollout:  # the greedy choice could be made on every trial
        greedy = _compute_greedy_share(choice_made, own_choice, feedback)
        readings.append(Reading(greedy, split=split, label="share of greedy choices"))
    if "means" in rollout and np.isfinite(rollout.means.values[:, 0]).all():
        best = rollout.means.values[:, 0].argmax(-1)
        late = select_window(rollout, lambda n: slice(n // 2, None))
        is_late = np.zeros(action.shape, bool)
        if isinstance(late, slice):
            is_late[:, late] = True
        else:
            is_late = late & own_choice.any(-1)
        given_up = np.where(is_late.any(-1), ~((action == best[:, None]) & is_late).any(-1), np.nan)
        readings.append(Reading(given_up, split, "best choice never taken in the last half"))
    return readings


def _describe_unused_choices(choice_made: np.ndarray) -> str:
    """Lists in words the choices that the subject never made in any lifetime. `choice_made` [K] says which it made."""
    if choice_made.all():
        return ""
    never_made = ", ".join(map(str, np.flatnonzero(~choice_made)))
    return f"never made in any lifetime: {never_made} of 0 to {len(choice_made) - 1}"


def _compute_greedy_share(choice_made: np.ndarray, free_choice: np.ndarray, feedback: np.ndarray) -> np.ndarray:
    """Computes the share of trials [N] with the choice that has the highest mean feedback so far.

    A trial counts only if every choice was made before it, and its own choice was free.

    Args:
        choice_made: [N, T, K] whether each choice was made, freely or not.
        free_choice: [N, T, K] whether each choice was made freely.
        feedback: [N, T] the feedback.
    """
    paid = np.where(choice_made, np.nan_to_num(feedback)[..., None], 0.0)
    count = np.cumsum(choice_made, 1)[:, :-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.cumsum(paid, 1)[:, :-1] / count
    comparable = (count > 0).all(-1) & free_choice[:, 1:].any(-1)
    top = means >= np.nanmax(np.where(count > 0, means, -np.inf), -1, keepdims=True) - 1e-9
    hit = (choice_made[:, 1:] & top).any(-1)
    return average_valid(np.where(comparable, hit, np.nan))
