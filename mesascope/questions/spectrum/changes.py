"""How much a response differs from the undisturbed one: shared by the metrics of dependence."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from mesascope.contracts.metric import Reading, replicates


def dependence(lived: xr.Dataset, changes: Mapping[str, str]) -> list[Reading]:
    """What part of the choices changes under conditions that last for one response.

    Args:
        lived: the trials.
        changes: what is changed, in words, by the condition's label.

    Raises:
        DoesNotApply: a condition was not run.
    """
    out = []
    for label, words in changes.items():
        if lived.attrs.get("actions") == "real" and label.endswith("action=1"):
            continue  # there is no other action to name
        replicates(lived, label)
        out.append(Reading(choices_changed(lived, label), label=words))
        if "log_probs" in lived:
            out.append(Reading(mean_divergence(lived, label), label=f"{words}, in nats", descriptive=True))
    return out


def choices_changed(trials: xr.Dataset, label: str) -> np.ndarray:
    """[N] part of the choices changed, from the second trial on: total variation where there are probabilities.

    Where actions are real numbers: how far they move, in standard deviations of all undisturbed actions, at most 1.
    Where trials have several steps: from the second step on, of those that were lived.
    """
    if "log_probs" in trials:
        logs = (trials.log_probs.sel(condition=c).values.astype(float) for c in ("intact", label))
        one, other = map(np.exp, logs)
        moved = 0.5 * np.abs(one - other).sum(-1)
    else:
        one, other = (trials.action.sel(condition=c).values for c in ("intact", label))
        moved = (one != other).astype(float)
        if trials.attrs.get("actions") == "real" and (spread := float(np.nanstd(one))):
            moved = np.minimum(np.abs(one - other) / spread, 1.0)
    return _mean(trials, moved)


def _mean(trials: xr.Dataset, values: np.ndarray) -> np.ndarray:
    """[N] the mean over all responses but the first, of values [N, T] or [N, T, S]."""
    if values.ndim == 2:
        return values[:, 1:].mean(-1)
    action = trials.action.sel(condition="intact").values
    lived = np.isfinite(action) & ((action >= 0) | (action.dtype.kind == "f"))
    lived[:, 0, 0] = False
    return np.where(lived, values, 0.0).sum((1, 2)) / np.maximum(lived.sum((1, 2)), 1)


def mean_divergence(trials: xr.Dataset, label: str) -> np.ndarray:
    """[N] mean Kullback-Leibler divergence of the undisturbed from the disturbed probabilities, capped at 20 nats."""
    one, other = (trials.log_probs.sel(condition=c).values.astype(float) for c in ("intact", label))
    with np.errstate(invalid="ignore"):
        terms = np.where(one > -np.inf, np.exp(one) * np.minimum(one - other, 20.0), 0.0)
    return _mean(trials, terms.sum(-1))
