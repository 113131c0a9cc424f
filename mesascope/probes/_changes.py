"""How much a response differs from the undisturbed one: shared by the probes of dependence."""

from __future__ import annotations

import numpy as np
import xarray as xr


def changed(trials: xr.Dataset, label: str) -> np.ndarray:
    """[N] part of the choices changed, from the second trial on: total variation where there are probabilities."""
    if "log_probs" in trials:
        one, other = (
            np.exp(trials.log_probs.sel(condition=c).values.astype(float)) for c in ("intact", label)
        )
        moved = 0.5 * np.abs(one - other).sum(-1)
    else:
        one, other = (trials.action.sel(condition=c).values for c in ("intact", label))
        moved = (one != other).astype(float)
    return moved[:, 1:].mean(-1)


def nats(trials: xr.Dataset, label: str) -> np.ndarray:
    """[N] mean Kullback-Leibler divergence of the undisturbed from the disturbed probabilities, capped at 20 nats."""
    one, other = (trials.log_probs.sel(condition=c).values.astype(float) for c in ("intact", label))
    with np.errstate(invalid="ignore"):
        terms = np.where(one > -np.inf, np.exp(one) * np.minimum(one - other, 20.0), 0.0)
    return terms.sum(-1)[:, 1:].mean(-1)
