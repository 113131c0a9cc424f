"""Metric × trials × references → findings."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from mesascope.contracts.metric import DoesNotApply, Metric, Reading
from mesascope.errors import MesascopeError
from mesascope.findings import Finding, provenance
from mesascope.guards.blame import contain_exits
from mesascope.stats import CONFIDENCE, by_unit, holm, interval

Splits = Mapping[str, xr.Dataset]


def answer(
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
    findings: list[Finding] = []
    some = next(iter(trials.values()))
    for metric in metrics:
        try:
            with contain_exits():
                readings = _ask(metric, trials, references or {}, replay)
                findings += [_finding(metric, reading, trials) for reading in readings]
        except DoesNotApply as why:
            findings.append(_blank(metric, some, "does not apply", str(why) or "the metric does not say why"))
        except Exception as error:  # a plug-in's mistake must not lose the other findings
            told = str(error) if isinstance(error, MesascopeError) else f"{type(error).__name__}: {error}"
            findings.append(_blank(metric, some, "failed", told))
    adjusted = holm(np.asarray([np.nan if f.p is None else f.p for f in findings]))
    out = []
    for finding, p in zip(findings, adjusted, strict=True):
        same = {
            role: _brief(f)
            for role, found in (controls or {}).items()
            for f in found
            if (f.metric, f.split) == (finding.metric, finding.split)
        }
        out.append(dataclasses.replace(finding, holm=None if np.isnan(p) else float(p), controls=same))
    return out


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


def _finding(metric: Metric, reading: Reading, trials: Splits) -> Finding:
    """A reading with its interval."""
    lived = trials.get(reading.split, next(iter(trials.values())))
    values, lifetimes = np.asarray(reading.values, float), lived.sizes["lifetime"]
    if values.ndim != 1 or (len(values) != lifetimes and (not reading.unit or reading.unit in lived)):
        raise MesascopeError(
            f"{metric.name} gave values of shape {values.shape} for {lifetimes} lifetimes.",
            "Give one value per lifetime, NaN where there is none.",
        )
    if not np.isfinite(reading.null):
        raise MesascopeError(f"{metric.name} compares with {reading.null}.", "Give a finite null.")
    unit = reading.unit or str(lived.attrs.get("unit", "lifetime"))
    if unit in lived and lived[unit].dims == ("lifetime",):
        values = by_unit(values, lived[unit].values)
    estimate, low, high, n, p = (column[0] for column in interval(values[None], reading.null))
    if not np.isfinite(estimate):
        return _blank(metric, lived, "does not apply", reading.reason or "no lifetime gave a number", reading)
    blank = _blank(metric, lived, "failed", "-", reading)
    low, high, p = (float(x) if np.isfinite(x) else None for x in (low, high, p))
    numbers: dict[str, Any] = {"estimate": float(estimate), "low": low, "high": high, "p": p, "n": int(n)}
    return dataclasses.replace(blank, **numbers, unit=unit, status="measured", reason=reading.reason or "")


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
        confirmatory=metric.confirmatory and not (reading and reading.descriptive),
        made=provenance(attrs.get("seed")),
    )


def _brief(finding: Finding) -> dict[str, Any]:
    return {k: getattr(finding, k) for k in ("subject", "estimate", "low", "high", "status")}


def hash_fingerprint(fingerprint: Any) -> str:
    """One hash over the hashes of all weights, 'not available' where there are none."""
    if not fingerprint:
        return "not available"
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:16]
