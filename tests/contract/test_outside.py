"""A family, subject, condition, metric and recipe of another package: one file each, no edit elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mesascope import catalogue
from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError

HERE = Path(__file__).parent
SOUND = {
    "families": "lucky_lever",
    "subjects": "table",
    "conditions": "action_hidden",
    "metrics": "cost_of_hidden_action",
    "recipes": "tally",
}
BROKEN = {
    "families/overpaying": "a score at trial 0 is not between worst and best",
    "families/bankless": "With the bank 'bank:2@1' its bank is None",
    "subjects/overconfident": "Its probabilities sum to 1.5",
    "subjects/raising": "OverflowError: too wide",
    "subjects/trusting": "The setting 'trust' is reserved",
    "conditions/unsteady": "With the same seed, the disturbed actions differ when it runs a second time",
    "conditions/branching": "branching.py, line 10, raised TracerBoolConversionError: the code needs",
    "metrics/contradicting": "On the still (uniform on bernoulli_bandit:arms=3,trials=40",
    "recipes/restless": "With the same seed, a second training gives another network",
}
FAMILY = "lucky_lever:choices=3,trials=12"


@pytest.fixture(autouse=True)
def _installed(monkeypatch, tmp_path):
    """Both packages as if they were installed, for one test."""
    monkeypatch.syspath_prepend(HERE / "sound")
    monkeypatch.chdir(tmp_path)
    yield
    for name in [n for n in sys.modules if n.partition(".")[0] in ("outside_plugins", "broken_plugins")]:
        del sys.modules[name]


@pytest.fixture
def _broken(monkeypatch, _installed):
    monkeypatch.syspath_prepend(HERE / "broken")


def test_list_shows_each_with_its_settings(capsys):
    assert run_command(["list", "--json"]) == 0
    rows = {(row["kind"], row["name"]): row for row in json.loads(capsys.readouterr().out)}
    for kind, name in SOUND.items():
        assert rows[catalogue.KINDS[kind], name]["says"].endswith((".", "?"))
    assert rows["family", "lucky_lever"]["settings"] == {"choices": 4, "trials": 20, "bank": 0, "bank_seed": 0}
    assert run_command(["list"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in SOUND.values())


@pytest.mark.parametrize(("kind", "name"), SOUND.items())
def test_check_passes_on_each(kind, name, capsys):
    assert run_command(["check", f"{kind}/{name}"]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out == f"{kind}/{name} keeps its contract.\n"


@pytest.mark.usefixtures("_broken")
@pytest.mark.parametrize("plugin", BROKEN)
def test_check_fails_on_each_that_is_broken_and_says_why(plugin, capsys):
    assert run_command(["check", plugin, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["holds"] is False
    assert any(BROKEN[plugin] in way for way in told["broken"]), told["broken"]
    assert len(told["broken"]) <= 12


@pytest.mark.usefixtures("_broken")
def test_a_plugin_that_cannot_be_imported_or_is_claimed_twice(capsys):
    for plugin, cause in (
        ("families/unimportable", "ImportError: it needs a licence"),
        ("subjects/empty", "has no factory"),
        ("subjects/leaving", "leaving.py, line 5, would have ended the run: SystemExit"),
        (
            "subjects/windowed",
            "mesascope.worlds.bandits.subjects.windowed and broken_plugins.overconfident both define the subject",
        ),
    ):
        assert run_command(["check", plugin]) == 2
        told = capsys.readouterr()
        assert cause in told.err
        assert told.out == ""
    assert run_command(["list", "--json"]) == 0  # the others are still to be had
    rows = {row["name"]: row["says"] for row in json.loads(capsys.readouterr().out)}
    assert rows["unimportable"].startswith("broken: ") and rows["leaving"].startswith("broken: ")
    assert rows["uniform"].endswith(".")


@pytest.mark.slow  # a training and an examination; CI runs it
def test_train_examine_and_measure_again(capsys):
    trained = f"{FAMILY},bank=2"
    assert run_command(["train", "tally:updates=4", "--family", trained, "--out", "net"]) == 0
    network = capsys.readouterr().out.strip()
    assert network == "net/network.table.json"
    asked = ["--splits", "fresh,seen", "--metrics", "benefit,cost_of_hidden_action", "--lifetimes", "64"]
    assert run_command(["examine", network, "table:stay=0.9", "thompson", *asked, "--out", "run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["subjects"]
    assert [s["subject"] for s in found] == [f"table:path={network}", "table:stay=0.9", "thompson"]
    assert found[0]["family"] == f"{trained},bank_seed=0"
    assert found[0]["trained_on"] == "bank:2@0"
    cost = {s["subject"]: f for s in found for f in s["findings"] if f["metric"] == "cost_of_hidden_action"}
    assert cost["table:stay=0.9"]["low"] > 0
    assert cost["thompson"]["low"] > 0
    assert set(cost["thompson"]["controls"]) == {"learner", "lookalike", "still"}
    assert found[1]["placement"]["highest"] == "reactive"
    assert run_command(["measure", "run/trials.nc", "--out", "again"]) == 0


def test_the_same_in_python():
    import mesascope

    family = mesascope.make("families", FAMILY)
    subject = mesascope.make("subjects", "table:stay=0.5", family)
    condition = mesascope.make("conditions", "action_hidden:at=3")
    lived = mesascope.rollout(
        subject, family, lifetimes=7, conditions=[mesascope.make("conditions", "intact"), condition]
    )
    assert lived.sizes["lifetime"] == 7
    both = lived.action.values
    assert (both[0, :, :3] == both[1, :, :3]).all()
    assert (both[0] != both[1]).any()
    with pytest.raises(MesascopeError, match="There are no 99 levers"):
        mesascope.make("families", "lucky_lever:choices=99")
