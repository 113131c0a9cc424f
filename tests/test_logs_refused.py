"""Logs that are refused: each with its cause and its remedy in one message."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mesascope.errors import MesascopeError
from mesascope.formats import TRIALS_FORMAT
from mesascope.logs import read_log

FRAME = pd.DataFrame(
    [(1, 1, 2, 0.5), (1, 2, 1, 1.0), (1, 3, 3, -1.0), (7, 1, 1, 0.0), (7, 2, 2, 2.0)],
    columns=["participant", "trial", "choice", "reward"],
)
CSV = FRAME.to_csv(index=False)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def changed(row: int, **cells) -> pd.DataFrame:
    frame = FRAME.astype(object)
    for name, value in cells.items():
        frame.loc[row, name] = value
    return frame


def line(text: str) -> str:
    return CSV + text + "\n"


REFUSED = {
    "no file": ("nothing.csv", {}, "There is no file", "exists"),
    "a directory": (".", {}, "is a directory", "'other.csv'"),
    "nul in the name": ("a\0b.csv", {}, r"a\\x00b", "name|Name"),
    "a name too long": ("a" * 300 + ".csv", {}, "", "Check|exists"),
    "an empty file": (("a.csv", ""), {}, "is empty", "column names"),
    "blanks only": (("a.csv", " \n \n"), {}, "is empty", "column names"),
    "comments only": (("a.csv", "# a\n# b\n"), {}, "only comments", "column names"),
    "a header only": (("a.csv", "choice,reward\n"), {}, "no rows", "two trials"),
    "no rows in a frame": (FRAME.iloc[:0], {}, "no rows", "two trials"),
    "no lines of json": (("a.jsonl", "{}\n"), {}, "no column with a common name|no rows", "action|two trials"),
    "binary": (("a.csv", bytes(range(256)) * 9), {}, "binary", "csv"),
    "a workbook": (("a.csv", b"PK\x03\x04 and so on"), {}, "Excel", "Save"),
    "gzip": (("a.csv", b"\x1f\x8b\x08 and so on"), {}, "gzip", "gunzip"),
    "netcdf": (("a.nc", b"\x89HDF\r\n and so on"), {}, "HDF5", ".nc"),
    "no netcdf": (("a.nc", "hello"), {}, "not a netCDF", "mesascope wrote"),
    "an unknown ending": (("a.xyz", CSV), {}, "'.xyz'", "rename"),
    "no ending": (("a", CSV), {}, "nothing", "rename"),
    "a cut parquet": (("a.parquet", b"PAR1\x00\x01"), {}, "parquet", "pip install|Write it again"),
    "one huge line": (("a.csv", "choice,reward," + "x," * 600_000), {}, "longer than a megabyte", "line"),
    "one huge cell": (("a.csv", "choice,reward," + "x" * 200_000 + "\n1,2,3"), {}, "field larger", "column"),
    "utf-16 cut": (("a.csv", CSV.encode("utf-16")[:-1]), {}, "utf-16", "UTF-8"),
    "too many fields": (("a.csv", line("7,3,1,1,9")), {}, "line 7", "quote"),
    "too many at once": (("a.csv", "choice,reward\n1,2,3\n1,2\n"), {}, "more fields", "quote"),
    "an open quote": (("a.csv", line('7,3,1,"1')), {}, "string", "quote"),
    "a name twice": (("a.csv", CSV.replace("trial", "choice")), {}, "two columns named 'choice'", "own name"),
    "a name twice in a frame": (
        FRAME.set_axis(["x", "x", "choice", "reward"], axis=1), {}, "'x'", "own name",
    ),
    "levels of names": (pd.concat({"a": FRAME}, axis=1), {}, "2 levels", "one name"),
    "json that is none": (("a.jsonl", '{"choice": 1}\n{"choice": \n'), {}, "Line 2", "one object"),
    "json without object": (("a.jsonl", '{"choice": 1}\n[1, 2]\n'), {}, "Line 2.*list", "one object"),
    "two objects on a line": (("a.jsonl", '{"choice": 1},{"choice": 2}\n'), {}, "Line 1", "one object"),
    "deep json": (("a.jsonl", "[" * 100_000), {}, "Line 1", "one object"),
    "half a character": (
        ("a.jsonl", '{"choice": "\\ud800", "reward": 1}\n'), {}, "Line 1.*half", "Leave it out",
    ),
    "a list in a cell": (
        ("a.jsonl", '{"choice": 1, "reward": 1}\n{"choice": [1, 2], "reward": 1}'),
        {}, "line 2, column 'choice'", "one",
    ),
    "no action": (
        FRAME.drop(columns="choice"), {}, "the action.*'participant', 'trial', 'reward'", "action=NAME",
    ),
    "no feedback": (FRAME.drop(columns="reward"), {}, "for the feedback", "feedback=NAME"),
    "two actions": (FRAME.assign(response=[1, 1, 2, 2, 2]), {}, "'choice', 'response'", "action=choice"),
    "two feedbacks": (FRAME.assign(outcome=[1, 1, 1, 0, 0]), {}, "'outcome', 'reward'", "feedback=outcome"),
    "a column that is not there": (
        FRAME, {"columns": {"action": "chioce"}}, "no column 'chioce'", "'choice'",
    ),
    "a role that is not": (FRAME, {"columns": {"acton": "choice"}}, "'acton'", "action"),
    "turned round": (FRAME, {"columns": {"choice": "action"}}, "'choice'", "action=choice"),
    "claimed twice": (
        FRAME, {"columns": {"action": "choice", "trial": "choice"}}, "two roles", "one role",
    ),
    "two for one role": (FRAME, {"columns": {"action": ["choice", "trial"]}}, "2 columns", "Name one"),
    "one mean": (FRAME, {"columns": {"means": "trial"}}, "one column, 'trial'", "one column per choice"),
    "columns is a text": (FRAME, {"columns": "action=choice"}, "str", "a mapping of roles"),
    "choices is one": (FRAME, {"choices": 1}, "'1'", "from 2"),
    "choices is true": (FRAME, {"choices": True}, "'True'", "whole number"),
    "choices is a fraction": (FRAME, {"choices": 2.5}, "'2.5'", "whole number"),
    "fewer choices than there are": (FRAME, {"choices": 2}, "3 different choices", "Leave choices out"),
    "a fraction": (changed(1, choice=1.5), {}, "row 1 .*column 'choice'.*1.5", "action=NAME"),
    "an endless choice": (changed(1, choice=np.inf), {}, "row 1 .*column 'choice'.*inf", "Correct"),
    "a negative choice": (changed(2, choice=-4), {}, "row 2 .*column 'choice'.*-4", "leave missing"),
    "a name among numbers": (changed(3, choice="left"), {}, "row 3.*'left'.*numbers", "as names"),
    "a number among names": (
        FRAME.assign(choice=["a", "b", "a", 3, "b"]), {}, "row 3.*'3'.*names", "as names",
    ),
    "one choice": (FRAME.assign(choice=1), {}, "the same choice", "choices=2"),
    "no choice": (FRAME.assign(choice=np.nan), {}, "no choice", "action=NAME"),
    "missing codes only": (FRAME.assign(choice=[-1, -9, -1, -9, -99]),
        {}, "codes for missing", "action=NAME"),
    "too many choices": (
        pd.DataFrame({"choice": range(300), "reward": 1}), {}, "300 different", "action=NAME",
    ),
    "feedback that is not a number": (
        changed(2, reward="much"), {}, "row 2 .*column 'reward'.*'much'", "feedback=NAME",
    ),
    "thousands": (changed(2, reward="1,500"), {}, "'1,500'", "Correct"),
    "endless feedback": (changed(2, reward=np.inf), {}, "row 2 .*column 'reward'.*'inf'", "Empty"),
    "huge feedback": (changed(2, reward=-1e200), {}, "too large", "Empty"),
    "a date as feedback": (FRAME.assign(reward=pd.Timestamp("2020-01-01")), {}, "not a number", "feedback=NAME"),
    "a complex number": (FRAME.assign(reward=1j), {}, "not a number", "feedback=NAME"),
    "no feedback anywhere": (FRAME.assign(reward=np.nan), {}, "'reward' contains no feedback", "feedback=NAME"),
    "the same trial twice": (changed(2, trial=2), {}, "row 2 .*column 'trial'.*row 1", "lifetime=NAME"),
    "no participant": (
        FRAME.rename(columns={"participant": "x"}), {}, "no column names a participant", "'x'",
    ),
    "a negative trial": (changed(3, trial=-2), {}, "row 3 .*column 'trial'.*negative", "trial="),
    "half a trial": (changed(3, trial=1.5), {}, "row 3 .*column 'trial'.*whole", "trial="),
    "no trial number": (changed(3, trial=None), {}, "row 3 .*column 'trial'.*empty", "trial="),
    "a trial with a name": (changed(3, trial="first"), {}, "row 3.*'first'", "trial=NAME"),
    "nobody's trial": (
        changed(4, participant=None), {}, "row 4 .*column 'participant' is empty", "Fill it in",
    ),
    "one trial each": (FRAME.assign(participant=range(5)), {}, "one trial", "lifetime=NAME"),
    "one very long lifetime": (
        pd.DataFrame({
            "subject": np.r_[np.arange(60_000), np.zeros(60_000, int)],
            "choice": np.arange(120_000) % 2, "reward": 1,
        }), {}, "do not fit", "lifetime=NAME",
    ),
    "a flag that is none": (
        FRAME.assign(missed=[0, 0, 3, 0, 0]), {}, "row 2 .*column 'missed'.*'3'", "missed=",
    ),
    "a script": (
        changed(2, reward="<script>x</script>\x1b[2J"), {}, r"'<script>x</script>\\x1b\[2J'", "Correct",
    ),
    "a list": ([1, 2], {}, "from a list", "DataFrame"),
    "nothing": (None, {}, "from a NoneType", "DataFrame"),
    "a data set of other axes": (
        xr.Dataset({"choice": ("t", [1, 2]), "reward": (("t", "u"), np.ones((2, 2)))}), {}, "axes", "sel",
    ),
    "a data set without axes": (xr.Dataset({"choice": 1, "reward": 1}), {}, "no axes", "axes"),
    "an empty data set": (xr.Dataset(), {}, "the action", "action=NAME"),
    "trials that broke": (
        xr.Dataset({"action": ("x", [1])}, attrs={"format": TRIALS_FORMAT}), {}, "action", "feedback",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_logs_are_refused_with_cause_and_remedy(case, tmp_path):
    source, settings_, problem, remedy = REFUSED[case]
    write(tmp_path, "other.csv", CSV)
    if isinstance(source, tuple):
        source = write(tmp_path, *source)
    elif isinstance(source, str):
        source = f"{tmp_path}/{source}"
    with pytest.raises(MesascopeError) as caught:
        read_log(source, **settings_)
    error = caught.value
    assert re.search(problem, error.problem, re.S), str(error)
    assert re.search(remedy, error.remedy), str(error)
    assert str(error).isprintable(), str(error)
    assert error.__suppress_context__ or error.__context__ is None
