"""Measures every participant in a log, and contrasts groups with participants as units.

Each metric is measured on the trials of one participant. The interval comes from a delete-a-group jackknife over the
participant's trials (Kott 2001): short runs of trials are assigned to ten groups in turn, and the metric is measured
once without each group. A metric that fits models computes intervals itself, or has none.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from mesascope.contracts import Metric, Reading
from mesascope.examination.measurement import make_blank_finding
from mesascope.findings import Finding
from mesascope.stats import CONFIDENCE, average_valid, compute_contrast
from mesascope.trials import find_forced_trials

JACKKNIFE_GROUPS = 10  # the number of groups of trials, each of which is left out once
MIN_RUN_TRIALS = 3  # the smallest number of trials in a run, so that most of the trials left still follow another trial
MISSING_VALUES = {"i": -1, "f": np.nan}


class ParticipantValue(NamedTuple):
    """The value of one metric for one participant.

    Attributes:
        participant: the number of the participant, or of the lifetime if the log does not name participants.
        group: the participant's group; '' if the log has no groups.
        metric: the metric's name. If the reading has a label, a colon and the label follow.
        estimate: the value, averaged over the participant's lifetimes.
        low: the lower end of the interval; None if there is no interval.
        high: the upper end of the interval; None if there is no interval.
        n: the number of trials with a free choice.
        reason: why there is no interval; '' if there is one.
    """

    participant: int
    group: str
    metric: str
    estimate: float
    low: float | None
    high: float | None
    n: int
    reason: str = ""


def measure_participants(
    readings: Sequence[tuple[Metric, Sequence[Reading]]], trials: xr.Dataset
) -> list[ParticipantValue]:
    """Measures every participant of a log.

    Args:
        readings: the metrics that apply to the log, each with its readings of all lifetimes.
        trials: the log, as `read_log` returns it.
    """
    owners = trials.participant.values if "participant" in trials.coords else np.arange(trials.sizes["lifetime"])
    labels = trials.group.values if "group" in trials.coords else np.full(len(owners), "")
    values = []
    for owner, label in sorted(set(zip(owners.tolist(), labels.tolist(), strict=True))):
        rows = np.flatnonzero((owners == owner) & (labels == label))
        own = trials.isel(lifetime=rows)
        n = int(((own.action.values[0] >= 0) & ~find_forced_trials(own)).sum())
        subsets = [own, *_leave_out_groups(own)]
        for metric, whole in readings:
            if metric.is_cheap:
                found = _compute_jackknife(metric, subsets)
            else:
                found = {r.label: _average_reading(r, rows) for r in whole if np.isfinite(r.values[rows]).any()}
            for name, (estimate, low, high) in found.items():
                full_name = f"{metric.name}: {name}" if name else metric.name
                reason = "" if low is not None else "no interval: fitted to all participants, or too few trials"
                values.append(ParticipantValue(owner, label, full_name, estimate, low, high, n, reason))
    return values


def _average_reading(reading: Reading, rows: np.ndarray) -> tuple[float, float | None, float | None]:
    """Averages a reading over a participant's lifetimes.

    Returns:
        The mean, and the two ends of the interval that the metric computed (None if it computes no intervals).
    """
    estimate = float(average_valid(reading.values[rows]))
    if reading.intervals is None:
        return estimate, None, None
    low, high = reading.intervals[:, rows[0]]
    return estimate, float(low), float(high)


def _leave_out_groups(trials: xr.Dataset) -> list[xr.Dataset]:
    """Makes copies of a participant's trials; in each copy, a different group of trials is marked as missing."""
    position = np.arange(trials.sizes["trial"])
    lengths = (trials.action.values[0] >= 0).sum(-1)
    run = max(MIN_RUN_TRIALS, int(lengths.max()) // (4 * JACKKNIFE_GROUPS))
    names = [k for k, v in trials.data_vars.items() if v.dims[:3] == ("condition", "lifetime", "trial")]
    return [
        trials.assign(
            {
                name: (
                    v.dims,
                    np.where(is_out.reshape(1, 1, -1, *[1] * (v.ndim - 3)), MISSING_VALUES[v.dtype.kind], v.values),
                )
                for name in names
                for v in [trials[name]]
            }
        ).assign_attrs(trials.attrs)
        for is_out in ((position // run) % JACKKNIFE_GROUPS == g for g in range(JACKKNIFE_GROUPS))
        if is_out.any()
    ]


def _compute_jackknife(
    metric: Metric, subsets: Sequence[xr.Dataset]
) -> dict[str, tuple[float, float | None, float | None]]:
    """Measures the first of the subsets with a metric, and computes jackknife intervals from the other subsets.

    Returns:
        For the label of each reading, the estimate and the ends of the interval (None for fewer than three subsets).
    """
    whole, *parts = [_measure_means(metric, subset) for subset in subsets]
    result = {}
    for label, estimate in whole.items():
        others = np.array([part[label] for part in parts if label in part])
        low = high = None
        if len(others) >= 3:
            error = np.sqrt((len(others) - 1) / len(others) * ((others - others.mean()) ** 2).sum())
            half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(others) - 1) * error)
            low, high = estimate - half, estimate + half
        result[label] = (estimate, low, high)
    return result


def _measure_means(metric: Metric, trials: xr.Dataset) -> dict[str, float]:
    """Averages each reading of a metric over lifetimes, by label; returns {} if the metric fails on these trials."""
    try:
        means = {
            r.label: float(average_valid(np.asarray(r.values, float)))
            for r in metric.measure({"logged": trials}, {}, None)
        }
    except Exception:  # a participant may lack what the metric needs, such as one of four kinds of trials
        return {}
    return {label: mean for label, mean in means.items() if np.isfinite(mean)}


def contrast_groups(
    values: Sequence[ParticipantValue], metrics: Mapping[str, Metric], trials: xr.Dataset
) -> list[Finding]:
    """Contrasts every other group with the first group in alphabetical order, with participants as units.

    The interval is that of Welch's t test, or of the paired t test if every participant is in both groups.

    Args:
        values: the values of all participants.
        metrics: the metrics by name.
        trials: the log, as `read_log` returns it.

    Returns:
        One finding for each metric and each other group; none if the log has no groups.
    """
    if "group" not in trials.coords:
        return []
    first, *others = list(dict.fromkeys(sorted(trials.group.values.tolist())))
    findings = []
    for name in dict.fromkeys(v.metric for v in values):
        metric = metrics[name.partition(":")[0]]
        own = {(v.group, v.participant): v.estimate for v in values if v.metric == name}
        for other in others:
            label = ", ".join(filter(None, (name.partition(": ")[2], f"{other} minus {first}")))
            reading = Reading(np.zeros(0), "logged", label)
            parts = [{p: x for (g, p), x in own.items() if g == group} for group in (other, first)]
            shared = parts[0].keys() & parts[1].keys()
            is_paired = bool(shared) and len(shared) == len(parts[0]) == len(parts[1])
            if (shared and not is_paired) or min(map(len, parts)) < 3:
                sizes = " and ".join(str(len(part)) for part in parts)
                reason = f"{sizes} participants, {len(shared)} of them in both groups; a contrast needs 3 in each"
                findings.append(make_blank_finding(metric, trials, "does not apply", reason, reading))
                continue
            arrays = [np.array([part[p] for p in sorted(part)]) for part in parts]
            contrast = compute_contrast(arrays[0], arrays[1], is_paired)
            blank = make_blank_finding(metric, trials, "failed", "-", reading)
            kind = "paired participants" if is_paired else f"{len(parts[0])} and {len(parts[1])} participants, Welch"
            numbers: dict[str, Any] = {k: float(getattr(contrast, k)[0]) for k in ("estimate", "low", "high", "p")}
            n = len(parts[0]) if is_paired else sum(map(len, parts))
            findings.append(dataclasses.replace(blank, **numbers, n=n, status="measured", reason=kind))
    return findings
