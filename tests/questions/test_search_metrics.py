"""Metrics of search: curves by ticks, look-ahead, the first act after a change, a planner against its clone."""

from __future__ import annotations

import numpy as np
import pytest

from mesascope import catalogue
from mesascope.contracts import ActionConsequences
from mesascope.errors import MesascopeError
from mesascope.examination.logged import measure
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.search.look_ahead import _bin_depths
from mesascope.questions.search.reading import count_correct_by_depth, count_followed_changes, find_correct_actions
from mesascope.reporting import page
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout

TREES = "tree_choice:bank=8,bank_seed=3"
METRICS = ("success_by_ticks", "look_ahead", "revaluation", "planner_agreement")


def found(subject, settings=TREES, splits=("fresh", "revalued:worth", "revalued:map"), lifetimes=128):
    """Every finding of the metrics by name and split."""
    family = catalogue.make("families", settings)
    made = catalogue.make("subjects", subject, family)
    asked = catalogue.make("axes", "search").list_conditions(family)
    lived = {
        r: rollout(made, family, r, lifetimes, 5, conditions=asked, should_keep_log_probs=False)
        for r in splits
        if r in family.split_names
    }
    metrics = [catalogue.make("metrics", name) for name in METRICS]
    return {(f.metric, f.split): f for f in apply_metrics(metrics, lived, replay=Replays(made))}


@pytest.mark.slow  # test_search_axis.py reads planners and their clones in each run
def test_a_planner_looks_farther_with_ticks_and_goes_with_changes_and_not_with_its_clone():
    planner = found("value_iteration")
    assert planner["look_ahead: 3 steps ahead", "fresh"].high < 0.65
    assert planner["look_ahead: 3 steps ahead, 8 ticks", "fresh"].estimate == 1.0
    assert planner["look_ahead: 3 steps ahead", "fresh"].null == 0.5
    gain = planner["success_by_ticks: 8 ticks less 1, first trial", "fresh"]
    assert gain.low > 0.3
    each = [planner[f"success_by_ticks: {n}, first trial", "fresh"].estimate for n in ("1 tick", "8 ticks")]
    assert gain.estimate == pytest.approx(each[1] - each[0])
    for split in ("revalued:worth", "revalued:map"):
        assert planner["revaluation: first act, 8 ticks", split].estimate == pytest.approx(1.0)
    clone = found("tree_clone", lifetimes=512)
    assert clone["planner_agreement", "fresh"].estimate == 0.0
    assert planner["planner_agreement", "fresh"].low > 0.6
    assert clone["look_ahead: 3 steps ahead, 8 ticks", "fresh"].high < 0.65
    flat = clone["success_by_ticks: 8 ticks less 1", "fresh"]
    assert flat.is_exact and flat.estimate == 0.0
    stays = [f for (name, _), f in clone.items() if name.startswith("revaluation")]
    assert stays and all(f.high < 0.4 for f in stays)


def test_sums_gain_by_ticks_and_nothing_is_looked_ahead_for():
    sums = found("running_sums", "prefix_sums", ("fresh",))
    assert sums["success_by_ticks: 8 ticks less 1", "fresh"].low > 0.1
    assert "no goal to pursue" in sums["look_ahead", "fresh"].reason
    assert sums["planner_agreement", "fresh"].status == "does not apply"


def plan(action, values, before, far=2):
    """The consequences of actions in one lifetime of trials of one choice."""
    action, values, before = np.array([action])[..., None], np.array([values])[:, :, None], np.array([before])
    shown = np.ones(action.shape[:2], bool)
    return ActionConsequences(action, values, before[:, :, None], shown, np.full(action.shape, far), 9, True)


def test_counted_at_a_change_are_acts_that_were_right_and_now_are_wrong():
    one, two = [1.0, 0.0], [0.0, 1.0]
    known = [[np.nan] * 2, one, one]
    assert count_followed_changes(plan([0, 0, 1], [one, one, two], known), 2) == (1, 1)
    assert count_followed_changes(plan([0, 0, 0], [one, one, two], known), 2) == (0, 1)
    assert count_followed_changes(plan([0, 1, 1], [one, one, two], known), 2) == (0, 0)  # was not right
    assert count_followed_changes(plan([0, 0, 1], [one, one, one], known), 2) == (0, 0)  # nothing changed
    assert count_followed_changes(plan([0, 0, 1], [one, one, two], known, far=1), 2) == (0, 0)  # the next step shows it
    assert count_followed_changes(plan([0, 0, 1], [one, one, two], known), 2, max_depth=1) == (0, 0)


def test_acts_are_right_where_none_is_better_and_asked_where_they_differ():
    right, asked = find_correct_actions(plan([0, 1, -1], [[1.0, 1.0], [1.0, 0.0], [1.0, 0.0]], np.zeros((3, 2))))
    assert right[0, :2, 0].tolist() == [True, False] and asked[0, :, 0].tolist() == [False, True, False]
    counted = count_correct_by_depth(plan([1], [[1.0, 0.0]], np.zeros((1, 2)), far=19))
    assert list(_bin_depths(counted)) == ["17 to 32 steps"] and counted[19] == (0, 1)
    assert [next(iter(_bin_depths({f: counted[19]}))) for f in (1, 8, 9, 16, 33)] == [
        *("1 step", "8 steps", "9 to 16 steps", "9 to 16 steps", "33 to 64 steps")
    ]


@pytest.mark.parametrize("ticks", ["", "1", "8+", "2+129", "many"])
def test_ticks_that_are_no_numbers(ticks):
    with pytest.raises(MesascopeError, match="joined by"):
        catalogue.make("metrics", f"success_by_ticks:ticks={ticks}")


CURVE_SPLIT = """agent,steps,success,n
deep,0,.766,1000
deep,4,.806,1000
deep,8,.811,1000
flat,8,0.5,200
flat,0,0.5,100
"""


def test_curves_that_others_logged(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text(CURVE_SPLIT)
    logs = measure(path)
    notes = logs[0].notes
    assert [e.subject for e in logs] == ["deep", "flat"] and any("independent samples" in n for n in notes)
    told = {f.metric.partition(": ")[2]: f for f in logs[0].answers if f.status == "measured"}
    assert list(told) == ["0 steps", "4 steps", "8 steps", "8 steps less 0"]
    gain = told["8 steps less 0"]
    assert gain.estimate == pytest.approx(0.045, abs=1e-6) and gain.unit == "problem"
    by_hand = 1.96 * np.sqrt(0.766 * 0.234 / 1000 + 0.811 * 0.189 / 1000)
    assert (gain.high - gain.low) / 2 == pytest.approx(by_hand, rel=0.01)
    flat = {f.metric.partition(": ")[2]: f for f in logs[1].answers if f.status == "measured"}
    assert flat["8 steps"].n == 200 and flat["8 steps less 0"].estimate == 0 and flat["8 steps less 0"].p > 0.99
    assert not [f for e in logs for f in e.answers if f.status == "failed"]
    shown = page.render_page(logs, "mesascope measure curve.csv")
    assert "What was done, as logged" in shown and "8 steps less 0" in shown


def test_counts_of_solved_problems_and_columns_of_other_names(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("pauses;won;of\n0;3;7\n5;6;7\n")
    log = measure(path, columns={"steps": "pauses", "success": "won", "n": "of"})
    told = {f.metric.partition(": ")[2]: f.estimate for f in log.answers if f.status == "measured"}
    assert told["5 steps less 0"] == pytest.approx(3 / 7)


def test_names_say_whether_ones_are_shares_or_counts(tmp_path):
    path = tmp_path / "ones.csv"
    for name, share in (("success_rate", 1.0), ("successes", 0.01)):
        path.write_text(f"steps,{name},n\n1,0,100\n2,1,100\n")
        log = measure(path)
        told = {f.metric.partition(": ")[2]: f.estimate for f in log.answers if f.status == "measured"}
        assert told["2 steps"] == pytest.approx(share)


def test_points_of_the_same_steps_are_said_and_a_choice_log_is_no_curve(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("steps,success,n\n1,.2,10\n1,.9,10\n2,.5,10\n")
    assert any(note.startswith("1 row with steps that the curve already has") for note in measure(path).notes)
    path.write_text("agent,steps,success,n\na,1,.2,10\n,2,.9,10\n")
    with pytest.raises(MesascopeError, match="does not name a curve"):
        measure(path)
    path.write_text("steps,success\n1,.2\n")
    with pytest.raises(MesascopeError, match="no number of problems"):
        measure(path)
    rows = [f"{i},{t},{t % 2},{i % 2},1,1,3" for i in range(3) for t in range(9)]
    path.write_text("participant,trial,action,reward,steps,success,n\n" + "\n".join(rows) + "\n")
    assert [lived.sizes["trial"] for lived in measure(path).trials.values()] == [9]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0,1.4,10\n", "neither a share"),
        ("0,3,2\n4,1,2\n", "count up to 2"),
        ("0.5,1,10\n", "not a whole number"),
        ("0,.5,0\n", "not a whole number from 1"),
        ("0,,10\n", "neither a share"),
        ("1,1,100\n2,0,100\n", "contains only 0 and 1, which could be shares or counts"),
        ("1e20,.5,10\n", "to 1,000,000,000"),
        ("1,.5,1e20\n", "to 1,000,000,000"),
    ],
)
def test_curves_that_cannot_be(tmp_path, rows, said):
    path = tmp_path / "curve.csv"
    path.write_text("steps,success,n\n" + rows)
    with pytest.raises(MesascopeError, match=said):
        measure(path)
