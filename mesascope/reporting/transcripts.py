"""Quotes the questions to a subject in words, and its answers, in the first lifetime of each condition."""

from collections.abc import Sequence
from typing import Any

from mesascope.guards import limits
from mesascope.reporting import words
from mesascope.reporting.hints import Examination


def list_transcripts(examinations: Sequence[Examination]) -> list[dict[str, Any]]:
    """By subject and condition, the last question as it was sent, and every answer; empty without such subjects."""
    return [
        {
            "subject": e.subject,
            "split": words.describe_split(split),
            "condition": words.describe_condition(str(label)),
            **limits.parse_json(str(text)),
        }
        for e in examinations
        for split, trials in e.trials.items()
        if "transcript" in trials
        for label, text in zip(trials.condition.values, trials.transcript.values, strict=True)
    ]
