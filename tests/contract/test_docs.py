"""The files of docs/adding.md, put into a package of one's own, pass `check` as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mesascope import catalogue, rollout
from mesascope.cli.main import run_command

TEXT = (Path(__file__).parents[2] / "docs" / "adding.md").read_text(encoding="utf-8")
WRITTEN = {
    "metrics": ("repetition", "A metric"),
    "subjects": ("stubborn", "A subject"),
    "conditions": ("deaf", "A condition"),
    "families": ("lucky_arm", "A family"),
}


@pytest.fixture(autouse=True)
def _package(monkeypatch, tmp_path):
    """A package `mine` with one file per kind, as if it were installed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    points = []
    for kind, (name, heading) in WRITTEN.items():
        (block,) = re.findall(rf"^## {heading}\n.*?```python\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)
        (tmp_path / "mine" / f"{name}.py").write_text(block)
        points.append(f"[mesascope.{kind}]\n{name} = mine.{name}\n")
    (tmp_path / "mine-1.0.dist-info").mkdir()
    (tmp_path / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (tmp_path / "mine-1.0.dist-info" / "entry_points.txt").write_text("".join(points))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("kind", WRITTEN)
def test_each_keeps_its_contract(kind, capsys):
    name = WRITTEN[kind][0]
    assert run_command(["check", f"{kind}/{name}"]) == 0, capsys.readouterr().out


def test_a_family_of_four_methods_knows_chance_worst_and_fixed():
    home = catalogue.make("families", "lucky_arm:arms=4,trials=6")
    assert home.split_names == ("fresh", "shifted:last") and home.bank_label is None and home.with_bank(None) is home
    lived = rollout(catalogue.make("subjects", "uniform", home), home, lifetimes=8)
    assert (lived.best == 0.8).all() and (lived.worst == 0.2).all() and lived.chance.values == pytest.approx(0.35)
    assert {round(float(x), 1) for x in lived.fixed.values.ravel()} == {0.2, 0.8}  # one act for all


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        (["subjects/stubborn", "--family", "lucky_arm:trials=6"], 0, "keeps its contract"),
        (["conditions/deaf", "--family", "lucky_arm"], 0, "keeps its contract"),
        (["metrics/repetition", "--family", "lucky_arm"], 0, "keeps its contract"),
        (["families/lucky_arm", "--family", "lucky_arm"], 2, "Leave out --family"),
        (["metrics/repetitions"], 2, "once the package is installed: pip install -e ."),
    ],
)
def test_a_plugin_is_tried_on_a_family_of_ones_own(command, status, told, capsys):
    assert run_command(["check", *command]) == status
    said = capsys.readouterr()
    assert told in said.out + said.err


def test_what_was_not_tried_is_said(capsys):
    assert run_command(["check", "metrics/goal_return", "--family", "lucky_arm"]) == 0
    told = capsys.readouterr().out
    assert "keeps its contract, as far as it was tried:" in told and "applies to none of the controls" in told
    assert run_command(["check", "condition/observation_swapped", "--family", "lucky_arm"]) in (0, 1)
    told = capsys.readouterr().out
    assert "observation_swapped" in told and ("changes no action of thompson" in told or "does not apply" in told)
