"""How often does the subject succeed when it gets more ticks at the same observation?

Success may rise or fall with thinking time. A rise is a gain from computation, but no evidence of search: computing
running sums also gains from ticks, and so does averaging noisy answers. The weaker of two networks can gain more.
"""

import numpy as np
import xarray as xr

from mesascope.conditions.thinking import MAX_TICKS
from mesascope.contracts import DoesNotApply, Metric, Reading, get_split_kind
from mesascope.errors import MesascopeError
from mesascope.questions.search.reading import find_conditions_by_ticks

CURVE_SPLIT = "curve"  # the split of logged curves: success by number of steps, each on its own problems


def metric(ticks: str = "2+8") -> Metric:
    """How often does the subject succeed when it gets more ticks at the same observation?

    Args:
        ticks: the numbers of ticks, joined by +; one tick is always included.
    """
    counts = _parse_tick_counts(ticks)

    def measure(trials, references, replay):
        readings = []
        for split, rollout in trials.items():
            if get_split_kind(split) in ("fresh", CURVE_SPLIT):
                readings += _read_curve(rollout, split, get_split_kind(split) == "fresh")
        return readings

    return Metric(
        name="success_by_ticks",
        question="In what share of the trials does the subject get the best possible score, by ticks per observation?",
        measure=measure,
        conditions=("intact", *(f"thinking:ticks={n}" for n in counts)),
        splits=("fresh", CURVE_SPLIT),
        settings={"ticks": ticks},
    )


def _parse_tick_counts(ticks: str) -> list[int]:
    """Parses the numbers of ticks in a text such as '2+8', in ascending order."""
    parts = ticks.split("+")
    if not all(p.isdecimal() and 2 <= int(p) <= MAX_TICKS for p in parts):
        remedy = f"Type whole numbers from 2 to {MAX_TICKS}, joined by +: ticks=2+8+32."
        raise MesascopeError(f"ticks={ticks!r} does not give numbers of ticks.", remedy)
    return sorted({int(p) for p in parts})


def _read_curve(trials: xr.Dataset, split: str, is_paired: bool) -> list[Reading]:
    """Makes readings of success by ticks, and of the change from fewer ticks to the most.

    A logged curve shows success by steps instead of ticks. `is_paired` says whether every number of ticks was run on
    the same tasks; in a logged curve, each number of steps has its own problems.
    """
    successes = _find_successes(trials) if is_paired else _read_logged_successes(trials)
    if len(successes) < 2:
        raise DoesNotApply("it was not given more ticks, or planning is not possible in its tasks")
    word, unit, readings = "tick" if is_paired else "step", "" if is_paired else "problem", []
    windows = {"": slice(None)}
    if is_paired and trials.sizes["trial"] > 1:
        windows[", first trial"] = slice(0, 1)  # computation on a repeated problem continues from trial to trial
    for when, window in windows.items():
        shares = {n: np.nanmean(x[:, window], -1) if is_paired else x[:, 0] for n, x in successes.items()}
        readings += [Reading(x, split, f"{n} {word}{'' if n == 1 else 's'}{when}") for n, x in shares.items()]
        most, best = max(shares), max(shares, key=lambda n: float(np.nanmean(shares[n])))
        reasons = {min(shares): "a gain from computation, which alone is not search"}
        if best != most:
            reasons.setdefault(best, "compared with the best of several, so the loss is slightly overestimated")
        for n, reason in reasons.items():
            values = _compute_difference(shares[most], shares[n], is_paired)
            readings.append(Reading(values, split, f"{most} {word}s less {n}{when}", reason=reason, unit=unit))
    return readings


def _read_logged_successes(trials: xr.Dataset) -> dict[int, np.ndarray]:
    """Reads whether each of N problems was solved [N, 1], by number of steps, fewest first; NaN if not logged."""
    labels = sorted((int(c.partition("=")[2]), c) for c in trials.condition.values.tolist())
    return {n: trials.score.sel(condition=c).values.astype(float) for n, c in labels}


def _find_successes(trials: xr.Dataset) -> dict[int, np.ndarray]:
    """Finds whether each of T trials of N lifetimes got the best score [N, T], by number of ticks, fewest first.

    Trials without a score are NaN.
    """
    best, successes = trials.best.values.astype(float), {}
    for n, label in sorted(find_conditions_by_ticks(trials).items()):
        score = trials.score.sel(condition=label).values.astype(float)
        successes[n] = np.where(np.isfinite(score), (score >= best - 1e-5).astype(float), np.nan)
    return successes


def _compute_difference(first_values: np.ndarray, second_values: np.ndarray, is_paired: bool) -> np.ndarray:
    """Computes numbers whose mean is the mean of `first_values` minus the mean of `second_values`.

    Their spread gives the standard error of this difference. If `is_paired`, the numbers are the differences of pairs.
    Otherwise there is one number for each value that is not NaN.
    """
    if is_paired:
        return first_values - second_values
    parts = [x[np.isfinite(x)] for x in (first_values, second_values)]
    n, gap = sum(map(len, parts)), float(parts[0].mean() - parts[1].mean())
    signed = ((1, parts[0]), (-1, parts[1]))
    return gap + np.concatenate([sign * n / len(x) * (x - x.mean()) for sign, x in signed])
