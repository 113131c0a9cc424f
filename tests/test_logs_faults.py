"""Faults of real logs: small inputs that were misread in silence, each with its right answer."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.examination.logged import measure
from mesascope.guards import limits
from mesascope.logs import read_log
from mesascope.logs.columns import ALIASES, FALLBACK_ALIASES

RNG = np.random.default_rng(0)


def said(notes, *words):
    assert any(all(w in note for w in words) for note in notes), notes


def make(people=4, trials=30, **columns) -> pd.DataFrame:
    """Choices 1 and 2 that pay 0 or 1, for every person and trial."""
    rng = np.random.default_rng(1)
    n = people * trials
    frame = pd.DataFrame(
        {
            "subject": np.repeat(np.arange(people), trials),
            "trial": np.tile(np.arange(1, trials + 1), people),
            "choice": rng.integers(1, 3, n),
            "reward": rng.integers(0, 2, n),
        }
    )
    return frame.assign(**columns)


def actions(frame, **options):
    return read_log(frame, **options)[0].action.values[0]


# D2: who made the choices

PARTICIPANTS = [
    *(
        "subj_idx",
        "id",
        "sub",
        "mouse",
        "rat",
        "patient",
        "model",
        "prolific_id",
        "Participant Private ID",
        "ppn",
        "vp",
    ),
    *("animal", "monkey", "Subject Number", "subject_nr", "player", "participant.code", "PROLIFIC_PID", "s", "name"),
    *("subject", "subjID", "Subj_ID", "participant_id", "ppt", "pid", "worker", "workerId", "user_id", "agent_id"),
    *("subNum", "subj_num", "sub_no", "vpn", "vp_nr", "ppid", "participantNr", "mouse_id", "rat_name", "bird", "bee"),
    *(
        "fish",
        "pigeon",
        "patient_id",
        "observer",
        "child",
        "student",
        "respondent",
        "person",
        "case",
        "llm",
        "nickname",
    ),
]


@pytest.mark.parametrize("name", PARTICIPANTS)
def test_common_names_of_participants_are_recognised(name):
    trials, _ = read_log(make().rename(columns={"subject": name}))
    assert trials.attrs["unit"] == "participant"
    assert trials.action.shape == (1, 4, 30)


def test_an_unread_column_that_divides_the_rows_is_asked_about():
    frame = make().rename(columns={"subject": "wombat"}).drop(columns="trial")
    with pytest.raises(MesascopeError, match=r"'wombat' divides the rows into 4 runs.*--columns participant=wombat"):
        read_log(frame)
    assert actions(frame, columns={"participant": "wombat"}).shape == (4, 30)
    assert actions(frame, columns={"participant": ""}).shape == (1, 120)
    _, notes = read_log(make(part=np.tile(np.repeat([1, 2], 15), 4)))
    said(notes, "'part' divides lifetimes into runs", "--columns lifetime=part")


def test_names_of_roles_are_told_apart():
    for role in FALLBACK_ALIASES:
        assert not {*FALLBACK_ALIASES[role]} & {n for names in ALIASES.values() for n in names}
    frame = make().rename(columns={"choice": "resp"})
    np.testing.assert_array_equal(actions(frame), actions(make()))
    np.testing.assert_array_equal(actions(make().rename(columns={"choice": "key"})), actions(make()))
    two = make(worker=np.repeat([5, 6, 7, 8], 30))  # one worker per subject: either may be read
    assert read_log(two)[0].action.shape == (1, 4, 30)
    with pytest.raises(MesascopeError, match="could be the participant"):
        read_log(make(worker=np.repeat([5, 6, 5, 6], 30)))


# D3: several bandits, and phases


def test_interleaved_bandits_are_lifetimes_of_their_own():
    frame = make(people=3, trials=40, casino=np.tile(["x", "y"], 60))
    trials, notes = read_log(frame)
    assert trials.action.shape == (1, 6, 20)
    assert trials.participant.values.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(trials.action.values[0, 1], frame.choice[frame.casino == "y"][:20] - 1)
    said(notes, "Bandits are told apart by 'casino'", "interleaved", "--columns cue=")
    assert actions(frame, columns={"cue": ""}).shape == (3, 40)


def test_options_of_a_pair_are_numbered_within_it():
    first = np.tile([0, 1], 60)
    letters = np.where(first, np.array(["C", "D"])[make().choice - 1], np.array(["A", "B"])[make().choice - 1])
    trials, notes = read_log(make(choice=letters, pair=np.where(first, "CD", "AB")))
    assert trials.attrs["choices"] == 2
    np.testing.assert_array_equal(trials.action.values[0, 0], make().choice[:30:2] - 1)
    said(notes, "2 separate sets of at most 2 options", "numbered from 0")


def test_practice_is_left_out_and_phases_are_chosen():
    phase = np.tile(["practice"] * 5 + ["main"] * 15 + ["transfer"] * 10, 4)
    trials, notes = read_log(make(phase=phase))
    assert int((trials.action.values >= 0).sum()) == 100
    said(notes, "practice were left out: 20", "--columns phase=")
    said(notes, "Phases in 'phase'", "'main' (60 rows)", "--where")
    main, notes = read_log(make(phase=phase), where='phase == "main" and trial <= 18')
    assert int((main.action.values >= 0).sum()) == 4 * 13
    said(notes, "52 of 120")
    assert int((actions(make(phase=phase), columns={"phase": ""}) >= 0).sum()) == 120
    assert int((actions(make(is_practice=np.tile([1] * 5 + [0] * 25, 4))) >= 0).sum()) == 100
    for where, problem in {
        "phase = main": "not a comparison",
        "phase == nothing": "No row meets",
        "fase == main": "does not have",
        "phase > 3": "not a number",
        "__import__('os').system('true')": "not a comparison",
    }.items():
        with pytest.raises(MesascopeError, match=problem):
            read_log(make(phase=phase), where=where)


# D5: missed trials


@pytest.mark.parametrize("arms", [2, 4])
def test_a_rare_zero_among_choices_from_one_is_a_missed_trial(arms):
    frame = make(people=6, trials=60)
    frame["choice"] = RNG.integers(1, arms + 1, len(frame))
    missed = np.arange(len(frame)) % 19 == 0
    frame.loc[missed, ["choice", "reward"]] = [0, 0]
    trials, notes = read_log(frame)
    assert trials.attrs["choices"] == arms
    np.testing.assert_array_equal(trials.action.values[0].ravel() < 0, missed)
    assert np.isnan(trials.feedback.values[0].ravel()[missed]).all()
    said(notes, "0 occurs on 19 of 360 rows", "missing", f"--choices {arms + 1}")
    assert read_log(frame, choices=arms + 1)[0].attrs["choices"] == arms + 1
    frame.loc[missed, "reward"] = np.arange(missed.sum()) % 2  # it pays: a choice, but said
    trials, notes = read_log(frame)
    assert trials.attrs["choices"] == arms + 1
    said(notes, "0 occurs on 19", "--missing 0")
    assert read_log(frame, missing="0")[0].attrs["choices"] == arms


def test_zero_between_two_sides_is_a_missed_trial():
    side = make().choice.map({1: -1, 2: 1}).to_numpy().copy()
    side[::20] = 0
    trials, _ = read_log(make(choice=side, reward=np.where(side == 0, 0, make().reward)))
    assert trials.attrs["choices"] == 2
    assert (trials.action.values[0].ravel()[::20] == -1).all()


def test_words_and_codes_of_missed_trials():
    for code in ("timeout", "no response", "Too slow", "no_resp"):
        choice = make().choice.map({1: "left", 2: "right"})
        choice[3] = code
        trials, notes = read_log(make(choice=choice))
        assert trials.attrs["choices"] == 2 and trials.action.values[0, 0, 3] == -1
        said(notes, code, "instead of a choice: 1")
    choice = make().choice
    choice[3] = -100
    assert actions(make(choice=choice))[0, 3] == -1
    choice[3] = 7
    assert actions(make(choice=choice), missing=[7])[0, 3] == -1


def test_slow_rows_of_two_step_trials_are_missing():
    frame = two_step()
    frame["slow"] = 0
    frame.loc[[4, 50], ["slow", "choice2", "reward"]] = [1, -1, 0]
    trials, notes = read_log(frame)
    assert trials.action.values[0].ravel()[[4, 50]].tolist() == [-1, -1]
    assert np.isnan(trials.feedback.values[0].ravel()[[4, 50]]).all()
    said(notes, "flagged by 'slow': 2")


# D6, D8: two-step trials


def two_step(people=4, trials=100) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = make(people, trials).rename(columns={"choice": "choice1"})
    state = np.where(rng.random(len(frame)) < 0.7, frame.choice1, 3 - frame.choice1)
    return frame.assign(state=np.array(["", "earth", "moon"])[state], choice2=rng.integers(1, 3, len(frame)))


def test_few_odd_rows_are_left_out_and_counted():
    clean, _ = read_log(two_step())
    frame = two_step(people=8)
    frame.loc[5, "state"] = ""
    frame.loc[6, "state"] = "American"
    trials, notes = read_log(frame)
    assert (trials.transition.values[0, 0, [5, 6]] == -1).all()
    assert int((trials.transition.values >= 0).sum()) == 798
    said(notes, "'American'", "1 row")
    said(notes, "transition is missing: 2")
    assert set(clean.data_vars) == set(trials.data_vars)
    frame["choice2"] = frame.choice2.astype(object)
    frame.loc[7, "choice2"] = "American"
    assert "second_action" in read_log(frame)[0]


def test_both_stages_in_one_column_are_joined():
    wide = two_step()
    first = wide[["subject", "trial"]].assign(stage=1, response=wide.choice1, state="", reward="")
    second = wide[["subject", "trial", "state", "reward"]].assign(stage=2, response=wide.choice2)
    rows = pd.concat([first, second]).sort_values(["subject", "trial", "stage"])
    trials, notes = read_log(rows.reset_index(drop=True))
    expected, _ = read_log(wide)
    for name in ("action", "second_action", "transition", "feedback"):
        np.testing.assert_array_equal(trials[name], expected[name], err_msg=name)
    said(notes, "Each trial has two rows", "joined to 400 trials")
    rows["row"] = np.arange(len(rows))
    trials, _ = read_log(rows.drop(columns="trial").rename(columns={"row": "trial_index"}))
    np.testing.assert_array_equal(trials.transition, expected.transition)


# D7: gains and losses


def test_wins_and_losses_are_net():
    win, loss = np.array([100, 0, 50, 0]), np.array([0, -250, 20, 0])
    for frame in ({"win": win, "loss": loss}, {"reward": win, "loss": -loss}, {"Wins": win, "Losses": loss}):
        trials, notes = read_log(pd.DataFrame({"choice": [1, 2, 1, 2], **frame}))
        assert trials.feedback.values[0, 0].tolist() == [100, -250, 30, 0]
        said(notes, "minus the size of")
    net = {"reward": win - abs(loss), "loss": loss}  # already net, because it falls below 0
    assert read_log(pd.DataFrame({"choice": [1, 2, 1, 2], **net}))[0].feedback.values[0, 0].tolist() == [
        100,
        -250,
        30,
        0,
    ]


# D9: trial numbers that begin again


def test_trial_numbers_that_begin_again_begin_a_lifetime():
    frame = pd.concat([make(), make()[lambda f: f.subject < 2]]).sort_values("subject", kind="stable")
    trials, notes = read_log(frame.reset_index(drop=True))
    assert trials.action.shape == (1, 6, 30)
    assert trials.participant.values.tolist() == [0, 0, 1, 1, 2, 3]
    said(notes, "begin again in 2 lifetimes", "6 lifetimes in all")


# D10: files


def test_packed_json_headerless_wide_and_several_files(tmp_path, monkeypatch):
    frame, expected = make(), actions(make())
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    (tmp_path / "records.json").write_text(frame.to_json(orient="records"))
    (tmp_path / "columns.json").write_text(frame.to_json())
    people = [part for _, part in frame.groupby("subject")]
    lists = [json.loads(p.drop(columns="subject").to_json(orient="records")) for p in people]
    (tmp_path / "jatos.json").write_text("\n".join(map(json.dumps, lists)))
    frame.to_csv(tmp_path / "a.htsv", sep="\t", index=False)
    wide = frame.pivot(index="subject", columns="trial", values=["choice", "reward"])
    wide.columns = [f"{name}_{t}" for name, t in wide.columns]
    wide.to_csv(tmp_path / "wide.csv", index=False)
    for name in ("a.csv.gz", "records.json", "columns.json", "jatos.json", "a.htsv", "wide.csv"):
        trials, _ = read_log(tmp_path / name)
        np.testing.assert_array_equal(trials.action.values[0], expected, err_msg=name)
        assert trials.attrs["unit"] == "participant", name
    frame.to_csv(tmp_path / "bare.csv", index=False, header=False)
    roles = {"participant": "column 1", "trial": "column 2", "action": "column 3", "feedback": "column 4"}
    trials, notes = read_log(tmp_path / "bare.csv", roles)
    np.testing.assert_array_equal(trials.action.values[0], expected)
    said(notes, "no names", "'column 1'")
    paths = []
    for i, part in enumerate(people):
        paths.append(tmp_path / f"sub-{i}_task-x.tsv")
        part.drop(columns="subject").to_csv(paths[-1], sep="\t", index=False)
    trials, notes = read_log(paths)
    np.testing.assert_array_equal(trials.action.values[0], expected)
    assert trials.attrs["unit"] == "participant"
    said(notes, "of 4 files")
    assert "sub-" not in str(notes) + str(trials.attrs)  # names of files are ids
    with pytest.raises(MesascopeError, match=r"line 3 of file '2'"):
        people[2].drop(columns="subject").assign(reward=[1, "much"] + [0] * 28).to_csv(paths[2], sep="\t", index=False)
        read_log(paths)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"choice,reward\n" + b"1,1\n" * 400_000, 9))
    monkeypatch.setattr(limits, "MAX_SMALL_BYTES", 1000)
    with pytest.raises(MesascopeError, match="unpacks to more than"):
        read_log(tmp_path / "bomb.csv.gz")


def test_parts_of_a_wide_table_in_several_files(tmp_path):
    paths = []
    for name in ("choice", "reward"):
        cells = make()[name].to_numpy().reshape(4, 30)
        paths.append(tmp_path / f"{name}s.csv")
        pd.DataFrame(cells, columns=[f"{name.title()}_{t}" for t in range(1, 31)]).to_csv(paths[-1], index=False)
    np.testing.assert_array_equal(actions(paths), actions(make()))


def test_words_and_currencies_are_numbers_and_case_does_not_matter():
    frame = pd.DataFrame({"choice": ["Left", "left", "Right", "LEFT"], "reward": ["$1.00", "-$0.50", "yes", "no"]})
    trials, notes = read_log(frame)
    assert trials.action.values[0, 0].tolist() == [0, 0, 1, 0]
    assert trials.feedback.values[0, 0].tolist() == [1, -0.5, 1, 0]
    said(notes, "upper and lower case are one choice")


def test_many_rows_without_choice_and_feedback_are_other_screens():
    frame = make(trials=10)
    rows = frame.loc[np.repeat(frame.index, 3)].astype(object).reset_index(drop=True)
    rows.loc[rows.index % 3 != 1, ["choice", "reward"]] = None
    rows["trial"] = np.tile(np.arange(30), 4)
    trials, notes = read_log(rows.rename(columns={"trial": "trial_index"}))
    np.testing.assert_array_equal(trials.action.values[0], actions(frame))
    said(notes, "80 of 120", "other screens")


# Roles


def test_response_times_exclude_only_as_stated():
    rt = np.tile(np.linspace(0.1, 3.0, 30), 4)
    trials, _ = read_log(make(rt=rt))
    assert (trials.action.values >= 0).all()
    np.testing.assert_allclose(trials.rt.values[0], rt[:30], rtol=1e-6)
    trials, notes = read_log(make(rt=rt), rt="0.15..2.95")
    assert (trials.action.values[0, :, [0, 29]] == -1).all()
    said(notes, "outside 0.15..2.95: 8")
    with pytest.raises(MesascopeError, match="not a range"):
        read_log(make(rt=rt), rt="fast")
    with pytest.raises(MesascopeError, match="--columns rt=NAME"):
        read_log(make(), rt="..3")


def test_groups_sessions_and_outcomes_not_chosen():
    frame = make(people=6, group=np.repeat(["patient", "control"], 90), forgone=1 - make(people=6).reward)
    trials, notes = read_log(frame)
    assert trials.group.values.tolist() == ["patient"] * 3 + ["control"] * 3
    np.testing.assert_array_equal(trials.counterfactual, 1 - trials.feedback)
    said(notes, "'control' (3 participants)", "'patient' (3 participants)")
    with pytest.raises(MesascopeError, match="changes within a lifetime"):
        read_log(frame.assign(drug=np.arange(180) % 2), columns={"group": "drug"})
    trials, _ = read_log(make(session=np.tile(np.repeat(["a", "b"], 15), 4)))
    assert trials.session.values.tolist() == ["a", "b"] * 4


# D1, D4, D11: what is measured


def measured(frame, *metrics, **options):
    return {f.metric: f for f in measure(frame, metrics, **options).answers}


def test_options_of_the_command_line(tmp_path, capsys):
    path = tmp_path / "log.csv"
    make(choice=make().choice.replace(2, 9), rt=np.tile(np.linspace(0.1, 3.0, 30), 4)).to_csv(path, index=False)
    start = ["measure", str(path), "--metrics", "stay_by_feedback", "--out", str(tmp_path / "run")]
    assert run_command([*start, "--where", "subject != 3", "--rt", "..2.95", "--missing", "7"]) == 0
    told = capsys.readouterr().err
    assert "90 of 120" in told and "outside ..2.95: 3" in told
    for wrong in (["--where", "subject"], ["--rt", "fast"], ["--where", "subject == 8"], ["--missing", "1,9"]):
        assert run_command([*start, *wrong]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_each_lifetime_has_its_own_last_half():
    rng = np.random.default_rng(3)
    rows = []
    for who, length in enumerate(rng.permutation(np.linspace(20, 200, 23).astype(int))):
        best = rng.integers(2)
        for t in range(length):
            choice = best if t >= length // 2 else 1 - best  # the best arm through the last half of their own
            rows.append((who, t, choice, int(choice == best), *(0.8 if k == best else 0.2 for k in (0, 1))))
    frame = pd.DataFrame(rows, columns=["subject", "trial", "choice", "reward", "mean_1", "mean_2"])
    found = measured(frame, "exploration", "adaptation", "performance")
    given_up = found["exploration: best choice never taken in the last half"]
    assert (given_up.estimate, given_up.n) == (0, 23)
    assert found["adaptation"].estimate == pytest.approx(2.0)  # from the worst arm (-1) to the best (1)
    assert found["performance"].estimate == pytest.approx(1.0)
    realised = measured(frame.drop(columns=["mean_1", "mean_2"]), "adaptation")["adaptation"]
    assert (realised.estimate, realised.n) == (pytest.approx(1.0), 23)
    short = pd.concat([frame, pd.DataFrame([(99, t, 0, 1, 0.8, 0.2) for t in range(2)], columns=frame.columns)])
    assert measured(short, "adaptation")["adaptation"].n == 23  # two trials have no first tenth and last quarter


def test_forced_choices_are_seen_and_not_scored():
    frame = make(people=6, trials=40)
    frame["forced"] = (frame.trial <= 20).astype(int)
    frame["reward"] = np.where(frame.forced == 1, 0, 1)  # forced trials pay nothing, free ones always pay
    pooled = measured(frame.drop(columns="forced"), "adaptation")["adaptation"]
    free = measured(frame, "adaptation", "exploration")
    assert pooled.estimate == pytest.approx(1.0)
    assert free["adaptation"].status == "does not apply"
    frame["choice"] = np.where(frame.forced == 1, 1, 2)
    assert (
        measured(frame, "exploration")["exploration: share of the least used choice, relative to chance"].estimate == 0
    )
    frame["reward"] = np.where(frame.choice == 1, 1, 0)
    stays = measured(frame, "exploration")["exploration: share of greedy choices"]
    assert stays.estimate == 0  # what forced trials paid is known, and every free choice goes against it
    _, notes = read_log(frame)
    said(notes, "Forced trials in 'forced': 120", "not scored")
    np.testing.assert_array_equal(
        read_log(frame)[0].forced, read_log(frame.assign(free=1 - frame.forced).drop(columns="forced"))[0].forced
    )


def test_forced_choices_do_not_enter_the_likelihood():
    frame = make(people=8, trials=40)
    frame["forced"] = np.tile([1, 0], 160)
    frame["choice"] = np.where(frame.forced == 1, frame.choice, 1)  # its own choices are always the first
    found = measured(frame, "acts_like")["acts_like: nearest procedure, above chance"]
    assert found.estimate == pytest.approx(np.log(2), abs=0.01)
    assert "fixed" in found.reason or "biased" in found.reason
    assert (
        measured(frame.drop(columns="forced"), "acts_like")["acts_like: nearest procedure, above chance"].estimate < 0.3
    )


def test_trials_under_one_condition_are_not_called_fresh_tasks_that_were_not_run():
    from mesascope import rollout
    from mesascope.reporting.headlines import explain_level

    found = measure(rollout("thompson", "bernoulli_bandit:arms=2,trials=10", lifetimes=4), "performance")
    assert found.placement is None
    assert explain_level(found) == (
        "its fresh tasks were run under intact only; a placement needs the conditions of `examine`."
    )


def test_no_procedure_is_named_where_the_interval_holds_chance():
    frame = make(people=8, trials=25)
    tossed = frame.assign(choice=np.random.default_rng(6).integers(1, 3, len(frame)))
    found = measured(tossed, "acts_like")["acts_like: nearest procedure, above chance"]
    assert found.low < 0
    assert found.reason.startswith("not distinguished from uniform choices; nearest: ")
    kept = measured(frame.assign(choice=1 + frame.subject % 2), "acts_like")[
        "acts_like: nearest procedure, above chance"
    ]
    assert kept.low > 0 and kept.reason.startswith("acts like ")
