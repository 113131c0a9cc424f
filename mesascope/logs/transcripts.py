"""Reads and writes transcripts of Psych-101 and Psych-201: a text per participant, with each choice as <<choice>>.

The format is that of Binz et al. 2025 (doi 10.1038/s41586-025-09215-4): JSON lines with `text`, `experiment` and
`participant`. A transcript tells only what a participant saw, so expected pay-offs, response times and groups are not
part of it.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mesascope.errors import MesascopeError, require
from mesascope.files import replace_when_written
from mesascope.logs.tables import Table, count_noun, list_names, quote

CHOICE = re.compile(r"<<\s*(.*?)\s*>>")
NUMBER = r"([+-]?\d+(?:,\d{3})+(?:\.\d+)?|[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)"
OUTCOME = re.compile(
    rf"\b(get|gets|got|receive[ds]?|win|wins|won|gain(?:ed|s)?|earn(?:ed|s)?|obtain(?:ed|s)?|lose|loses|lost|reward of|"
    rf"(?:outcome|feedback|payoff)(?: is| was)?|pays?|paid)\b[^\w+-]*(?:a |an |the )?(?:reward of )?{NUMBER}",
    re.IGNORECASE,
)
NO_REWARD = re.compile(r"\b(?:no|not? (?:get|receive|win) (?:a|any)) (?:reward|points?|coins?|treasure|outcome)", re.I)
FORCED = re.compile(
    r"\b(?:instructed|asked|told|forced|required) to (?:press|choose|select|pick) (?:button |key )?(\w+)"
)
SECTION = re.compile(r"^\W*(?:game|block|session|environment|casino|round|problem|task)\W*\d+", re.IGNORECASE)
OPTIONS = re.compile(r"You choose repeatedly among \d+ options, by pressing (\w(?:, \w)*)\.")
MISSED = "You press nothing."
LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read_transcripts(table: Table) -> Table:
    """Converts a table whose column 'text' contains transcripts to one row per trial; returns other tables as they are.

    A number after a word such as 'get', 'win' or 'lose', before the next choice, is the feedback. A line such as
    'Game 2' begins a lifetime. 'You are instructed to press B' is a forced choice.

    Raises:
        MesascopeError: no choice is followed by a number.
    """
    import pandas as pd

    if "text" not in table.header or not any("<<" in str(t) for t in table.frame["text"].iloc[:5]):
        return table
    is_single = not {"participant", "experiment"} & set(table.header)
    rows: list[dict[str, Any]] = []
    for number, record in enumerate(table.frame.to_dict("records")):
        owner = (
            {"participant": number}
            if is_single
            else {k: record[k] for k in ("experiment", "participant") if k in record}
        )
        rows += [owner | trial for trial in _read_trials(str(record["text"]))]
    experiments = {str(row.get("experiment")) for row in rows}
    if len(experiments) > 1:
        problem = (
            f"{table.name} contains transcripts of {len(experiments)} experiments: {list_names(sorted(experiments))}."
        )
        raise MesascopeError(problem, "Type --where 'experiment == …' to read one of them.")
    has_feedback = any(row["reward"] is not None for row in rows)
    problem = f"{table.name} contains transcripts, and no choice in them is followed by a number after 'get' or 'win'."
    require(has_feedback, problem, "Give a table of the trials instead: a row needs a choice and its pay-off.")
    frame = pd.DataFrame(rows).drop(columns="experiment", errors="ignore")
    constant = [c for c in ("game", "forced") if len({row[c] for row in rows}) == 1]
    note = f"{count_noun(len(table.frame), 'transcript')} with choices marked by << >>."
    stated = {match[1] for text in table.frame["text"].tolist() for match in OPTIONS.finditer(f"{text}")}
    return replace(
        table,
        frame=frame.drop(columns=constant),
        row_word="row",
        first_row=0,
        notes=(*table.notes, note),
        options=tuple(stated.pop().split(", ")) if len(stated) == 1 else (),
    )


def _read_trials(text: str) -> Iterator[dict[str, Any]]:
    """Yields the trials of a transcript, in their order."""
    game, trial, pending = 0, 0, None
    for line in text.splitlines():
        if SECTION.match(line):
            game, trial = game + 1, 0
        marks = [(m.start(), m.end(), m[1], 0) for m in CHOICE.finditer(line)]
        marks += [(m.start(), m.end(), m[1], 1) for m in FORCED.finditer(line)]
        if line.strip() == MISSED:
            marks.append((0, len(line), "", 0))
        marks.sort()
        before = line[: marks[0][0]] if marks else line
        if pending is not None and pending["reward"] is None:
            pending["reward"] = _read_outcome(before)
        for place, (_, end, choice, forced) in enumerate(marks):
            if pending is not None:
                yield pending
            trial += 1
            after = line[end : marks[place + 1][0] if place + 1 < len(marks) else len(line)]
            pending = {"game": game, "trial": trial, "choice": choice, "reward": _read_outcome(after), "forced": forced}
    if pending is not None:
        yield pending


def _read_outcome(text: str) -> float | None:
    """Reads the feedback in a text that follows a choice; None if it tells of no outcome."""
    found = OUTCOME.search(text)
    if found is None:
        return 0.0 if NO_REWARD.search(text) else None
    value = float(found[2].replace(",", ""))
    return -abs(value) if found[1].lower().startswith(("lose", "lost")) and value else value


def write_transcripts(trials: xr.Dataset) -> list[dict[str, Any]]:
    """Writes trials as transcripts, one for each participant (or for each lifetime, if there are no participants).

    Raises:
        MesascopeError: trials have two stages or several steps, actions are real numbers, or there are more than 26
            choices.
    """
    if "second_action" in trials or "transition" in trials or int(trials.attrs.get("steps", 1)) > 1:
        raise MesascopeError(
            "Trials of two stages or several steps cannot be written as transcripts.", "Export them to .nc."
        )
    n_choices = int(trials.attrs.get("choices") or int(trials.action.max()) + 1)
    problem = "The actions are real numbers, or there are more than 26 choices."
    require(trials.attrs.get("actions") != "real" and n_choices <= len(LABELS), problem, "Export them to .nc.")
    intact = trials.sel(condition="intact")
    action, feedback = intact.action.values, intact.feedback.values
    forced = intact.forced.values if "forced" in intact else np.zeros_like(action)
    owners = intact.participant.values if "participant" in intact.coords else np.arange(len(action))
    labels = LABELS[:n_choices]
    intro = (
        f"You choose repeatedly among {n_choices} options, by pressing {', '.join(labels)}. Each choice pays points."
    )
    records = []
    for owner in np.unique(owners):
        lines = [intro]
        for game, i in enumerate(np.flatnonzero(owners == owner), 1):
            lines += ["", f"Game {game}."]
            last = int(np.flatnonzero(action[i] >= 0).max(initial=-1))
            for t in range(last + 1):
                paid = "" if np.isnan(feedback[i, t]) else f" and get {_format_exactly(feedback[i, t])} points"
                if action[i, t] < 0:
                    lines.append(MISSED)
                elif forced[i, t] == 1:
                    lines.append(f"You are instructed to press {labels[action[i, t]]}{paid}.")
                else:
                    lines.append(f"You press <<{labels[action[i, t]]}>>{paid}.")
        experiment = str(trials.attrs.get("subject", "log"))
        records.append({"text": "\n".join(lines), "experiment": experiment, "participant": str(owner)})
    return records


def _format_exactly(value: float) -> str:
    """Formats a number of single precision with as many digits as bring it back."""
    return np.format_float_positional(np.float32(value), trim="-")


def save_transcripts(trials: xr.Dataset, path: str | os.PathLike) -> Path:
    """Writes `write_transcripts(trials)` as JSON lines. No incomplete file is left.

    Raises:
        MesascopeError: the trials cannot be written as transcripts, or the file cannot be written.
    """
    records, path = write_transcripts(trials), Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_when_written(path) as part:
            part.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    except OSError as error:
        problem = f"{quote(path, 200)} cannot be written: {error.strerror or error}."
        raise MesascopeError(problem, "Name another file with --out.") from None
    return path
