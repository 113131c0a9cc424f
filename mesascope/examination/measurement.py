"""Probe × trials × references → findings."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import mesascope
from mesascope.findings import Finding
from mesascope.contracts.metric import DoesNotApply, Probe, Reading
from mesascope.stats import CONFIDENCE, by_unit, holm, interval

Rings = Mapping[str, xr.Dataset]


def measure(
    probes: Sequence[Probe],
    trials: Rings,
    references: Mapping[str, Rings] | None = None,
    replay: Any = None,
    controls: Mapping[str, Sequence[Finding]] | None = None,
) -> list[Finding]:
    """Puts every probe to the trials of one subject.

    Args:
        probes: what is asked.
        trials: the subject's data set per ring.
        references: by role, a reference procedure's data sets on the same tasks.
        replay: forces a procedure along recorded trials; None where nothing can be replayed.
        controls: by role, the same findings of a control.

    Returns:
        One finding per question, in the order of the probes; a probe that does not apply or fails gives one that
        says so. p-values are adjusted (Holm) over all that were measured.
    """
    asked: list[tuple[Probe, Reading]] = []
    lacking: list[tuple[int, Finding]] = []
    some = next(iter(trials.values()))
    for probe in probes:
        try:
            readings = list(_ask(probe, trials, references or {}, replay))
            asked += [(probe, r) for r in readings]
        except DoesNotApply as why:
            lacking.append((len(asked), _blank(probe, some, "does not apply", str(why))))
        except Exception as error:  # a plug-in's mistake must not lose the other findings
            told = f"{type(error).__name__}: {error}"
            lacking.append((len(asked), _blank(probe, some, "failed", told)))
    rows = [_units(trials, r) for _, r in asked]
    findings = _intervals(asked, rows, trials)
    for place, finding in reversed(lacking):
        findings.insert(place, finding)
    adjusted = holm(np.asarray([np.nan if f.p is None else f.p for f in findings]))
    known = {role: {(f.probe, f.ring): f for f in found} for role, found in (controls or {}).items()}
    return [
        dataclasses.replace(
            f,
            holm=None if np.isnan(h) else float(h),
            controls={
                role: _brief(found[f.probe, f.ring])
                for role, found in known.items()
                if (f.probe, f.ring) in found
            },
        )
        for f, h in zip(findings, adjusted, strict=True)
    ]


def _ask(probe: Probe, trials: Rings, references: Mapping[str, Rings], replay: Any) -> Sequence[Reading]:
    """The readings of one probe, on the rings that it needs."""
    wanted = {r: d for r, d in trials.items() if r.partition(":")[0] in (*probe.rings, "fresh", "logged")}
    if not any(r.partition(":")[0] in (*probe.rings, "logged") for r in wanted):
        raise DoesNotApply(f"no ring of kind {' or '.join(probe.rings)} was run")
    first = next(iter(wanted.values()))
    if "logged" in wanted and "chance" not in first and probe.rings != ("fresh",):
        raise DoesNotApply("a log without the tasks' pay-offs has no chance and best to compare with")
    if "logged" in wanted and probe.conditions != ("intact",):
        raise DoesNotApply("a log holds undisturbed trials only; the question needs the subject itself")
    return probe.measure(wanted, {r: references[r] for r in probe.references if r in references}, replay)


def _units(trials: Rings, reading: Reading) -> tuple[np.ndarray, str]:
    """The values by unit of resampling, and its name."""
    lived = trials.get(reading.ring, next(iter(trials.values())))
    values = np.asarray(reading.values, float)
    unit = reading.unit or str(lived.attrs.get("unit", "lifetime"))
    if unit in lived and lived[unit].dims == ("lifetime",):
        return by_unit(values, lived[unit].values), unit
    return values, unit


def _intervals(asked, rows, trials: Rings) -> list[Finding]:
    """All intervals in one call."""
    if not rows:
        return []
    table = np.full((len(rows), max(len(v) for v, _ in rows)), np.nan)
    for i, (values, _) in enumerate(rows):
        table[i, : len(values)] = values
    got = interval(table, np.asarray([r.null for _, r in asked]))
    out = []
    for i, (probe, reading) in enumerate(asked):
        lived = trials.get(reading.ring, next(iter(trials.values())))
        if not np.isfinite(got.estimate[i]):
            out.append(
                _blank(probe, lived, "does not apply", reading.reason or "no lifetime gave a number", reading)
            )
            continue
        blank = _blank(probe, lived, "failed", "-", reading)
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
    probe: Probe, lived: xr.Dataset, status: Any, reason: str, reading: Reading | None = None
) -> Finding:
    """A finding without a number."""
    attrs = lived.attrs
    label = f": {reading.label}" if reading and reading.label else ""
    ring = str(attrs.get("ring", "fresh"))
    return Finding(
        probe=f"{probe.name}{label}",
        question=probe.question,
        subject=str(attrs.get("subject", "unknown")),
        fingerprint=brief(attrs.get("fingerprint")),
        family=str(attrs.get("family", "unknown")),
        ring=ring,
        settings=dict(probe.settings),
        estimate=None,
        low=None,
        high=None,
        confidence=CONFIDENCE,
        n=0,
        unit=str(attrs.get("unit", "lifetime")),
        null=reading.null if reading else 0.0,
        status=status,
        reason=reason,
        confirmatory=probe.confirmatory and not (reading and reading.descriptive),
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


def made(seed: Any) -> dict[str, Any]:
    """What a number was made with: commit, versions, key, when."""
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"commit": _commit(), "versions": _versions(), "key": seed, "when": when}


@functools.cache
def _commit() -> str:
    here = Path(mesascope.__file__).parent
    try:
        asked = ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return "release"
    inside = (here.parent / ".git").exists()
    return told.stdout.strip() if inside and told.returncode == 0 else "release"


@functools.cache
def _versions() -> dict[str, str]:
    return {"mesascope": mesascope.__version__} | {p: version(p) for p in ("jax", "numpy", "scipy", "xarray")}
