"""Logs without a subject: what is read, what is decided and said, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mesascope import trials as trials_module
from mesascope.errors import MesascopeError
from mesascope.logs import read_log
from mesascope.logs.columns import ALIASES, normalise_name

ROWS = [  # participant, trial, choice, reward: unequal lengths, and a choice that only one of them makes
    (1, 1, 2, 0.5),
    (1, 2, 1, 1.0),
    (1, 3, 3, -1.0),
    (7, 1, 1, 0.0),
    (7, 2, 2, 2.0),
]
FRAME = pd.DataFrame(ROWS, columns=["participant", "trial", "choice", "reward"])
ACTION = np.array([[1, 0, 2], [0, 1, -1]])
FEEDBACK = np.array([[0.5, 1.0, -1.0], [0.0, 2.0, np.nan]])


def same(data: xr.Dataset, action=ACTION, feedback=FEEDBACK) -> None:
    np.testing.assert_array_equal(data.action.values[0], action)
    np.testing.assert_array_equal(data.feedback.values[0], np.asarray(feedback, np.float32))


def said(notes: list[str], *words: str) -> None:
    assert any(all(w in note for w in words) for note in notes), notes


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_frame_becomes_trials_that_keep_the_conventions():
    before = FRAME.copy()
    data, notes = read_log(FRAME)
    same(data)
    trials_module.check_trials(data)
    pd.testing.assert_frame_equal(FRAME, before)
    assert data.action.dims == ("condition", "lifetime", "trial")
    assert data.condition.values.tolist() == ["intact"]
    assert data.participant.values.tolist() == [0, 1]
    kept = {k: data.attrs[k] for k in ("family", "split", "subject", "trained_on", "choices", "unit", "payoff")}
    assert kept == {
        "family": "log",
        "split": "logged",
        "subject": "log",
        "trained_on": "unknown",
        "choices": 3,
        "unit": "participant",
        "payoff": "realised pay-off",
    }
    assert not {"score", "chance", "best", "log_probs"} & set(data)
    assert data.attrs["notes"] == notes
    said(notes, "1 to 3", "1-based", "3 choices")
    said(notes, "2 lifetimes of 2 to 3 trials", "padded to 3")
    said(notes, "fewer than three")


def test_a_log_that_was_read_can_be_saved_and_opened(tmp_path):
    data, notes = read_log(FRAME)
    back = trials_module.open_trials(trials_module.save_trials({"logged": data}, tmp_path / "t.nc"))["logged"]
    same(back)
    assert back.attrs["notes"] == notes
    assert back.participant.values.tolist() == [0, 1]
    again, _ = read_log(back)
    same(again)


CSV = FRAME.to_csv(index=False)
WAYS = {
    "plain.csv": CSV,
    "tabs.tsv": CSV.replace(",", "\t"),
    "tabs.csv": CSV.replace(",", "\t"),
    "commas.tsv": CSV,
    "tabs.txt": CSV.replace(",", "\t"),
    "blanks.txt": CSV.replace(",", " "),
    "bars.dat": CSV.replace(",", "|"),
    "semicolons.csv": CSV.replace(",", ";"),
    "decimal_comma.csv": CSV.replace(",", ";").replace(".", ","),
    "excel.csv": "sep=;\r\n" + CSV.replace(",", ";").replace("\n", "\r\n"),
    "old_mac.csv": CSV.replace("\n", "\r"),
    "bom.csv": b"\xef\xbb\xbf" + CSV.encode(),
    "utf16.csv": CSV.encode("utf-16"),
    "utf16le.csv": CSV.encode("utf-16-le"),
    "utf16be.csv": CSV.encode("utf-16-be"),
    "utf32.csv": CSV.encode("utf-32"),
    "comments.csv": "# lab 3\n\n" + CSV,
    "blank_lines.csv": CSV.replace("\n", "\n\n") + "\n\n",
    "quoted.csv": "\n".join(",".join(f'"{c}"' for c in line.split(",")) for line in CSV.split("\n")[:-1]),
    "no_end.csv": CSV.rstrip("\n"),
    "trailing.csv": CSV.replace("\n", ",\n").replace("reward,", "reward", 1),
    "row_names.csv": CSV.split("\n", 1)[0]
    + "\n"
    + "\n".join(f"r{i},{line}" for i, line in enumerate(CSV.strip().split("\n")[1:])),
    "spaces.csv": CSV.replace(",", " , "),
    "lines.jsonl": FRAME.to_json(orient="records", lines=True),
    "lines.ndjson": "\n" + FRAME.to_json(orient="records", lines=True) + "\n\n",
    "texts.jsonl": "\n".join(json.dumps({k: str(v) for k, v in row.items()}) for row in FRAME.to_dict("records")),
}


@pytest.mark.parametrize("name", WAYS)
def test_every_way_of_writing_it_reads_the_same(name, tmp_path):
    data, notes = read_log(write(tmp_path, name, WAYS[name]))
    same(data)
    assert data.attrs["subject"] == Path(name).stem
    assert str(tmp_path) not in " ".join(notes)


def test_latin_1_is_read_and_said(tmp_path):
    text = CSV.replace("choice", "réponse").encode("latin-1")
    data, notes = read_log(write(tmp_path, "a.csv", text), columns={"action": "réponse"})
    same(data)
    said(notes, "Latin-1")
    late = CSV.encode() + b"9,1,1,1,\n" * 150_000  # found out only after the first megabyte
    late = late.replace(b",reward", b",reward,who").replace(b"9,1,1,1,\n", b"9,1,1,1,\xe9\n", 1)
    with pytest.raises(MesascopeError, match="trial 1 also occurs in"):
        read_log(write(tmp_path, "late.csv", late))


def test_a_parquet_file_needs_pyarrow_and_says_so(tmp_path, monkeypatch):
    path = write(tmp_path, "a.parquet", b"PAR1 and so on")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "pyarrow" else found(n, *a))
    with pytest.raises(MesascopeError, match=r"pip install 'mesascope\[parquet\]'"):
        read_log(path)


def test_a_parquet_file_is_read(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow, the extra 'parquet', is not installed")
    FRAME.to_parquet(tmp_path / "a.parquet")
    same(read_log(tmp_path / "a.parquet")[0])
    whole = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(MesascopeError, match="not a complete parquet file"):
        read_log(write(tmp_path, "cut.parquet", whole[: len(whole) // 2]))


def test_frames_with_an_index_odd_dtypes_and_nothing_in_cells():
    same(read_log(FRAME.set_index(["participant", "trial"]))[0])
    same(read_log(FRAME.astype({"choice": "category", "participant": "string", "trial": "Int64"}))[0])
    same(read_log(FRAME.astype(object))[0])
    same(read_log(FRAME.astype({"choice": float}).set_axis(range(10, 15)))[0])
    odd = FRAME.astype({"choice": "Int64", "reward": "Float64"})
    odd.loc[1, "choice"] = pd.NA
    data, notes = read_log(odd)
    assert data.action.values[0].tolist() == [[1, -1, 2], [0, 1, -1]]
    assert np.isnan(data.feedback.values[0, 0, 1])
    said(notes, "Rows without a choice: 1;")


def test_a_data_set_with_axes_of_its_own():
    axes = ("participant", "trial")
    data = xr.Dataset({"choice": (axes, [[2, 1, 3], [1, 2, -1]]), "reward": (axes, FEEDBACK)})
    same(read_log(data)[0])
    same(read_log(data.transpose("trial", "participant"))[0])
    data["reward"] = (("participant", "trial", "draw"), np.zeros((2, 3, 4)))
    with pytest.raises(MesascopeError, match="axes"):
        read_log(data)


@pytest.mark.parametrize(
    ("header", "renamed"),
    [
        ("subjID trial choice outcome", {}),
        ("participant_id trial_id response feedback", {}),
        ("ppt trial response feedback", {}),
        ("agent_id trial action reward", {}),
        ("SUBJECT TrialNum Arm Points", {}),
        ("who when what paid", dict(participant="who", trial="when", action="what", feedback="PAID")),
    ],
)
def test_common_and_given_names_of_columns(header, renamed):
    same(read_log(FRAME.set_axis(header.split(), axis=1), columns=renamed)[0])


def test_no_alias_stands_for_two_roles():
    names = [n for names in ALIASES.values() for n in names]
    assert len(set(names)) == len(names)
    assert all(normalise_name(n) == n for n in names)


def test_lifetimes_are_participants_within_sessions_and_blocks():
    frame = pd.DataFrame(
        [(s, b, t, 1 + (t + b) % 2, s * 100 + b * 10 + t) for s in (3, 1) for b in (1, 2) for t in range(4)],
        columns=["subject", "block", "trial", "choice", "reward"],
    )
    data, notes = read_log(frame)
    assert data.action.shape == (1, 4, 4)
    assert data.participant.values.tolist() == [0, 0, 1, 1]
    assert data.feedback.values[0, :, 0].tolist() == [110, 120, 310, 320]
    said(notes, "'subject' × 'block'", "--columns lifetime=")
    frame["trial"] += 4 * (frame.block - 1)  # numbers that run on give the same
    onward, notes = read_log(frame)
    np.testing.assert_array_equal(onward.feedback, data.feedback)
    said(notes, "continue from one lifetime")
    whole, _ = read_log(frame, columns={"lifetime": None})
    assert whole.action.shape == (1, 2, 8)
    alone, _ = read_log(frame.drop(columns="subject").iloc[:8])
    assert alone.attrs["unit"] == "lifetime"
    assert "participant" not in alone.coords
    both, _ = read_log(frame.rename(columns={"block": "b", "subject": "s"}), columns={"lifetime": "s+b"})
    assert both.action.shape == (1, 4, 4)
    assert both.attrs["unit"] == "lifetime"


def test_ids_in_natural_order_and_never_in_what_is_kept():
    frame = FRAME.assign(participant=["p10"] * 3 + ["p9"] * 2)
    data, notes = read_log(frame)
    same(data, ACTION[::-1], FEEDBACK[::-1])
    assert "p10" not in str(notes) + str(data.attrs) + str(data.coords)


def test_without_numbers_the_rows_count_in_their_order():
    data, notes = read_log(FRAME.drop(columns="trial"))
    same(data)
    said(notes, "order of the rows")


def test_gaps_in_trial_numbers_are_missing_trials_and_leaps_are_not():
    data, notes = read_log(FRAME.assign(trial=[1, 2, 4, 2, 3]))
    same(data, [[1, 0, -1, 2], [-1, 0, 1, -1]], [[0.5, 1, np.nan, -1], [np.nan, 0, 2, np.nan]])
    said(notes, "without a row: 2")
    data, notes = read_log(FRAME.assign(trial=[10, 20, 30, 10, 20]))
    same(data)
    said(notes, "steps of 10")
    data, notes = read_log(FRAME.assign(trial=[1, 2_001, 300_000, 10_000, 20_000]))
    same(data)
    said(notes, "large gaps")


def codes(values, **more) -> tuple[list[int], xr.Dataset, list[str]]:
    frame = pd.DataFrame({"choice": values, "reward": np.arange(len(values)) % 3, **more.pop("also", {})})
    data, notes = read_log(frame, **more)
    return data.action.values[0, 0].tolist(), data, notes


def test_codes_of_choices():
    assert codes([0, 1, 1, 2])[0] == [0, 1, 1, 2]
    assert codes([1, 2, 2, 3])[0] == [0, 1, 1, 2]
    assert codes(["1", "2.0", "2", " 3"])[0] == [0, 1, 1, 2]
    assert codes([True, False, True])[0] == [1, 0, 1]
    found, data, notes = codes(["right", "left", "left "])
    assert found == [1, 0, 0]
    said(notes, "'left' = 0, 'right' = 1")
    found, data, notes = codes([1, 4, 2, 2])
    assert (found, data.attrs["choices"]) == ([0, 3, 1, 1], 4)
    said(notes, "never occur", "3")
    found, data, notes = codes([37, 39, 37])  # arrow keys
    assert (found, data.attrs["choices"]) == ([0, 1, 0], 2)
    said(notes, "37 = 0, 39 = 1")
    assert codes([1, 2, 1], choices=5)[1].attrs["choices"] == 5
    assert codes([1, 1, 1], choices=2)[0] == [0, 0, 0]


def test_codes_of_missing_trials():
    found, data, notes = codes([0, 1, -1, 1])
    assert found == [0, 1, -1, 1]
    assert np.isnan(data.feedback.values[0, 0, 2])
    said(notes, "'-1' (1)", "missing")
    assert codes([1, 2, -999, -9, 2])[0] == [0, 1, -1, -1, 1]
    assert codes([1, 2, 999, 1])[0] == [0, 1, -1, 0]
    assert codes(["a", "b", "-1", "", "NA"])[0] == [0, 1, -1, -1, -1]
    assert codes([1, 2, None, 2])[0] == [0, 1, -1, 1]
    assert codes([-1, 1, -1])[0] == [0, 1, 0]  # two responses, as drift-diffusion models code them
    assert codes([-1, 0, 1], choices=3)[0] == [0, 1, 2]
    assert codes([-1, 0, 1])[0] == [-1, 0, 1]
    found, data, notes = codes([1, 2, 0, 2], also={"missed": [0, 0, 1, 0]})
    assert found == [0, 1, -1, 1]
    said(notes, "Rows flagged by 'missed': 1")
    assert codes([-1, 1, 2, 1], also={"missed": [True, False, False, False]})[0] == [-1, 0, 1, 0]


def test_feedback_from_gain_and_loss_and_from_what_there_is():
    frame = pd.DataFrame({"choice": [0, 1, 0], "gain": [1.0, 2.0, 3.0], "loss": [0.0, -0.5, 1.0]})
    data, notes = read_log(frame)
    assert data.feedback.values[0, 0].tolist() == [1.0, 1.5, 2.0]
    said(notes, "'gain' minus the size of 'loss'")
    data, notes = read_log(frame.assign(outcome=7.0))
    assert data.feedback.values[0, 0].tolist() == [7.0] * 3
    said(notes, "'gain', 'loss' not read")
    said(notes, "7 on every trial")
    data, notes = read_log(pd.DataFrame({"choice": [0, 1, 0], "correct": [True, False, True]}))
    assert data.feedback.values[0, 0].tolist() == [1, 0, 1]
    said(notes, "'correct' is read as the feedback")
    data, notes = read_log(pd.DataFrame({"choice": [0, 1, 0], "reward": [1, -999, 0]}))
    assert np.isnan(data.feedback.values[0, 0, 1])
    assert data.action.values[0, 0, 1] == 1
    said(notes, "far outside", "-999")
    said(notes, "a choice and no feedback")
    data, notes = read_log(pd.DataFrame({"choice": [0, 1, 2, 1, 2], "reward": [np.nan, 1, 1, 0, 1]}))
    said(notes, "Choices without any feedback", "choice 0")


def test_running_totals_are_noticed():
    paid = np.tile([1.0, 0.0, 2.0], 20)
    frame = pd.DataFrame({"choice": np.arange(60) % 2, "points": paid.cumsum()})
    said(read_log(frame)[1], "running total")
    data, notes = read_log(frame.rename(columns={"points": "score"}).assign(reward=paid))
    assert "score" not in data
    said(notes, "'score'", "running total")


def test_arm_means_give_score_chance_and_best():
    frame = FRAME.assign(mean_1=[0.1, 0.2, 0.3, 0.4, 0.5], mean_2=0.9, mean_3=-0.3)
    data, notes = read_log(frame)
    np.testing.assert_allclose(data.score.values[0], [[0.9, 0.2, -0.3], [0.4, 0.9, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(data.chance.values[0], [0.7 / 3, 0.8 / 3, 0.3], rtol=1e-6)
    np.testing.assert_allclose(data.best.values[0], [0.9] * 3, rtol=1e-6)
    np.testing.assert_allclose(data.worst.values[0], [-0.3] * 3, rtol=1e-6)
    assert data.means.dims == ("lifetime", "trial", "choice")
    assert data.attrs["payoff"] == "expected pay-off"
    said(notes, "expected pay-offs")
    few = frame.drop(columns="mean_3")
    data, notes = read_log(few)
    assert "score" not in data
    said(notes, "not read as means", "means has 2 columns for 3 choices")
    with pytest.raises(MesascopeError, match="one column per choice"):
        read_log(few, columns={"means": ["mean_1", "mean_2"]})


def test_numbers_in_the_names_of_arms_settle_where_codes_start():
    frame = pd.DataFrame({"choice": [1, 2, 1], "reward": [0, 1, 0], "mean_0": 0.7, "mean_1": 0.1, "mean_2": 0.2})
    data, _ = read_log(frame)
    assert data.action.values[0, 0].tolist() == [1, 2, 1]
    np.testing.assert_allclose(data.score.values[0, 0], [0.1, 0.2, 0.1], rtol=1e-6)


def test_score_chance_and_best_as_columns():
    frame = FRAME.assign(score=[0.5, 0.6, 0.7, 0.5, 0.6], chance=0.4, best=0.8)
    data, _ = read_log(frame)
    np.testing.assert_allclose(data.score.values[0, 0], [0.5, 0.6, 0.7], rtol=1e-6)
    np.testing.assert_allclose(data.best.values[1, :2], 0.8, rtol=1e-6)
    data, notes = read_log(frame.assign(best=["arm1"] * 5))
    assert "best" not in data
    said(notes, "'best' not read")
    with pytest.raises(MesascopeError, match="below the score"):
        read_log(frame.assign(best=0.1), columns={"best": "best"})


def test_probabilities_of_the_choices():
    frame = FRAME.assign(p_0=0.5, p_1=0.25, p_2=0.25)
    data, notes = read_log(frame)
    assert data.log_probs.shape == (1, 2, 3, 3)
    np.testing.assert_allclose(np.exp(data.log_probs.values).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(data.log_probs.values[0, 0, 0]), [0.5, 0.25, 0.25], rtol=1e-5)
    said(notes, "probabilities with which")
    data, notes = read_log(frame.assign(p_0=0.9))
    assert "log_probs" not in data
    said(notes, "do not add up to 1")
    names = FRAME.assign(choice=["b", "a", "b", "a", "b"], p_action_b=0.8, p_action_a=0.2)
    np.testing.assert_allclose(np.exp(read_log(names)[0].log_probs.values[0, 0, 0]), [0.2, 0.8], rtol=1e-5)


def test_what_was_not_read_is_listed_and_escaped():
    data, notes = read_log(
        FRAME.assign(**{"temperature": 0.5, "<script>alert(1)</script>": 1, "a\x1b[31mred\u202e": 2})
    )
    same(data)
    said(notes, "not read", "'temperature'", "'<script>alert(1)</script>'", r"\x1b[31m", r"\u202e")
    assert "\x1b" not in str(notes) + str(data.attrs)


@pytest.mark.slow  # seven seconds; CI runs it
def test_a_million_rows_are_quick(tmp_path):
    n = 1_000_000
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "participant": np.repeat(np.arange(n // 250), 250),
            "trial": np.tile(np.arange(250), n // 250),
            "choice": rng.integers(1, 4, n),
            "reward": rng.integers(0, 2, n),
        }
    ).sample(frac=1, random_state=1)
    frame.to_csv(tmp_path / "big.csv", index=False)
    started = time.process_time()
    data, _ = read_log(tmp_path / "big.csv")
    assert time.process_time() - started < 8
    assert data.action.shape == (1, n // 250, 250)
    assert np.bincount(data.action.values.ravel()).tolist() == np.bincount(frame.choice)[1:].tolist()
