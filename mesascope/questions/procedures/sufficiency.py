"""Is what it does a function of the counts: do histories with equal counts give equal outputs?

Where tasks stand still, wins and losses of each choice are all that matters. Each history up to a trial is lived again
with its earlier trials in another order (the last trial and the trial index kept) and the outputs compared in total
variation. As a scale, the same reordering of the choices with the pay-offs left where they were: that changes the
counts.
"""

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Metric, Reading, fresh, pad_readings
from mesascope.errors import MesascopeError
from mesascope.questions.activations.decoding import first_lifetimes
from mesascope.stats import ratio

AT = (0.25, 0.5, 0.95)  # of the horizon: the trials at which outputs are compared


def metric(lifetimes: int = 64) -> Metric:
    """Do reorderings of its history that leave the counts equal leave its output equal?

    Args:
        lifetimes: at most how many are used.
    """
    if lifetimes < 3:
        raise MesascopeError(f"lifetimes={lifetimes} is out of range.", "Give a whole number from 3.")

    def measure(trials, references, replay):
        lived, seen = first_lifetimes(fresh(trials), lifetimes)
        if replay is None or getattr(replay, "itself", None) is None:
            raise DoesNotApply("only its trials are known; to live other histories takes the subject itself")
        if "log_probs" not in lived:
            raise DoesNotApply("it gives no probabilities, and draws of equal outputs differ")
        if lived.sizes.get("shown", 0) or not seen.known.all():
            raise DoesNotApply("histories with observations or gaps cannot be reordered")
        if seen.trials < 5:
            raise DoesNotApply(f"a lifetime has {seen.trials} trials, to reorder takes 5")
        at = sorted({int(share * (seen.trials - 1)) for share in AT if int(share * (seen.trials - 1)) >= 3})
        rng = np.random.default_rng(int(lived.attrs.get("seed") or 0))
        equal, other = [], []
        truth = np.exp(lived.log_probs.sel(condition="intact").values.astype(float))
        for t in at:
            order = np.argsort(rng.random((len(seen.action), t - 1)), -1)
            usual = np.tile(np.arange(seen.trials), (len(order), 1))
            whole = np.concatenate([order, usual[:, t - 1 :]], -1)
            equal.append(_moved(replay, lived, truth, whole, whole, t=t))
            other.append(_moved(replay, lived, truth, whole, usual, t=t))
        parts, split = np.stack([np.mean(equal, 0), np.mean(other, 0)]), str(lived.attrs["split"])
        where = f"before trials {', '.join(str(t + 1) for t in at)}"
        out = [
            Reading(parts[0], split, "counts equal", reason=where),
            Reading(parts[1], split, "counts changed", reason=where),
        ]
        if parts[1].mean() > 0:
            out.append(Reading(ratio(*parts), split, "the first as a part of the second"))
        return pad_readings(out, fresh(trials))

    return Metric(
        name="sufficiency",
        question="How far (total variation) does its output move when its history is reordered and the counts stay?",
        measure=measure,
        expects={"learner": "any", "lookalike": "any", "still": "0"},
        settings={"lifetimes": lifetimes},
    )


def _moved(
    replay, lived: xr.Dataset, truth: np.ndarray, acts: np.ndarray, pays: np.ndarray, *, t: int
) -> np.ndarray:
    """[N] total variation at trial t between its output there and after a reordered history."""
    again = lived.copy()
    for name, order in (("action", acts), ("feedback", pays)):
        values = lived[name].values
        again[name] = (lived[name].dims, np.take_along_axis(values, order[None], -1))
    told = np.exp(np.asarray(replay("itself", again).log_probs, float))
    return 0.5 * np.abs(told[:, t] - truth[:, t]).sum(-1)
