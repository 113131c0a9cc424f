"""What was asked of a subject in words, and what it said: the first lifetime of each condition, word for word."""

from collections.abc import Sequence
from typing import Any

from mesascope.guards import limits
from mesascope.reporting import words
from mesascope.reporting.hints import Examination


def list_transcripts(examinations: Sequence[Examination]) -> list[dict[str, Any]]:
    """Per subject and condition the last question as it was sent, and every answer; none for subjects without words."""
    return [
        {
            "subject": e.subject,
            "split": words.describe_split(split),
            "condition": words.condition(str(label)),
            **_told(limits.parse_json(str(text))),
        }
        for e in examinations
        for split, lived in e.trials.items()
        if "transcript" in lived
        for label, text in zip(lived.condition.values, lived.transcript.values, strict=True)
    ]


def _told(kept: dict[str, Any]) -> dict[str, Any]:
    """A kept transcript as the page shows it."""
    rows = [
        (
            a["asked"].splitlines()[-1] if a["asked"] else "",
            a["said"],
            a["how"],
            "–" if a["probabilities"] is None else ", ".join(f"{p:.3f}" for p in a["probabilities"]),
        )
        for a in kept["answers"]
    ]
    return {"sent": str(kept["sent"]).split("\n"), "labels": ", ".join(kept["labels"]), "rows": rows}
