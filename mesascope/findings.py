"""Defines a finding: the answer to one metric's question, with an interval, unit, controls and provenance."""

import dataclasses
import datetime
import functools
import math
import os
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import mesascope
from mesascope import formats
from mesascope.errors import MesascopeError, require
from mesascope.formats import FINDING_FORMAT
from mesascope.guards import limits

COLUMNS = (  # the columns of a table of findings
    *("subject", "family", "split", "metric", "estimate", "low", "high", "confidence", "n", "unit", "null"),
    *("status", "reason", "confirmatory", "p", "holm", "question"),
)
Status = Literal["measured", "does not apply", "failed"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One metric's answer about one subject on one split, or the reason why there is none.

    Attributes:
        metric: the metric's name. If the metric has several readings, a colon and the reading's label follow.
        question: the metric's question in words.
        subject: the subject's name.
        fingerprint: a hash of the subject's weights, or 'not available'.
        family: the family's name with its settings.
        split: the name of the split on which the metric was measured.
        settings: the metric's settings by name.
        estimate: the estimated number; None if the metric was not measured.
        low: the lower end of the interval; None without an estimate or with fewer than three units.
        high: the upper end of the interval; None without an estimate or with fewer than three units.
        confidence: the confidence level of the interval, such as 0.95.
        n: the number of units.
        unit: what was resampled, such as 'lifetime', 'donor', 'task', 'training seed', 'participant' or 'wording'.
        null: the expected estimate under the null hypothesis.
        status: 'measured', 'does not apply' or 'failed'.
        reason: why the metric was not measured, or a caveat about the measured number; '' without either.
        controls: for each role of a control ('learner', 'lookalike' or 'still'), a dict with `subject` (the control's
            name) and with the control's `estimate`, `low`, `high` and `status` for the same metric and split.
        p: the p-value against the null hypothesis, two-sided unless the metric has a test of its own; None if not
            computed.
        holm: the p-value adjusted over all findings of the subject by the method of Holm; None if not computed.
        confirmatory: whether the placement rule uses the finding; if not, the finding is descriptive.
        made: the provenance, as `describe_provenance` returns it.
        format: the name and version of the format of findings.
    """

    metric: str
    question: str
    subject: str
    fingerprint: str
    family: str
    split: str
    settings: dict[str, Any]
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    n: int
    unit: str
    null: float
    status: Status = "measured"
    reason: str = ""
    controls: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    p: float | None = None
    holm: float | None = None
    confirmatory: bool = False
    made: dict[str, Any] = dataclasses.field(default_factory=dict)
    format: str = FINDING_FORMAT

    def __post_init__(self):
        measured, name = self.status == "measured", f"The finding {self.metric!r}"
        finite = self.estimate is not None and math.isfinite(self.estimate)
        known_status = self.status in get_args(Status)
        require(known_status, f"A finding's status is {self.status!r}.", "It is measured, does not apply or failed.")
        require(bool(self.unit), f"{name} has no unit.", "Say what was resampled.")
        require(measured or bool(self.reason), f"{name} is not measured.", "Give the reason.")
        require(
            finite or not measured,
            f"{name} has no estimate.",
            "Set its status to 'does not apply', and give the reason.",
        )
        if measured and self.estimate is not None:
            if self.low is None or self.high is None:
                require(self.n < 3, f"{name} has no interval.", "Compute one with mesascope.stats.")
            elif not self.low <= self.estimate <= self.high:
                problem = f"The interval of {self.metric!r} does not contain its estimate."
                raise MesascopeError(problem, "Check the order of low, estimate and high.")

    @property
    def is_exact(self) -> bool:
        """Whether every unit gave the same number."""
        return self.status == "measured" and self.low is not None and self.low == self.high

    def describe(self) -> str:
        """Describes in one line the estimate with its interval and n, or why there is no estimate."""
        if self.status != "measured" or self.estimate is None:
            return f"{self.status}: {self.reason}"
        if self.low is None:
            return f"{self.estimate:.3f} (n = {self.n}, too few for an interval)"
        if self.is_exact:
            return f"exactly {self.estimate:.3f} (n = {self.n} {self.unit}s)"
        interval_note = ", t interval" if self.n < 10 else ""
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}] (n = {self.n} {self.unit}s{interval_note})"

    def _repr_html_(self) -> str:
        """Describes the finding in HTML, for notebooks."""
        import html

        return (
            f"<b>{html.escape(self.metric)}</b> {html.escape(self.describe())}<br><i>{html.escape(self.question)}</i>"
        )


def to_dict(finding: Finding) -> dict[str, Any]:
    """Converts a finding to a dict with its format and then its other fields, in the order of the class."""
    return {"format": finding.format, **dataclasses.asdict(finding)}


def from_dict(data: Any) -> Finding:
    """Makes a finding from a dict that `to_dict` returned, also in the first version of the format.

    Raises:
        MesascopeError: the data have another format, or a field is unknown, missing or invalid.
    """
    found = data.get("format") if isinstance(data, dict) else type(data).__name__
    if formats.is_old_format(found, FINDING_FORMAT):
        data = formats.rename_old_keys(data) | {"format": FINDING_FORMAT}
    elif found != FINDING_FORMAT:
        raise MesascopeError(
            f"This is not a {FINDING_FORMAT}: {found!r}.", "Name a findings.json that mesascope wrote."
        )
    names = {f.name for f in dataclasses.fields(Finding)}
    fields = f"The fields are {sorted(names)}."
    unknown_fields = sorted(data.keys() - names)
    require(not unknown_fields, f"A finding has unknown fields: {unknown_fields}.", fields)
    try:
        return Finding(**data)
    except TypeError as error:
        raise MesascopeError(f"A finding is incomplete: {error}.", fields) from None


def read_findings(folder: str | os.PathLike) -> list[Finding]:
    """Reads all findings from a run's folder, or from the path of its findings.json.

    Raises:
        MesascopeError: there is no such file, it is not JSON, or it does not contain findings that mesascope wrote.
    """
    path = Path(folder)
    path = path / "findings.json" if path.is_dir() else path
    try:
        document = limits.parse_json(path.read_text())
    except FileNotFoundError:
        raise MesascopeError(f"There is no {str(path)!r}.", "Name the folder of a run.") from None
    except (UnicodeDecodeError, ValueError) as error:
        raise MesascopeError(f"{str(path)!r} is not JSON: {error}.", "Name the folder of a run.") from None
    if isinstance(document, dict) and isinstance(document.get("subjects"), list):
        rows: Iterable[Any] = (f for s in document["subjects"] for f in s.get("findings", []))
    else:
        rows = document if isinstance(document, list) else [document]
    return [from_dict(row) for row in rows]


def describe_provenance(seed: Any) -> dict[str, Any]:
    """Describes a number's provenance, with `commit`, `versions`, `key` (the seed) and `when` (the time in UTC)."""
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"commit": _find_commit(), "versions": _list_versions(), "key": seed, "when": time}


@functools.cache
def _find_commit() -> str:
    """Finds the commit of the checkout that contains the package; returns 'release' without a checkout."""
    root = Path(mesascope.__file__).parent
    try:
        command = ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return "release"
    in_checkout = (root.parent / ".git").exists()
    return result.stdout.strip() if in_checkout and result.returncode == 0 else "release"


@functools.cache
def _list_versions() -> dict[str, str]:
    """Lists the versions of this package and of the packages with which it computes numbers."""
    return {"mesascope": mesascope.__version__} | {p: version(p) for p in ("jax", "numpy", "scipy", "xarray")}
