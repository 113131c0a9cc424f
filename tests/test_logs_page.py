"""The page on logs is true: its commands run and print what it shows, and so does its Python."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest

from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.logs.columns import ALIASES, FALLBACK_ALIASES, NUMBERED_COLUMN_PATTERNS, normalise_name
from mesascope.logs.sets import import_data_set

TEXT = (Path(__file__).parents[1] / "docs" / "logs.md").read_text(encoding="utf-8")
COMMANDS = [(found[1], found[2]) for found in re.finditer(r"```console\n\$ (.*?)\n(.*?)```", TEXT, re.S) if found[1]]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the files of the page, which is the user's home too."""
    for name, body in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", TEXT, re.S):
        (tmp_path / name).write_text(body, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return tmp_path


def same(shown: str, printed: str) -> None:
    """Words equal, numbers within .02 or a fiftieth (the last digits differ between machines)."""
    number = re.compile(r"-?\d*\.\d+|-?\d+")
    assert number.sub("#", shown).split() == number.sub("#", printed).split()
    for one, other in zip(number.findall(shown), number.findall(printed), strict=True):
        assert float(one) == pytest.approx(float(other), abs=0.021, rel=0.02)


SLOW_LOGS = ("hbayesdm_ts", "cpm_bandit_small")  # ten seconds each; CI runs them


@pytest.mark.parametrize(
    ("line", "shown"),
    [pytest.param(*c, marks=[pytest.mark.slow] * any(n in c[0] for n in SLOW_LOGS)) for c in COMMANDS],
    ids=[line[10:70] for line, _ in COMMANDS],
)
def test_commands_print_what_is_shown(line, shown, here, capsys):
    words = [str(here / w[2:]) if w.startswith("~/") else w for w in shlex.split(line)]
    source = re.search(r"(hbayesdm|cpm)[:_](\w+)", line)
    if source:
        try:
            import_data_set(f"{source[1]}:{source[2]}")
        except MesascopeError as error:
            pytest.skip(str(error))
    assert run_command(words[1:]) == 0
    printed = capsys.readouterr()
    same(shown, printed.out)
    said = re.search(r"standard error.*?```text\n(.*?)```", TEXT, re.S)
    if "measure" in line and "_ts" in line and said:
        assert said[1].split() == printed.err.split()


def test_the_python_prints_what_is_shown(here):
    code, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.S).groups()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "logs.md", "exec"), {})
    same(shown, out.getvalue())


def test_the_names_of_columns_are_known():
    rows = re.findall(r"^\| ([a-z ,]+?) \| .*? \| (.*?) \|$", TEXT, re.M)[1:]
    known = {name for names in (*ALIASES.values(), *FALLBACK_ALIASES.values()) for name in names}
    for roles, names in rows:
        for role in re.split(r", (?:or )?| or | and ", roles):
            assert role in {*ALIASES, *NUMBERED_COLUMN_PATTERNS, "offered"}, role
        for name in re.findall(r"`([\w ]+)`", names):
            side = name.startswith("arm_")
            assert (
                side
                or normalise_name(name) in known
                or any(re.fullmatch(rf"{p}\d+", normalise_name(name)) for p in NUMBERED_COLUMN_PATTERNS.values())
            )
