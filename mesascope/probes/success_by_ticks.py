"""How often does it succeed, given more and more ticks at the same observation?

A curve over time to think, falls included; nothing says that it must rise. It shows a gain from computation, which is
no search: running sums gain, and so does an answer whose noise averages out. The weaker of two networks can gain more.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from mesascope.conditions.thinking import MOST
from mesascope.errors import MesascopeError
from mesascope.families import kind
from mesascope.probes import DoesNotApply, Probe, Reading
from mesascope.probes._plans import ticks_of

CURVE = "curve"  # the ring of curves that were logged elsewhere: success against steps, lifetimes not paired


def probe(ticks: str = "2+8") -> Probe:
    """How often does it succeed, given more and more ticks at the same observation?

    Args:
        ticks: how many, joined by +; one is always among them.
    """
    counts = sorted(set(_counts(ticks)))

    def measure(trials, references, replay):
        out = []
        for ring, lived in trials.items():
            if kind(ring) in ("fresh", CURVE):
                out += _curve(lived, ring, kind(ring) == "fresh")
        return out

    return Probe(
        name="success_by_ticks",
        question="In what share of the trials does it get all that can be got, by ticks at each observation?",
        measure=measure,
        conditions=("intact", *(f"thinking:ticks={n}" for n in counts)),
        rings=("fresh", CURVE),
        expects={"learner": "any", "lookalike": "any", "still": "any"},
        settings={"ticks": ticks},
    )


def _counts(ticks: str) -> list[int]:
    parts = ticks.split("+")
    if not all(p.isdecimal() and 2 <= int(p) <= MOST for p in parts):
        raise MesascopeError(
            f"ticks={ticks!r} names no numbers of ticks.",
            f"Type whole numbers from 2 to {MOST}, joined by +: ticks=2+8+32.",
        )
    return [int(p) for p in parts]


def _curve(lived: xr.Dataset, ring: str, paired: bool) -> list[Reading]:
    """Success by ticks, or by steps where others logged it, what the most of them bring, and what they cost."""
    successes = _successes(lived) if paired else _logged(lived)
    if len(successes) < 2:
        raise DoesNotApply(
            "it was not given more ticks, or its tasks say of no act that it can be thought out"
        )
    word, unit, out = "tick" if paired else "step", "" if paired else "problem", []
    windows = {"": slice(None)}
    if paired and lived.sizes["trial"] > 1:
        windows[", first trial"] = slice(0, 1)  # a problem that stays is thought out from trial to trial
    for when, window in windows.items():
        by = {n: np.nanmean(x[:, window], -1) if paired else x[:, 0] for n, x in successes.items()}
        out += [Reading(x, ring, f"{n} {word}{'' if n == 1 else 's'}{when}") for n, x in by.items()]
        least, most = min(by), max(by)
        best = max(by, key=lambda n: float(np.nanmean(by[n])))
        told = "a gain from computation, which alone is no search"
        gain = _less(by[most], by[least], paired)
        out.append(Reading(gain, ring, f"{most} {word}s less {least}{when}", reason=told, unit=unit))
        if best not in (least, most):
            told = "the best of several, so a little too large"
            lost = _less(by[most], by[best], paired)
            out.append(Reading(lost, ring, f"{most} {word}s less {best}{when}", reason=told, unit=unit))
    return out


def _logged(lived: xr.Dataset) -> dict[int, np.ndarray]:
    """[N, 1] whether each problem was solved, by steps in rising order; NaN beyond the last problem."""
    labels = sorted((int(c.partition("=")[2]), c) for c in lived.condition.values.tolist())
    return {n: lived.score.sel(condition=c).values.astype(float) for n, c in labels}


def _successes(lived: xr.Dataset) -> dict[int, np.ndarray]:
    """[N, T] whether each trial got all that was to be got, by ticks in rising order; NaN where it was not lived."""
    labels = sorted((ticks_of(c), c) for c in lived.condition.values.tolist() if ticks_of(c))
    best, out = lived.best.values.astype(float), {}
    for n, label in labels:
        score = lived.score.sel(condition=label).values.astype(float)
        out[n] = np.where(np.isfinite(score), (score >= best - 1e-5).astype(float), np.nan)
    return out


def _less(one: np.ndarray, other: np.ndarray, paired: bool) -> np.ndarray:
    """Numbers whose mean is the difference of both means, and whose spread gives its standard error."""
    if paired:
        return one - other
    parts = [x[np.isfinite(x)] for x in (one, other)]
    n, gap = sum(map(len, parts)), float(parts[0].mean() - parts[1].mean())
    signed = ((1, parts[0]), (-1, parts[1]))
    return gap + np.concatenate([sign * n / len(x) * (x - x.mean()) for sign, x in signed])
