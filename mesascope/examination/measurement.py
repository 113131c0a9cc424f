"""Metric × trials × references → findings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Metric, Reading
from mesascope.findings import Finding, made
from mesascope.stats import CONFIDENCE, by_unit, holm, interval

Splits = Mapping[str, xr.Dataset]


def measure(
    metrics: Sequence[Metric],
    trials: Splits,
    references: Mapping[str, Splits] | None = None,
    replay: Any = None,
    controls: Mapping[str, Sequence[Finding]] | None = None,
) -> list[Finding]:
    """Puts every metric to the trials of one subject.

    Args:
        metrics: what is asked.
        trials: the subject's data set per split.
        references: by role, a reference procedure's data sets on the same tasks.
        replay: forces a procedure along recorded trials; None where nothing can be replayed.
        controls: by role, the same findings of a control.

    Returns:
        One finding per question, in the order of the metrics; a metric that does not apply or fails gives one that
        says so. p-values are adjusted (Holm) over all that were measured.
    """
    asked: list[tuple[Metric, Reading]] = []
    lacking: list[tuple[int, Finding]] = []
    some = next(iter(trials.values()))
    for metric in metrics:
        try:
            readings = list(_ask(metric, trials, references or {}, replay))
            asked += [(metric, r) for r in readings]
        except DoesNotApply as why:
            lacking.append((len(asked), _blank(metric, some, "does not apply", str(why))))
        except Exception as error:  # a plug-in's mistake must not lose the other findings
            told = f"{type(error).__name__}: {error}"
            lacking.append((len(asked), _blank(metric, some, "failed", told)))
    rows = [_units(trials, r) for _, r in asked]
    findings = _intervals(asked, rows, trials)
    for place, finding in reversed(lacking):
        findings.insert(place, finding)
    adjusted = holm(np.asarray([np.nan if f.p is None else f.p for f in findings]))
    known = {role: {(f.metric, f.split): f for f in found} for role, found in (controls or {}).items()}
    return [
        dataclasses.replace(
            f,
            holm=None if np.isnan(h) else float(h),
            controls={
                role: _brief(found[f.metric, f.split])
                for role, found in known.items()
                if (f.metric, f.split) in found
            },
        )
        for f, h in zip(findings, adjusted, strict=True)
    ]


def _ask(metric: Metric, trials: Splits, references: Mapping[str, Splits], replay: Any) -> Sequence[Reading]:
    """The readings of one metric, on the splits that it needs."""
    wanted = {r: d for r, d in trials.items() if r.partition(":")[0] in (*metric.splits, "fresh", "logged")}
    if not any(r.partition(":")[0] in (*metric.splits, "logged") for r in wanted):
        raise DoesNotApply(f"no split of kind {' or '.join(metric.splits)} was run")
    first = next(iter(wanted.values()))
    if "logged" in wanted and "chance" not in first and metric.splits != ("fresh",):
        raise DoesNotApply("a log without the tasks' pay-offs has no chance and best to compare with")
    if "logged" in wanted and metric.conditions != ("intact",):
        raise DoesNotApply("a log holds undisturbed trials only; the question needs the subject itself")
    return metric.measure(wanted, {r: references[r] for r in metric.references if r in references}, replay)


def _units(trials: Splits, reading: Reading) -> tuple[np.ndarray, str]:
    """The values by unit of resampling, and its name."""
    lived = trials.get(reading.split, next(iter(trials.values())))
    values = np.asarray(reading.values, float)
    unit = reading.unit or str(lived.attrs.get("unit", "lifetime"))
    if unit in lived and lived[unit].dims == ("lifetime",):
        return by_unit(values, lived[unit].values), unit
    return values, unit


def _intervals(asked, rows, trials: Splits) -> list[Finding]:
    """All intervals in one call."""
    if not rows:
        return []
    table = np.full((len(rows), max(len(v) for v, _ in rows)), np.nan)
    for i, (values, _) in enumerate(rows):
        table[i, : len(values)] = values
    got = interval(table, np.asarray([r.null for _, r in asked]))
    out = []
    for i, (metric, reading) in enumerate(asked):
        lived = trials.get(reading.split, next(iter(trials.values())))
        if not np.isfinite(got.estimate[i]):
            out.append(
                _blank(
                    metric, lived, "does not apply", reading.reason or "no lifetime gave a number", reading
                )
            )
            continue
        blank = _blank(metric, lived, "failed", "-", reading)
        low, high, p = (None if np.isnan(x[i]) else float(x[i]) for x in (got.low, got.high, got.p))
        out.append(
            dataclasses.replace(
                blank,
                estimate=float(got.estimate[i]),
                low=low,
                high=high,
                n=int(got.n[i]),
                unit=rows[i][1],
                status="measured",
                reason=reading.reason,
                p=p,
            )
        )
    return out


def _blank(
    metric: Metric, lived: xr.Dataset, status: Any, reason: str, reading: Reading | None = None
) -> Finding:
    """A finding without a number."""
    attrs = lived.attrs
    label = f": {reading.label}" if reading and reading.label else ""
    split = str(attrs.get("split", "fresh"))
    return Finding(
        metric=f"{metric.name}{label}",
        question=metric.question,
        subject=str(attrs.get("subject", "unknown")),
        fingerprint=brief(attrs.get("fingerprint")),
        family=str(attrs.get("family", "unknown")),
        split=split,
        settings=dict(metric.settings),
        estimate=None,
        low=None,
        high=None,
        confidence=CONFIDENCE,
        n=0,
        unit=str(attrs.get("unit", "lifetime")),
        null=reading.null if reading else 0.0,
        status=status,
        reason=reason,
        confirmatory=metric.confirmatory and not (reading and reading.descriptive),
        made=made(attrs.get("seed")),
    )


def _brief(finding: Finding) -> dict[str, Any]:
    return {
        "subject": finding.subject,
        "estimate": finding.estimate,
        "low": finding.low,
        "high": finding.high,
        "status": finding.status,
    }


def brief(fingerprint: Any) -> str:
    """One hash over the hashes of all weights, 'not available' where there are none."""
    if not fingerprint:
        return "not available"
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
