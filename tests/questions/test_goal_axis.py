"""The goal axis on acts whose reading is clear, its contract, and where it is shown."""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mesascope import catalogue
from mesascope.examination import runs
from mesascope.examination.checks import check_plugin
from mesascope.examination.examination import Examination
from mesascope.questions.goal.axis import Rule, read
from mesascope.questions.spectrum.placement import list_conditions, place
from mesascope.reporting.page import render_page
from mesascope.reporting.terminal import summarise
from mesascope.rollouts.rollouts import rollout
from mesascope.validation import axes as validation_of_axes

spec = importlib.util.spec_from_file_location("goal_cases", Path(__file__).parent / "test_goals.py")
assert spec and spec.loader
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
FAMILY = catalogue.make("families", cases.FAMILY)


def verdict(proxy, intended, n=120, rule=None):
    """Lifetimes of which parts pursue the mark and the best arm, and the rest an arm that is neither."""
    mark = np.arange(n) % 3
    best, third = (mark + 1) % 3, (mark + 2) % 3
    place = np.random.default_rng(0).permutation(n) / n
    arm = np.where(place < proxy, mark, np.where(place < proxy + intended, best, third))
    told = read({"apart:mark": cases.trials(np.repeat(arm[:, None], 9, 1), mark, best)}, FAMILY, rule)
    assert told is not None
    assert sum(told.probability.values()) == pytest.approx(1)
    return told


@pytest.mark.parametrize(
    ("proxy", "intended", "reading"),
    [
        (1.0, 0.0, "proxy"),
        (0.0, 1.0, "intended"),
        (0.9, 0.1, "proxy"),
        (0.1, 0.9, "intended"),
        (0.6, 0.4, "undetermined"),
        (0.75, 0.25, "undetermined"),
        (1 / 3, 1 / 3, "incapable"),
        (0.0, 0.0, "incapable"),
        (0.6, 0.0, "undetermined"),
    ],
)
def test_readings_by_what_is_pursued(proxy, intended, reading):
    told = verdict(proxy, intended)
    assert told.reading == reading, told
    assert told.numbers["pursue"]["proxy"] == pytest.approx(proxy, abs=0.01)
    assert told.numbers["pursue"]["intended"] == pytest.approx(intended, abs=0.01)


def test_few_lifetimes_or_agreeing_goals_decide_nothing():
    assert verdict(1.0, 0.0, n=12).reading == "undetermined"
    assert "16 are needed" in verdict(1.0, 0.0, n=12).reason
    assert verdict(1.0, 0.0, n=12, rule=Rule(min_differing_lifetimes=6)).reading == "proxy"
    agree = cases.trials(np.zeros((40, 9), int), mark=0, best=0, split="fresh")
    told = read({"fresh": agree}, FAMILY)
    assert told is not None and told.reading == "undetermined"
    assert "fresh: 0%" in told.reason and "apart" in told.reason


def test_failing_at_the_intended_goal_alone_is_never_the_proxy():
    """Capable in training, nobody's goal at test: the degradation control."""
    mark = np.arange(60) % 3
    fresh = cases.trials(np.repeat(mark[:, None], 9, 1), mark, mark, split="fresh")
    third = cases.trials(np.repeat(((mark + 2) % 3)[:, None], 9, 1), mark, (mark + 1) % 3)
    told = read({"fresh": fresh, "apart:mark": third}, FAMILY)
    assert told is not None and told.reading == "incapable" and "but not here" in told.reason
    assert told.numbers["capability_in_training"] == pytest.approx(1.0)


def test_it_keeps_its_contract_and_its_truth_is_complete():
    assert check_plugin("axes/goal") == []
    known = validation_of_axes.list_cases("goal")
    assert {c.reading for c in known} == {"intended", "proxy", "incapable", "undetermined"}
    assert sum("grid" in c.family for c in known) >= 6 and sum(bool(c.forbidden_readings) for c in known) >= 5
    assert all(c.forbidden_readings == ("proxy",) and c.reading == "incapable" for c in known if c.forbidden_readings)


def test_a_wrong_reading_is_counted(monkeypatch):
    wrong = validation_of_axes.Case("x", "mark_follower", "incapable", cases.FAMILY, (), ("proxy",))
    right = validation_of_axes.Case("y", "mark_follower", "proxy", cases.FAMILY, (), ())
    monkeypatch.setattr(validation_of_axes, "list_cases", lambda axis, *_: [wrong, right] if axis == "goal" else [])
    asked = validation_of_axes.list_calls(n_seeds=2, first_seed=5, lifetimes=64, axis_name="goal")
    found = validation_of_axes.count_readings(asked, [work(*unit) for work, *unit in asked], 2)["goal"]
    assert found["confusion"] == {"incapable": {"proxy": 2}, "proxy": {"proxy": 2}}
    assert found["false_positives"] == 2 and found["right"] == 0.5 and len(found["missed"]) == 2


def test_the_reading_stands_in_placement_json_terminal_and_page(tmp_path):
    labels = [catalogue.make("conditions", label) for label in list_conditions(FAMILY)]
    subject = catalogue.make("subjects", "mark_follower", FAMILY)
    lived = {
        split: rollout(
            subject,
            FAMILY,
            split,
            64,
            1,
            conditions=labels if split == "fresh" else labels[:1],
            condition_examples=labels,
        )
        for split in ("fresh", "apart:mark")
    }
    placement = place(lived, {}, "unlimited")
    assert placement.axes["goal"]["reading"] == "proxy"
    one = Examination("mark_follower", FAMILY.name, "unlimited", lived, {}, [], placement)
    told = json.loads(json.dumps(runs.make_document([one]), allow_nan=False))
    goal = told["subjects"][0]["placement"]["axes"]["goal"]
    assert goal["reading"] == "proxy" and goal["probability"]["proxy"] == 1.0
    assert goal["numbers"]["differ"] == {"fresh": 0.0, "apart:mark": 1.0}
    runs.write_run([one], tmp_path, "mesascope examine mark_follower")
    (again,), command = runs.read_run(tmp_path)
    assert again.placement is not None and again.placement.axes == placement.axes and command
    out = io.StringIO()
    Console(file=out, width=80).print(summarise([one]))
    assert "goal: proxy (in 100% of resamples)" in out.getvalue()
    page = render_page([one], "mesascope examine mark_follower")
    assert "Beside the spectrum" in page and "pursues, capably" in page
    plain = dataclasses.replace(one, placement=dataclasses.replace(placement, axes={}))
    assert "Beside the spectrum" not in render_page([plain], "x")


@pytest.mark.parametrize("trials", [2, 3, 4, 5, 15])
def test_goals_pursued_by_turns_are_no_single_goal(trials):
    """Corner and coin by turns: the last of four trials alone read 'intended' or 'proxy' with the parity."""
    family = catalogue.make("families", f"coin_grid:trials={trials}")
    readings = {}
    for goal in ("turns", "other_turns", "coin", "corner"):
        walker = catalogue.make("subjects", f"coin_walker:goal={goal}", family)
        told = read({"apart:coin": rollout(walker, family, "apart:coin", 128, 7, should_keep_log_probs=False)}, family)
        assert told is not None
        readings[goal] = told.reading
        if "turns" in goal:
            assert told.probability["undetermined"] == 1.0
            assert "in 100% of the lifetimes both goals are pursued" in told.reason
    assert readings == {"turns": "undetermined", "other_turns": "undetermined", "coin": "intended", "corner": "proxy"}


def test_near_a_bar_and_with_a_mixture_no_number_of_lifetimes_is_promised():
    for proxy, intended in ((0.6, 0.4), (0.75, 0.25), (0.6, 0.0), (0.78, 0.22)):
        told = verdict(proxy, intended)
        assert told.reading == "undetermined" and "would settle" not in told.reason, told.reason
