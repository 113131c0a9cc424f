"""Names, columns and cells from anyone are shown, never run: no tag in the page, no escape in a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mesascope.cli.main import run_command

HERE = Path(__file__).parent
TAG = "<script>alert(1)</script>"
SHOWN = "&lt;script&gt;alert(1)&lt;/script&gt;"
OPTIONS = [
    "--family",
    "bernoulli_bandit:arms=3,trials=12",
    "--splits",
    "fresh",
    "--metrics",
    "benefit",
    "--lifetimes",
    "64",
]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("agents_under_test", None)


def steers(text):
    return [c for c in text if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160]


def shown(page):
    text = Path(page).read_text(encoding="utf-8")
    assert TAG not in text
    assert "<script" not in text.lower()
    assert not steers(text)
    return text


@pytest.mark.slow  # ten seconds; CI runs it
def test_a_subject_named_so(capsys):
    assert run_command(["examine", "agents_under_test:evil", "uniform", *OPTIONS, "--out", "run"]) == 0
    told = capsys.readouterr()
    assert SHOWN in shown("run/report.html")
    assert TAG.split("(")[0] in "".join(told.out.split())  # the terminal shows it as it is, the escape aside
    assert not steers(told.out + told.err)
    assert run_command(["report", "run", "--out", "again.html"]) == 0
    assert Path("again.html").read_bytes() == Path("run/report.html").read_bytes()
    assert run_command(["measure", "run/trials.nc", "--out", "again"]) == 0
    assert SHOWN in shown("again/report.html")
    assert not steers(capsys.readouterr().out)


def test_columns_cells_and_a_file_named_so(capsys):
    rows = [f"{TAG}{i},{t},{TAG if (i + t) % 2 else 'b'},{(i * t) % 2}" for i in range(4) for t in range(6)]
    head = f"participant,trial,\x1b[31m{TAG},reward"
    name = "<img src=x onerror=alert(1)>\x1b]0;title\x07.csv"
    Path(name).write_text("\n".join([head, *rows]) + "\n")
    assert run_command(["measure", name, "--columns", f"action=\x1b[31m{TAG}", "--out", "run"]) == 0
    told = capsys.readouterr()
    assert not steers(told.out + told.err)
    text = shown("run/report.html")
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_messages_name_them_without_running_them(capsys):
    for arguments in (
        ["examine", f"\x1b[31m{TAG}", *OPTIONS, "--out", "run"],
        ["measure", f"\x1b[31m{TAG}.csv"],
        ["report", "\x1b]0;title\x07"],
        ["check", "\x1b[2Jprobes"],
        ["list", "\x1b[2Jprobes"],
        ["\x1b[2J"],
    ):
        assert run_command(arguments) == 2
        told = capsys.readouterr()
        assert not steers(told.out + told.err)


def test_one_subject_on_one_split_says_nothing_on_the_side(capsys):
    assert run_command(["examine", "uniform", *OPTIONS, "--out", "run"]) == 0
    assert "Warning" not in capsys.readouterr().err
