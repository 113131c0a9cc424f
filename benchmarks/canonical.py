"""A hash of what the instrument finds, for telling whether a change of the code changed a number.

    mesascope demo --out demo && mesascope validate --quick --json > validate.json
    python benchmarks/canonical.py demo/findings.json validate.json

Of findings it takes subject, family, split, metric, estimate, low, high, p and n, of a validation every subject's
readings; files of format 1 hash as their like of format 2. Numbers count to ten digits.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mesascope.formats import rename_old_keys

FIELDS = ("subject", "family", "split", "metric", "status", "estimate", "low", "high", "p", "n")


def rows(document: Any) -> Iterator[tuple[Any, ...]]:
    """What is hashed of one document."""
    for subject in document["subjects"]:
        if "findings" not in subject:  # of a validation
            yield subject["subject"], subject["truth"], *sorted(subject["readings"].items())
            continue
        yield subject["subject"], subject["placement"]["level"], subject["placement"]["probability"]
        for finding in map(rename_old_keys, subject["findings"]):
            told = [finding[field] for field in FIELDS]
            yield tuple(float(f"{x:.10g}") if isinstance(x, float) else x for x in told)
    for name, axis in document.get("axes", {}).items():
        yield from ((name, json.dumps(s, sort_keys=True)) for s in axis["subjects"])


for path in sys.argv[1:]:
    found = sorted(json.dumps(row, sort_keys=True) for row in rows(json.loads(Path(path).read_text())))
    print(hashlib.sha256("\n".join(found).encode()).hexdigest()[:16], len(found), path)
