"""Reads and writes transcripts as in Psych-101 and Psych-201: one text per participant, with choices as <<choice>>.

The format is that of Binz et al. 2025 (doi 10.1038/s41586-025-09215-4): JSON lines with `text`, `experiment` and
`participant`. A transcript contains only what a participant saw: no expected pay-offs, response times or groups.
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
from mesascope.logs.tables import Table, format_count, format_names, quote

CHOICE_PATTERN = re.compile(r"<<\s*(.*?)\s*>>")
NUMBER_PATTERN = r"([+-]?\d+(?:,\d{3})+(?:\.\d+)?|[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?)"
OUTCOME_PATTERN = re.compile(
    rf"\b(get|gets|got|receive[ds]?|win|wins|won|gain(?:ed|s)?|earn(?:ed|s)?|obtain(?:ed|s)?|lose|loses|lost|reward of|"
    rf"(?:outcome|feedback|payoff)(?: is| was)?|pays?|paid)\b[^\w+-]*(?:a |an |the )?(?:reward of )?{NUMBER_PATTERN}",
    re.IGNORECASE,
)
NO_REWARD_PATTERN = re.compile(
    r"\b(?:no|(?:not|n't) (?:receive|get|win|earn) (?:a|any)) (?:\w+ ){0,2}(?:reward|point|coin|treasure|outcome)",
    re.IGNORECASE,
)
REWARD_PATTERN = re.compile(
    r"\b(?:receive[ds]?|gets?|got|wins?|won|earn(?:ed|s)?) (?:an?|the) (?:\w+ ){0,2}(?:reward|point|coin|treasure)",
    re.IGNORECASE,
)
EACH_OPTION_PATTERN = re.compile(rf"\b(\w+)['\"]?,? (?:yields?|yielded|pays?|paid|gives?|gave) {NUMBER_PATTERN}")
FORCED_PATTERN = re.compile(
    r"\b(?:instructed|asked|told|forced|required) to (?:press|choose|select|pick) (?:button |key )?(\w+)"
)
SECTION_PATTERN = re.compile(
    r"^\W*((?:game|block|session|environment|casino|set|problem|task|stock market)\W*\d+)", re.IGNORECASE
)
STATE_PATTERN = re.compile(r"\b(?:state|planet|stage) (\w+)")
OPTIONS_PATTERN = re.compile(r"You choose repeatedly among \d+ options, by pressing (\w(?:, \w)*)\.")
MISSED_LINE = "You press nothing."
CHOICE_LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read_transcripts(table: Table) -> Table:
    """Converts a table whose column 'text' contains transcripts to one row per trial; returns other tables unchanged.

    The feedback is read from the text before the next choice: the number after a word such as 'get', 'win' or 'lose',
    or the number that the chosen option yields, or 1 for 'a reward' and 0 for 'no reward'. A line with a new heading
    such as 'Game 2' or 'Block 2' begins a lifetime. 'You are instructed to press B' is a forced choice. If a choice
    leads to a state instead of an outcome, the next choice is the second choice of the same trial.

    Raises:
        MesascopeError: no choice is followed by an outcome, or the transcripts are of several experiments.
    """
    import pandas as pd

    if "text" not in table.header or not any("<<" in str(t) for t in table.frame["text"].iloc[:5]):
        return table
    rows: list[dict[str, Any]] = []
    names: dict[str, list[list[str]]] = {}
    for number, record in enumerate(table.frame.to_dict("records")):
        owner = {"participant": number} | {str(k): v for k, v in record.items() if isinstance(v, (str, int, float))}
        trials = list(_read_trials(str(record["text"])))
        for part in ("choice", "second", "state"):
            names.setdefault(part, []).append(sorted({t[part] for t in trials if t[part]}))
        rows += [owner | {"text": "", "transcript": number} | trial for trial in trials]
    for part, by_transcript in names.items():
        # if transcripts use different labels for the same choices, the labels of each transcript are numbered
        if len(set().union(*by_transcript)) > max(map(len, by_transcript)):
            for row in rows:
                own = by_transcript[row["transcript"]]
                row[part] = f"{part} {own.index(row[part]) + 1}" if row[part] else row[part]
    experiments = {str(row.get("experiment")) for row in rows}
    if len(experiments) > 1:
        problem = (
            f"{table.name} contains transcripts of {len(experiments)} experiments: {format_names(sorted(experiments))}."
        )
        raise MesascopeError(problem, "Type --where 'experiment == …' to read one of them.")
    has_feedback = any(row["reward"] is not None for row in rows)
    problem = f"{table.name} contains transcripts, and no choice in them is followed by a number after 'get' or 'win'."
    require(has_feedback, problem, "Give a table of the trials instead: a row needs a choice and its pay-off.")
    frame = pd.DataFrame(rows).drop(columns=["experiment", "transcript"], errors="ignore")
    parts = ("text", "game", "forced", "state", "second", "counterfactual")
    constant = [c for c in parts if len({row[c] for row in rows}) == 1]
    note = f"{format_count(len(table.frame), 'transcript')} with choices marked by << >>."
    stated = {match[1] for text in table.frame["text"].tolist() for match in OPTIONS_PATTERN.finditer(f"{text}")}
    return replace(
        table,
        frame=frame.drop(columns=constant),
        row_word="row",
        row_offset=0,
        notes=(*table.notes, note),
        choice_names=tuple(stated.pop().split(", ")) if len(stated) == 1 else (),
    )


def _read_trials(text: str) -> Iterator[dict[str, Any]]:
    """Yields the trials of a transcript, in their order."""
    game, trial, label, pending = 0, 0, "", None
    for line in text.splitlines():
        section = SECTION_PATTERN.match(line)
        if section and section[1].casefold() != label:
            game, trial, label = game + 1, 0, section[1].casefold()
        marks = [(m.start(), m.end(), m[1], 0) for m in CHOICE_PATTERN.finditer(line)]
        marks += [(m.start(), m.end(), m[1], 1) for m in FORCED_PATTERN.finditer(line)]
        if line.strip() == MISSED_LINE:
            marks.append((0, len(line), "", 0))
        marks.sort()
        if pending is not None:
            _add_outcome(pending, line[: marks[0][0]] if marks else line)
        for place, (_, end, choice, forced) in enumerate(marks):
            if pending is not None and pending["reward"] is None and pending["state"] and not pending["second"]:
                pending["second"] = choice
            else:
                if pending is not None:
                    yield pending
                trial += 1
                pending = {"game": game, "trial": trial, "choice": choice, "reward": None, "forced": forced}
                pending |= {"state": None, "second": None, "counterfactual": None}
            _add_outcome(pending, line[end : marks[place + 1][0] if place + 1 < len(marks) else len(line)])
    if pending is not None:
        yield pending


def _add_outcome(trial: dict[str, Any], text: str) -> None:
    """Reads the text after a choice, and adds feedback, the other option's outcome or the next state to the trial."""
    if trial["reward"] is not None:
        return
    by_option = {m[1]: float(m[2].replace(",", "")) for m in EACH_OPTION_PATTERN.finditer(text)}
    if trial["choice"] in by_option:
        trial["reward"] = by_option.pop(trial["choice"])
        trial["counterfactual"] = next(iter(by_option.values()), None)
    elif found := OUTCOME_PATTERN.search(text):
        value = float(found[2].replace(",", ""))
        trial["reward"] = -abs(value) if found[1].lower().startswith(("lose", "lost")) and value else value
    elif NO_REWARD_PATTERN.search(text):
        trial["reward"] = 0.0
    elif REWARD_PATTERN.search(text):
        trial["reward"] = 1.0
    elif trial["second"] is None and (state := STATE_PATTERN.search(text)):
        trial["state"] = state[1]


def make_transcripts(trials: xr.Dataset) -> list[dict[str, Any]]:
    """Makes transcripts of trials, one for each participant (or for each lifetime, if there are no participants).

    A transcript is a dict with `text`, `experiment` and `participant`.

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
    require(trials.attrs.get("actions") != "real" and n_choices <= len(CHOICE_LABELS), problem, "Export them to .nc.")
    intact = trials.sel(condition="intact")
    action, feedback = intact.action.values, intact.feedback.values
    forced = intact.forced.values if "forced" in intact else np.zeros_like(action)
    owners = intact.participant.values if "participant" in intact.coords else np.arange(len(action))
    labels = CHOICE_LABELS[:n_choices]
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
                    lines.append(MISSED_LINE)
                elif forced[i, t] == 1:
                    lines.append(f"You are instructed to press {labels[action[i, t]]}{paid}.")
                else:
                    lines.append(f"You press <<{labels[action[i, t]]}>>{paid}.")
        experiment = str(trials.attrs.get("subject", "log"))
        records.append({"text": "\n".join(lines), "experiment": experiment, "participant": str(owner)})
    return records


def _format_exactly(value: float) -> str:
    """Formats a single-precision number with the fewest digits from which it can be read back exactly."""
    return np.format_float_positional(np.float32(value), trim="-")


def save_transcripts(trials: xr.Dataset, path: str | os.PathLike) -> Path:
    """Writes trials as transcripts to a file of JSON lines, and returns its path.

    If writing fails, no incomplete file is left.

    Raises:
        MesascopeError: the trials cannot be written as transcripts, or the file cannot be written.
    """
    records, path = make_transcripts(trials), Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_when_written(path) as part:
            part.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    except OSError as error:
        problem = f"{quote(path, 200)} cannot be written: {error.strerror or error}."
        raise MesascopeError(problem, "Name another file with --out.") from None
    return path
