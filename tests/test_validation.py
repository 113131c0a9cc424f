"""The instrument over its known answers: three seeds here, twenty in `mesascope validate`."""

import json
import tomllib
from collections import Counter

import pytest

from mesascope import catalogue
from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.examination.checks import choose_check_family
from mesascope.questions.spectrum.ladder import LADDER
from mesascope.validation import ladder as validation
from mesascope.validation.coverage import (
    POOL_SIZE,
    RETENTION_SUBJECTS,
    SUBJECTS,
    Study,
    count_covered,
    list_calls,
    run_retention_studies,
    run_studies,
)

HELD_ELSEWHERE = ("dark_room", "pong", "tabular_mdp", "word_labels")  # by the tests of these families


@pytest.mark.slow  # a study of a minute and a half on two cores; CI runs it
def test_known_answers_are_read_right():
    """One test: what it reads is made once, whichever worker makes it."""
    found = validation.validate(quick=True)
    assert found["missed"] == []
    assert found["right"] >= 0.95
    assert found["wrong"] <= 0.01
    assert found["false_positives"] == 0 and found["runs"]["cannot acquire"] >= 3 * 13
    assert all(found["refused"].values()), found["refused"]
    assert "depends on" in found["refused"]["leaking"]


def test_every_scripted_subject_has_its_truth():
    told = tomllib.loads(validation.TRUTH_PATH.read_text())
    hostile = tomllib.loads(validation.HOSTILE_TRUTH_PATH.read_text())["subjects"]
    truths = validation.TRUTH_PATH.parents[1].glob("questions/*/axis.toml")
    axes = [tomllib.loads(p.read_text())["subjects"] for p in truths]
    rows = [row for table in (told["subjects"], hostile, *axes) for row in table.items()]
    named = {row.get("subject", name).partition(":")[0] for name, row in rows}
    there = {name: catalogue.import_plugin_module("subjects", name) for name in catalogue.list_names("subjects")}
    adapters = {"function", *(name for name, module in there.items() if hasattr(module, "can_open"))}
    others = {name for name in there if choose_check_family("subjects", name).partition(":")[0] in HELD_ELSEWHERE}
    others |= {"last_answer", "worth_locator", "transformers"}  # tests/subjects/test_lm_*.py, test_two_step.py
    assert named | set(told["refused"]) | adapters | others == set(there)
    assert {c.level for c in validation.list_cases()} == set(LADDER)


def reading(lowest, highest, direction="for"):
    level = lowest if lowest == highest else "undetermined"
    return validation.Reading(level, lowest, highest, direction)


@pytest.mark.parametrize(
    ("lowest", "highest", "direction", "verdict"),
    [
        ("acquiring", "acquiring", "for", "right"),
        ("locating", "acquiring", "for", "undetermined"),
        ("tracking", "acquiring", "none", "undetermined"),
        ("acquiring", "acquiring", "other", "wrong"),
        ("tracking", "tracking", "none", "wrong"),
        ("acquiring", "acquiring", "against", "wrong"),
    ],
)
def test_right_undetermined_and_wrong(lowest, highest, direction, verdict):
    case = validation.Case("x", "x", "acquiring", "for", True, "")
    assert validation.classify_placement(case, reading(lowest, highest, direction)) == verdict


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"parts": ["levels"]}, "no part 'levels'"), ({"quick": True, "parts": ["coverage"]}, "no studies of coverage")],
)
def test_parts_that_there_are_not(options, problem):
    with pytest.raises(MesascopeError, match=problem):
        validation.validate(**options)


def read_as_acquiring(group, seed, lifetimes):
    return [validation.Reading("acquiring", "acquiring", "acquiring", "for") for _ in group]


def test_parts_in_any_order_give_what_one_process_gives(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(validation, "_place_group", read_as_acquiring)
    monkeypatch.setattr(validation, "list_refusal_reasons", dict)
    settings = {"quick": True, "seeds": 2, "parts": ["placements"]}
    whole = validation.validate(**settings)
    assert validation.validate(**settings, folder=tmp_path, shard="2/2") is None
    state = validation.describe_folder(tmp_path)
    assert 0 < state["finished"] < state["units"] == state["finished"] + len(state["missing"])
    assert 0 < state["results"]["runs"]["all"] < whole["runs"]["all"]
    assert run_command(["status", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["missing"] == state["missing"]
    assert run_command(["status", str(tmp_path)]) == 0 and "missing: placements" in capsys.readouterr().out
    assert validation.validate(**settings, folder=tmp_path, shard="1/2") == whole
    with pytest.raises(MesascopeError, match=r"is the folder of the validation .*seeds=2.*, not of .*seeds=3"):
        validation.validate(quick=True, seeds=3, parts=["placements"], folder=tmp_path)
    assert run_command(["status", str(tmp_path / "nowhere")]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err


def test_coverage_counts_intervals_around_the_number_of_all_pools():
    def study(n, *interval, name="last_cues:window=4"):
        return Study(name, n, {"bits": interval})

    studies = [study(POOL_SIZE, 0.9, 0, 2), study(POOL_SIZE, 1.1, 0, 2)]  # the truth is 1
    studies += [study(64, 0, 0.5, 1.5), study(64, 0, 1.1, 1.3), study(64, 0, 0.2, 0.8), study(64, 0, 0.9, 1.9)]
    (row,) = count_covered(studies)
    assert row.pop("half_width") == pytest.approx(0.35)
    assert row == {
        "study": "bits of last_cues:window=4", "n": 64, "studies": 4, "truth": pytest.approx(1), "covered": 0.5,
        "above": 0.25, "null": True,
    }  # fmt: skip
    assert count_covered([study(64, 0, 3, 4)])[0]["covered"] == 0  # the pool is not finished


def test_coverage_is_asked_for_every_subject_and_pool_once():
    calls = list_calls(100, n_studies=200)
    asked = Counter((function, *name, seed) for function, seeds, *name in calls for seed in seeds)
    assert set(asked.values()) == {1} and {seed for *_, seed in asked} == set(range(100, 125))
    assert len(asked) == 25 * (1 + len(SUBJECTS))


@pytest.mark.slow  # some fifteen seconds; CI runs it
def test_coverage_of_one_pool_is_near_its_level():
    rows = count_covered([*run_studies([3], "associator"), *run_retention_studies([3])])
    small = [row for row in rows if row["n"] == 64]
    assert {row["studies"] for row in small} == {32} and len(small) == 6 + 2 * len(RETENTION_SUBJECTS)
    assert all(row["covered"] > 0.75 for row in small), small  # below .75 in one of 10,000 with a level of .95
