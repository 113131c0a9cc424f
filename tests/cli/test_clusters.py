"""docs/clusters.md is true: its commands are accepted and print what the page says."""

import re
import shlex
from pathlib import Path

import pytest

from mesascope.cli import studies
from mesascope.cli.main import run_command

PAGE = (Path(__file__).parents[2] / "docs" / "clusters.md").read_text(encoding="utf-8")
BLOCKS = [block for text in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) for block in text.split("$ ")[1:]]
SHELL = [line.partition(" #")[0] for line in PAGE.splitlines() if line.startswith("mesascope ")]


@pytest.mark.parametrize("block", [*BLOCKS, *SHELL])
def test_a_command_is_accepted_and_prints_what_the_page_says(block, monkeypatch, capsys):
    command, _, output = block.partition("\n")
    calls = []
    monkeypatch.setattr("mesascope.reproduction.run.reproduce", lambda *a, **k: calls.append(k))
    monkeypatch.setattr("mesascope.validation.ladder.validate", lambda *a, **k: calls.append(k))
    monkeypatch.setattr(studies, "_show_folder", lambda *a: calls.append(a))
    assert run_command(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out == output and bool(calls) == (not output)
