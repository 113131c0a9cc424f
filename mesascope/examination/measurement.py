"""Applies metrics to a subject's trials and turns their readings into findings."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts import DoesNotApply, Metric, Reading, TrialsBySplit, get_split_kind
from mesascope.errors import MesascopeError, require
from mesascope.findings import Finding, describe_provenance
from mesascope.guards.blame import contain_exits
from mesascope.stats import CONFIDENCE, adjust_holm, average_by_unit, compute_intervals


def apply_metrics(
    metrics: Sequence[Metric],
    trials: TrialsBySplit,
    references: Mapping[str, TrialsBySplit] | None = None,
    replay: Any = None,
    controls: Mapping[str, Sequence[Finding]] | None = None,
    collected_readings: list[tuple[Metric, Sequence[Reading]]] | None = None,
) -> list[Finding]:
    """Measures the trials of one subject with every metric.

    Args:
        metrics: the metrics to apply.
        trials: by split, the subject's trials.
        references: by role and split, the trials of the reference procedures on the same tasks.
        replay: a function that replays a procedure along recorded trials, or None (see `contracts.Metric`).
        controls: by role, the findings of each control, which are added to the findings of the same metric and split.
        collected_readings: a list, to which every metric that applies is added with its readings.

    Returns:
        The findings in the order of the metrics. A metric that does not apply, or that fails, gives one finding with
        the status 'does not apply' or 'failed'. The p-values are adjusted over all measured findings (Holm).
    """
    findings: list[Finding] = []
    first = next(iter(trials.values()))
    for metric in metrics:
        try:
            with contain_exits():
                readings = _apply_metric(metric, trials, references or {}, replay)
                findings += [_make_finding(metric, reading, trials) for reading in readings]
                if collected_readings is not None:
                    collected_readings.append((metric, readings))
        except DoesNotApply as reason:
            message = str(reason) or "the metric does not say why"
            findings.append(make_blank_finding(metric, first, "does not apply", message))
        except Exception as error:  # an error in one plug-in must not lose the other findings
            message = str(error) if isinstance(error, MesascopeError) else f"{type(error).__name__}: {error}"
            findings.append(make_blank_finding(metric, first, "failed", message))
    results = []
    for finding in findings:
        controls_here = {
            role: {k: getattr(f, k) for k in ("subject", "estimate", "low", "high", "status")}
            for role, control_findings in (controls or {}).items()
            for f in control_findings
            if (f.metric, f.split) == (finding.metric, finding.split)
        }
        results.append(dataclasses.replace(finding, controls=controls_here))
    return adjust_findings(results)


def adjust_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Returns the findings with p-values that are adjusted over all findings by Holm's method, in the field `holm`."""
    adjusted = adjust_holm(np.asarray([np.nan if f.p is None else f.p for f in findings]))
    holm = [None if np.isnan(p) else float(p) for p in adjusted]
    return [dataclasses.replace(f, holm=p) for f, p in zip(findings, holm, strict=True)]


def _apply_metric(
    metric: Metric, trials: TrialsBySplit, references: Mapping[str, TrialsBySplit], replay: Any
) -> Sequence[Reading]:
    """Computes the readings of one metric from the splits that it needs."""
    needed = {split: d for split, d in trials.items() if get_split_kind(split) in (*metric.splits, "fresh", "logged")}
    if not any(get_split_kind(split) in (*metric.splits, "logged") for split in needed):
        raise DoesNotApply(f"no split of kind {' or '.join(metric.splits)} was run")
    first = next(iter(needed.values()))
    if "logged" in needed and "chance" not in first and metric.splits not in (("fresh",), ("logged",)):
        raise DoesNotApply("a log without expected pay-offs contains no pay-offs of chance and of the best action")
    if "logged" in needed and metric.conditions != ("intact",):
        raise DoesNotApply("a log contains undisturbed trials only; the question needs the subject itself")
    return metric.measure(needed, {r: references[r] for r in metric.references if r in references}, replay)


def _make_finding(metric: Metric, reading: Reading, trials: TrialsBySplit) -> Finding:
    """Turns a reading into a finding with an interval."""
    split_trials = trials.get(reading.split, next(iter(trials.values())))
    values, lifetimes = np.asarray(reading.values, float), split_trials.sizes["lifetime"]
    if values.ndim != 1 or (len(values) != lifetimes and (not reading.unit or reading.unit in split_trials)):
        problem = f"{metric.name} gave values of shape {values.shape} for {lifetimes} lifetimes."
        raise MesascopeError(problem, "Give one value per lifetime, NaN for a lifetime without one.")
    require(np.isfinite(reading.null), f"The null of {metric.name} is {reading.null}.", "Give a finite null.")
    unit = reading.unit or str(split_trials.attrs.get("unit", "lifetime"))
    if unit in split_trials and split_trials[unit].dims == ("lifetime",):
        values = average_by_unit(values, split_trials[unit].values)
    estimate, low, high, n, p = (column[0] for column in compute_intervals(values[None], reading.null))
    if not np.isfinite(estimate):
        return make_blank_finding(
            metric, split_trials, "does not apply", reading.reason or "no lifetime gave a number", reading
        )
    finding = make_blank_finding(metric, split_trials, "failed", "-", reading)
    p = p if reading.p is None else reading.p
    low, high, p = (float(x) if np.isfinite(x) else None for x in (low, high, p))
    numbers: dict[str, Any] = {"estimate": float(estimate), "low": low, "high": high, "p": p, "n": int(n)}
    return dataclasses.replace(finding, **numbers, unit=unit, status="measured", reason=reading.reason or "")


def make_blank_finding(
    metric: Metric, split_trials: xr.Dataset, status: Any, reason: str, reading: Reading | None = None
) -> Finding:
    """Makes a finding without an estimate.

    Args:
        metric: the metric that gave no estimate.
        split_trials: the trials on one split, whose attributes the finding repeats.
        status: 'does not apply' or 'failed'.
        reason: the reason for this status.
        reading: the metric's reading, if there is one.
    """
    attrs = split_trials.attrs
    label = f": {reading.label}" if reading and reading.label else ""
    split = str(attrs.get("split", "fresh"))
    return Finding(
        metric=f"{metric.name}{label}",
        question=metric.question,
        subject=str(attrs.get("subject", "unknown")),
        fingerprint=hash_fingerprint(attrs.get("fingerprint")),
        family=str(attrs.get("family", "unknown")),
        split=split,
        settings=json.loads(json.dumps(dict(metric.settings), default=str)),
        estimate=None,
        low=None,
        high=None,
        confidence=CONFIDENCE,
        n=0,
        unit=str(attrs.get("unit", "lifetime")),
        null=reading.null if reading else 0.0,
        status=status,
        reason=reason,
        confirmatory=metric.is_confirmatory and not (reading and reading.is_descriptive),
        made=describe_provenance(attrs.get("seed")),
    )


def hash_fingerprint(fingerprint: Any) -> str:
    """Combines the hashes of all weights into one hash; returns 'not available' if there are no hashes."""
    if not fingerprint:
        return "not available"
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
