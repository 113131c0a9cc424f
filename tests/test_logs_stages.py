"""Logs of two-step trials, and of choices among what a screen offered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mesascope.errors import MesascopeError
from mesascope.examination.logged import measure
from mesascope.logs import read_log, renumber_participants

# first choice, second choice, reward: the states are 0 (choices 1, 2) and 1 (choices 3, 4)
LIVES = {
    "z9": [(1, 1, 1), (1, 3, 0), (2, 4, 1), (2, 3, 1), (1, 2, 0), (1, 1, 0), (2, 1, 0)],
    "z10": [(2, 4, 0), (2, 3, 1), (1, 1, 1), (1, 2, 0), (2, 3, 1)],
}
ROWS = [(who, t + 1, *told) for who, life in LIVES.items() for t, told in enumerate(life)]
FRAME = pd.DataFrame(ROWS, columns=["subject", "trial", "level1_choice", "level2_choice", "reward"])
COMMON = [[1, 0, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, -1, -1]]


def said(notes, *words):
    assert any(all(w in note for w in words) for note in notes), notes


def test_the_second_stage_is_read_beside_the_first():
    data, notes = read_log(FRAME)
    assert data.action.values[0].tolist() == [[0, 0, 1, 1, 0, 0, 1], [1, 1, 0, 0, 1, -1, -1]]
    assert data.second_action.values[0].tolist() == [[0, 2, 3, 2, 1, 0, 0], [3, 2, 0, 1, 2, -1, -1]]
    assert data.second_state.values[0].tolist() == [[0, 1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 1, -1, -1]]
    assert data.transition.values[0].tolist() == COMMON
    assert data.transition.dims == ("condition", "lifetime", "trial")
    assert data.attrs["choices"] == 2
    said(notes, "two stages")
    said(notes, "choice 0 → state 0 (5 of 6)", "choice 1 → state 1 (5 of 6)")
    said(notes, "Common transitions: 0.833 of 12 trials")
    assert not any("not read" in n for n in notes)


@pytest.mark.parametrize(
    ("names", "cells"),
    [
        (["choice_1", "choice_2"], {}),
        (["first choice", "stage2choice"], {}),
        (["action", "second_action"], {}),
        (["choice1", "response2"], {"response2": lambda x: "abcd"[x - 1]}),
    ],
)
def test_other_names_of_the_stages(names, cells):
    frame = FRAME.set_axis(["subject", "trial", *names, "reward"], axis=1)
    for column, name in cells.items():
        frame[column] = frame[column].map(name)
    np.testing.assert_array_equal(read_log(frame)[0].transition.values[0], COMMON)


def test_states_and_transitions_as_columns():
    flat = [c for row in COMMON for c in row if c >= 0]
    bare = FRAME.drop(columns="level2_choice")
    assert "transition" not in read_log(bare)[0]
    words = bare.assign(transition=["common" if c else "Uncommon" for c in flat])
    flags = bare.assign(is_common=flat)
    rarely = bare.assign(rare=[1 - c for c in flat])
    often = bare.assign(transition=[2 - c for c in flat])  # 1 and 2, of which 1 is it is more frequent
    planets = bare.assign(planet=["earth" if c < 3 else "moon" for c in FRAME.level2_choice])
    for frame, columns in ((words, {}), (flags, {}), (rarely, {}), (often, {}), (planets, {"state": "planet"})):
        data, notes = read_log(frame, columns=columns)
        np.testing.assert_array_equal(data.transition.values[0], COMMON, err_msg=str(notes))
    said(read_log(often)[1], "it is more frequent")
    sides = FRAME.assign(level2_choice=[1, 2] * 6, state=["x" if c < 3 else "y" for c in FRAME.level2_choice])
    data, _ = read_log(sides)
    np.testing.assert_array_equal(data.transition.values[0], COMMON)
    assert data.second_action.values[0, 1].tolist() == [1, 0, 1, 0, 1, -1, -1]


def test_missed_trials_have_no_second_stage():
    frame = FRAME.astype({"level1_choice": float, "level2_choice": float})
    frame.loc[2, ["level1_choice", "level2_choice"]] = np.nan
    frame.loc[3, "level2_choice"] = np.nan
    data, notes = read_log(frame)
    assert data.transition.values[0, 0].tolist() == [1, 0, -1, -1, 1, 1, 0]
    assert data.second_action.values[0, 0].tolist() == [0, 2, -1, -1, 1, 0, 0]
    said(notes, "transition is missing: 1")


def test_what_does_not_tell_the_transition_is_not_guessed():
    two = FRAME.assign(level2_choice=[1, 2] * 6)
    data, notes = read_log(two)
    assert "transition" not in data and "second_action" not in data
    said(notes, "'level2_choice' not read as a second stage", "--columns state=NAME")
    with pytest.raises(MesascopeError, match="does not show where"):
        read_log(two, columns={"second": "level2_choice"})
    even = FRAME.assign(level2_choice=[1, 3, 1, 3] * 3)
    data, notes = read_log(even)
    assert "transition" not in data
    said(notes, "does not show which transition is common")
    with pytest.raises(MesascopeError, match="do not mean common or rare"):
        read_log(FRAME.assign(way=list("abcabcabcabc")), columns={"transition": "way"})
    ordinary = FRAME.drop(columns=["level2_choice"]).rename(columns={"level1_choice": "choice"})
    assert "second_state" not in read_log(ordinary.assign(state=1))[0]  # a state alone is no second stage


def test_counterbalanced_maps_are_noticed():
    rng = np.random.default_rng(3)
    parts = []
    for who in range(5):
        first = rng.integers(1, 3, 60)
        usual = rng.random(60) < 0.8
        state = np.where(usual, first - 1, 2 - first) if who else np.where(usual, 2 - first, first - 1)
        parts.append(
            pd.DataFrame({"subject": who, "choice1": first, "choice2": 2 * state + 1, "reward": rng.integers(0, 2, 60)})
        )
    said(read_log(pd.concat(parts))[1], "For 1 participant", "counterbalanced")


PAIRS = pd.DataFrame(
    [
        ("p1", 1, "b", "a", 1, 1),
        ("p1", 2, "c", "a", 0, 0),
        ("p1", 3, "b", "c", 1, 1),
        ("p2", 1, "a", "b", 0, 1),
        ("p2", 2, "c", "b", 0, 0),
    ],
    columns=["participant", "trial", "arm_left", "arm_right", "response", "reward"],
)


def test_what_stood_at_the_place_that_was_chosen_is_the_choice():
    data, notes = read_log(PAIRS)
    assert data.action.values[0].tolist() == [[0, 2, 2], [0, 2, -1]]
    assert data.attrs["choices"] == 3
    assert data.offered.values[0].tolist() == [[1, 1, 0], [1, 0, 1], [0, 1, 1]]
    assert data.offered.values[1, :2].tolist() == [[1, 1, 0], [0, 1, 1]]
    said(notes, "'arm_left', 'arm_right'", "'a' = 0, 'b' = 1, 'c' = 2")
    said(notes, "2 of 3 were offered")
    side, _ = read_log(PAIRS, columns={"offered": None})
    assert side.action.values[0].tolist() == [[1, 0, 1], [0, 0, -1]]
    assert "offered" not in side
    swapped, _ = read_log(PAIRS.set_axis(["participant", "trial", "x", "y", "response", "reward"], axis=1),
                          columns={"offered": "y+x"})  # fmt: skip
    assert swapped.action.values[0, 0].tolist() == [1, 0, 1]
    with pytest.raises(MesascopeError, match="is empty, but that place was chosen"):
        read_log(PAIRS.assign(arm_left=["b", "", "b", "a", "c"]), columns={"offered": "arm_left+arm_right"})


def test_metrics_know_what_was_not_offered():
    found = {f.metric: f for f in measure(PAIRS).answers}
    # p1: 'a' paid 1 and was left although 'a' stood there; 'c' paid 0 and was kept. p2: 'a' was not offered again.
    assert found["stay_by_feedback"].estimate == pytest.approx(-1.0)
    assert found["stay_by_feedback"].n == 1
    assert found["acts_like"].status == "does not apply"
    assert "exploration: share of greedy choices" not in found


def test_trials_that_somebody_wrote_hand_on_no_ids():
    data, _ = read_log(FRAME)
    named = data.assign_coords(participant=("lifetime", ["Jane 10", "Jane 9"]))
    back, _ = read_log(named)
    assert back.participant.values.tolist() == [1, 0]
    assert named.participant.values.tolist() == ["Jane 10", "Jane 9"]
    assert renumber_participants(data.drop_vars("participant")).identical(data.drop_vars("participant"))
