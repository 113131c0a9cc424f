"""One response disturbed at a time, and success within a lifetime: the same numbers in Pong and in bandits."""

from __future__ import annotations

import numpy as np
import xarray as xr

from mesascope import catalogue
from mesascope.questions.spectrum.changes import choices_changed
from mesascope.reproduction.measures import Rollouts
from mesascope.rollouts.rollouts import rollout
from mesascope.trials import gain

LOOKS = 4  # percepts, the present one among them: what the deep Q-network has before it
SWAPPED = ("intact", "percept_swapped_once", "carry_exchanged_once:fresh=0", f"carry_rebuilt_once:of={LOOKS - 1}")
HIDDEN = tuple(f"{what}_hidden:once=1{before}" for before in ("", ",before=3") for what in ("ball", "patch"))


def follows(lived: Rollouts, condition: str = "percept_swapped_once") -> np.ndarray:
    """Part of its choices that change, by total variation, when one thing is another for a single response.

    Args:
        lived: the lifetimes.
        condition: 'percept_swapped_once' for what it sees now, 'carry_exchanged_once' for what it carried (both are
            another lifetime's then), 'carry_rebuilt_once' for what it carried from before the last four percepts.
    """
    again = _disturbed(lived)
    label = next(label for label in SWAPPED if label.startswith(condition))
    return choices_changed(_settled(again), label)[None]


def follows_picture(lived: Rollouts, hidden: str = "ball", before: int = 0) -> np.ndarray:
    """Part of its choices that change when a part of the present picture is hidden for a single response.

    Args:
        lived: the lifetimes.
        hidden: 'ball', or 'patch' for one of the same size elsewhere.
        before: 0, or 3 where it is hidden in the three pictures before, too, and what is older is not carried.
    """
    label = f"{hidden}_hidden:once=1" + (f",before={before}" if before else "")
    return choices_changed(_settled(_disturbed(lived)), label)[None]


def rise(lived: Rollouts) -> np.ndarray:
    """Share of what could be gained in the last quarter of the lifetime, less that in the first tenth."""
    trials = lived.trials
    length = trials.sizes["trial"]
    early, late = slice(0, max(length // 10, 1)), slice(length - max(length // 4, 1), None)
    (won, open_), (won_first, open_first) = (gain(trials, window=w) for w in (late, early))
    return (won / open_.mean() - won_first / open_first.mean())[None]


def late(lived: Rollouts) -> np.ndarray:
    """Share of what could be gained in the last quarter of the lifetime, as parts of a ratio."""
    length = lived.trials.sizes["trial"]
    return np.stack(gain(lived.trials, window=slice(length - max(length // 4, 1), None)))


def recovered(lived: Rollouts) -> np.ndarray:
    """The same where controls, or what the arms pay, are exchanged half-way: on the family's split that changes so."""
    family, n = lived.family, lived.trials.sizes["lifetime"]
    split = next(s.name for s in family.splits() if s.kind == "exchanged" and s.changes_at)
    again = rollout(lived.subject, family, split, n, lived.trials.attrs["seed"])
    return late(Rollouts(again, lived.subject, family))


def _disturbed(lived: Rollouts) -> xr.Dataset:
    """The same lifetimes again, under every condition that fits; made once for all numbers that are read from them."""
    told, n = lived.trials.attrs, lived.trials.sizes["lifetime"]
    address = (told["subject"], told["family"], told["split"], told["seed"], n)
    if address not in MADE:
        MADE.clear()  # the next subject's
        conditions = [catalogue.make("conditions", label) for label in (*SWAPPED, *HIDDEN)]
        fit = [c for c in conditions if not c.unfit(lived.family)]
        MADE[address] = rollout(lived.subject, lived.family, told["split"], n, told["seed"], conditions=fit)
    return MADE[address]


MADE: dict[tuple, xr.Dataset] = {}


def _settled(trials: xr.Dataset) -> xr.Dataset:
    """Without the first responses of a lifetime or a rally: fewer percepts are behind them."""
    if "n_steps" not in trials:
        return trials.isel(trial=slice(LOOKS - 1, None))
    kept = np.asarray(trials.attrs["kept"])
    return trials.isel(step=np.flatnonzero(kept >= LOOKS))
