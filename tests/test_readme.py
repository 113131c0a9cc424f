"""The README is true: its Python runs, its commands run, and what they print is what it shows."""

import contextlib
import io
import json
import re
from pathlib import Path

import pytest

from mesascope.cli.main import run

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.S)
COMMANDS = [
    (command.group(1), command.group(2))
    for kind, block in BLOCKS
    if kind == "console"
    for command in re.finditer(r"^\$ (.*?)\n(.*?)(?=^\$ |\Z)", block, re.S | re.M)
]


def same(shown: str, printed: str) -> None:
    """Words equal, numbers within .02 (the last digits differ between machines)."""
    numbers = re.compile(r"-?\d*\.\d+|-?\d+")
    assert numbers.sub("#", shown).split() == numbers.sub("#", printed).split()
    for one, other in zip(numbers.findall(shown), numbers.findall(printed), strict=True):
        assert float(one) == pytest.approx(float(other), abs=0.021)


def test_the_first_block_is_five_lines_and_prints_what_stands_below_it():
    (kind, code), (_, shown) = BLOCKS[:2]
    assert kind == "python"
    assert len([line for line in code.splitlines() if line.strip() and not line.startswith("import")]) <= 5
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README", "exec"), {})
    same(shown, out.getvalue())


@pytest.mark.parametrize("line", [c for c, _ in COMMANDS if c.startswith("mesascope")])
def test_commands_print_what_is_shown(line, tmp_path, monkeypatch, capsys):
    import shlex

    shown = dict(COMMANDS)[line]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert run(shlex.split(line)[1:]) == 0
    same(shown, capsys.readouterr().out)


def test_the_demo_placed_its_subjects_as_shown():
    findings = ROOT / "demo" / "findings.json"
    if not findings.is_file():
        pytest.skip("make demo has not been run here")
    told = json.loads(findings.read_text())["subjects"]
    shown = dict(COMMANDS)["make demo"]
    for subject in told:
        rows = [line for line in shown.splitlines() if "; gain " in line]
        row = next(line for line in rows if line.startswith(f"{subject['subject']}  "))
        ends = [subject["placement"][end] for end in ("lowest", "highest")]
        assert f"  {' … '.join(dict.fromkeys(ends))};" in row
        gain = next(f for f in subject["findings"] if f["metric"] == "performance" and f["split"] == "fresh")
        told_gain = float(re.search(r"gain (-?[\d.]+)", row).group(1))
        assert told_gain == pytest.approx(gain["estimate"], abs=0.021)
