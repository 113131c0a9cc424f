"""Transcripts of Psych-101 and Psych-201: trials from them, and logs as such transcripts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.logs import read_log
from mesascope.logs.transcripts import make_transcripts, save_transcripts


def make(people=12, trials=40, arms=3) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    rows = [
        (f"p{i}", b, t, int(rng.integers(arms)), round(float(rng.normal(0, 30)), 2), int(t < 4))
        for i in range(people)
        for b in range(2)
        for t in range(trials - i)
    ]
    frame = pd.DataFrame(rows, columns=["participant", "block", "trial", "choice", "reward", "forced"])
    frame = frame.astype({"choice": object})
    frame.loc[frame.index % 17 == 5, "choice"] = None
    frame.loc[frame.index % 23 == 7, "reward"] = np.nan
    return frame


def test_a_transcript_out_and_in_gives_equal_trials(tmp_path):
    trials, _ = read_log(make())
    back, notes = read_log(save_transcripts(trials, tmp_path / "new" / "log.jsonl"))
    for name in ("action", "feedback", "forced"):
        np.testing.assert_array_equal(back[name], trials[name], err_msg=name)
    np.testing.assert_array_equal(back.participant, trials.participant)
    assert back.attrs["choices"] == 3
    assert any("12 transcripts" in n for n in notes)


def test_choices_that_never_occur_stay_choices(tmp_path):
    trials, _ = read_log(make(arms=2).drop(columns="forced"), choices=4)
    back, _ = read_log(save_transcripts(trials, tmp_path / "log.jsonl"))
    assert back.attrs["choices"] == 4
    np.testing.assert_array_equal(back.action, trials.action)


STYLES = [  # the phrases of common experiments, with the same choices, pay-offs and forced trials
    "You press <<J>> and get {0} points.\nYou press <<F>> and get {1} points.\nYou press <<J>> and get {2} points.",
    "You chose <<J>>. You won {0} points.\nYou chose <<F>>. You won {1} points.\nYou chose <<J>>. You won {2} points.",
    "Trial 1: <<J>>, the outcome is {0}. Trial 2: <<F>>, the outcome is {1}. Trial 3: <<J>>, the outcome is {2}.",
    "You take <<J>>.\nYou get {0} coins.\nYou take <<F>>.\nYou get {1} coins.\nYou take <<J>>.\nYou get {2} coins.",
]


@pytest.mark.parametrize("style", STYLES)
def test_phrases_of_experiments(style, tmp_path):
    text = (
        "There are two options, J and F.\n\nGame 1.\n"
        + style.format(3, 0, 12.5)
        + "\nGame 2.\n"
        + style.format(1, 2, 3)
    )
    records = [{"text": text, "experiment": "e/exp1.csv", "participant": str(i)} for i in range(3)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    trials, _ = read_log(tmp_path / "t.jsonl")
    assert trials.action.values[0].tolist() == [[1, 0, 1]] * 6
    assert trials.feedback.values[0].tolist() == [[3, 0, 12.5], [1, 2, 3]] * 3
    assert trials.participant.values.tolist() == [0, 0, 1, 1, 2, 2]


def test_losses_instructed_choices_and_several_experiments(tmp_path):
    text = "You are instructed to press H and get 40 points.\nYou press <<B>> and lose 7 points.\n"
    text += "You press <<H>> and get no reward."
    records = [{"text": text, "experiment": f"e{i % 2}", "participant": str(i // 2)} for i in range(4)]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    with pytest.raises(MesascopeError, match=r"2 experiments.*--where 'experiment == …'"):
        read_log(path)
    trials, _ = read_log(path, where="experiment == e1")
    assert trials.action.values[0].tolist() == [[1, 0, 1]] * 2
    assert trials.feedback.values[0].tolist() == [[40, -7, 0]] * 2
    assert trials.forced.values[0].tolist() == [[1, 0, 0]] * 2
    path.write_text(json.dumps({"text": "Which word do you see? <<tree>> <<house>>", "participant": "0"}) + "\n")
    with pytest.raises(MesascopeError, match="no choice in them is followed by a number"):
        read_log(path)


def test_a_log_is_exported_as_transcripts(tmp_path, capsys):
    make().to_csv(tmp_path / "log.csv", index=False)
    out = tmp_path / "log.jsonl"
    assert run_command(["data", "export", str(tmp_path / "log.csv"), "--where", "block == 0", "--out", str(out)]) == 0
    capsys.readouterr()
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(records) == 12 and set(records[0]) == {"text", "experiment", "participant"}
    assert records[0]["text"].count("Game ") == 1 and "<<" in records[0]["text"]
    two_step = pd.DataFrame({"choice1": [1, 2, 1, 2], "transition": ["common", "rare"] * 2, "reward": 1})
    with pytest.raises(MesascopeError, match="two stages"):
        make_transcripts(read_log(two_step)[0])
