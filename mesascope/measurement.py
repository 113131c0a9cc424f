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
from mesascope.blame import contained
from mesascope.errors import MesascopeError
from mesascope.findings import Finding
from mesascope.probes import DoesNotApply, Probe, Reading
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
    findings: list[Finding] = []
    some = next(iter(trials.values()))
    for probe in probes:
        try:
            with contained():
                readings = _ask(probe, trials, references or {}, replay)
                findings += [_finding(probe, reading, trials) for reading in readings]
        except DoesNotApply as why:
            findings.append(_blank(probe, some, "does not apply", str(why) or "the probe does not say why"))
        except Exception as error:  # a plug-in's mistake must not lose the other findings
            told = str(error) if isinstance(error, MesascopeError) else f"{type(error).__name__}: {error}"
            findings.append(_blank(probe, some, "failed", told))
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


def _finding(probe: Probe, reading: Reading, trials: Rings) -> Finding:
    """A reading with its interval."""
    lived = trials.get(reading.ring, next(iter(trials.values())))
    values, lifetimes = np.asarray(reading.values, float), lived.sizes["lifetime"]
    if values.ndim != 1 or (len(values) != lifetimes and (not reading.unit or reading.unit in lived)):
        raise MesascopeError(
            f"{probe.name} gave values of shape {values.shape} for {lifetimes} lifetimes.",
            "Give one value per lifetime, NaN where there is none.",
        )
    if not np.isfinite(reading.null):
        raise MesascopeError(f"{probe.name} compares with {reading.null}.", "Give a finite null.")
    unit = reading.unit or str(lived.attrs.get("unit", "lifetime"))
    if unit in lived and lived[unit].dims == ("lifetime",):
        values = by_unit(values, lived[unit].values)
    estimate, low, high, n, p = (column[0] for column in interval(values[None], reading.null))
    if not np.isfinite(estimate):
        return _blank(probe, lived, "does not apply", reading.reason or "no lifetime gave a number", reading)
    low, high, p = (float(x) if np.isfinite(x) else None for x in (low, high, p))
    return dataclasses.replace(
        _blank(probe, lived, "failed", "-", reading),
        estimate=float(estimate),
        low=low,
        high=high,
        n=int(n),
        unit=unit,
        status="measured",
        reason=reading.reason or "",
        p=p,
    )


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
        settings=json.loads(json.dumps(dict(probe.settings), default=str)),
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
