"""A small study runs, repeats itself, and goes on after SIGKILL; measures give what they must."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small import PLAN, small

from mesascope import catalogue
from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.questions.goal.axis import READING_MEANINGS
from mesascope.recipes import training_loop as _training
from mesascope.recipes import updates
from mesascope.recipes.training import train
from mesascope.reproduction import work
from mesascope.reproduction.measures import Rollouts, find_measure
from mesascope.reproduction.run import reproduce
from mesascope.rollouts.rollouts import rollout

KILLS = int(os.environ.get("MESASCOPE_KILLS", "2"))
SMALL = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")


def outcome(folder: Path) -> bytes:
    """What must repeat: all but the commit, which others may move while tests run."""
    found = json.loads((folder / "results.json").read_text())
    return json.dumps({k: v for k, v in found.items() if k != "commit"}).encode()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of one uninterrupted run, its document, and the study."""
    home = tmp_path_factory.mktemp("whole")
    study = small(home)
    found = reproduce(str(study), out=home / "out")
    return home / "out", found, study


def test_the_numbers_are_what_they_must_be(whole):
    _, found, _ = whole
    values = {(v["quantity"], v["subject"]): v for v in found["values"]}
    assert values["part on arm 1", "second arm"]["by_seed"] == [1.0, 1.0, 1.0]
    # a fixed arm gets half of 11 pulls, Thompson sampling more and less than the best of three uniform arms
    fixed, thompson = values["total reward", "second arm"], values["total reward", "thompson"]
    assert abs(fixed["ours"] - 5.5) < 4 * 11 * np.sqrt(1 / 12 / 210)
    assert fixed["ours"] < thompson["ours"] < 8.25
    assert [e["met"] for e in found["expects"]] == [True, True]
    # without a bank there is no seen split; with one the seeds have banks of their own
    assert values["share on seen", "thompson"]["ours"] is None
    assert "no split seen" in values["share on seen", "thompson"]["why"]
    assert len(set(values["share on seen", "network, M=two"]["by_seed"])) == 3
    row = next(r for r in found["rows"] if r["subject"] == "second arm")
    assert row["within"] is True and row["n"] == 3 and row["low"] < row["ours"] < row["high"]


def test_what_is_finished_is_not_done_again_and_what_is_lost_is(whole, monkeypatch):
    out, _, study = whole
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    (out / "results.json").unlink()
    monkeypatch.setattr(updates, "update_network", lambda *a, **k: pytest.fail("trained again"))
    monkeypatch.setattr(work, "rollout", lambda *a, **k: pytest.fail("lived again"))
    reproduce(str(study), out=out)
    assert {p.name for p in out.iterdir() if p.is_file()} == before.keys()
    assert outcome(out) and (out / "figure.png").read_bytes() == before["figure.png"]
    assert (out / "seconds.json").read_bytes() == before["seconds.json"]
    monkeypatch.undo()
    lost = sorted((out / "measurements").iterdir())[::3]
    for i, path in enumerate(lost):
        path.write_text("{") if i % 2 else path.unlink()
    again = reproduce(str(study), out=out)
    assert (out / "table.md").read_bytes().split(b"at commit")[0] == before["table.md"].split(b"at commit")[0]
    assert again["values"] == json.loads(before["results.json"])["values"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_network_that_other_settings_made_is_not_taken(whole, tmp_path, workers):
    out, _, study = whole
    there = next((out / "networks").iterdir())
    other = tmp_path / "networks" / there.name
    train("ppo_recurrent:width=6,updates=1,lifetimes=10,minibatches=2", "bernoulli_bandit:arms=3,trials=11", other)
    with pytest.raises(MesascopeError, match="belongs to another training run"):
        reproduce(str(study), seeds=1 + int(there.name.split("-")[-2]), out=tmp_path, workers=workers)
    assert {p.name for p in tmp_path.iterdir()} == {"networks", "run.json", "running"}  # nothing was done before


@pytest.mark.slow
def test_processes_side_by_side_give_the_same_bytes(whole, tmp_path):
    out, found, study = whole
    reproduce(str(study), out=out)
    told = []
    progress = lambda share, doing: told.append((share, doing))  # noqa: E731
    again = reproduce(str(study), out=tmp_path, progress=progress, workers=2)
    assert again["values"] == found["values"] and outcome(tmp_path) == outcome(out)
    assert (tmp_path / "figure.png").read_bytes() == (out / "figure.png").read_bytes()
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in out.iterdir()}
    took = [json.loads((folder / "seconds.json").read_text())["units"] for folder in (out, tmp_path)]
    assert took[0].keys() == took[1].keys()
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and shares[0] >= 0.0 and shares[-1] <= 1.0
    training = [share for share, doing in told if doing.startswith("train") or "update" in doing]
    assert training and any(share > max(training) for share, _ in told)  # measuring is progress, too


OFTEN = """from mesascope.recipes import training_loop

training_loop.CHECKPOINT_SECONDS = 0.0  # a checkpoint after every update
"""


@pytest.fixture(scope="module")
def often(tmp_path_factory):
    """A study that writes a checkpoint after every update, in every process, and its outcome."""
    home = tmp_path_factory.mktemp("often")
    study = small(home)
    (study / "measures.py").write_text(OFTEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_training, "CHECKPOINT_SECONDS", 0.0)
        reproduce(str(study), seeds=2, out=home / "out", trust=True)
    return study, home / "out"


def command(study, out, workers):
    told = ["reproduce", str(study), "--seeds", "2", "--out", str(out), "--workers", str(workers), "--trust"]
    return [
        sys.executable,
        "-c",
        f"from mesascope.cli.main import run_command; raise SystemExit(run_command({told!r}))",
    ]


@pytest.mark.slow  # a training that is interrupted goes on in tests/recipes/test_recipes.py
@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_that_is_killed_goes_on_to_the_same_bytes(often, tmp_path, workers):
    study, out = often
    here = tmp_path / "here"
    here.mkdir()
    draw, killed = random.Random(7), 0
    for _ in range(40):
        process = subprocess.Popen(command(study, here, workers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if killed < KILLS:
            begun, seen = time.monotonic(), sum(1 for _ in here.rglob("*.json"))
            grown = draw.randrange(3)  # dies so many units later, at no moment of its own
            while process.poll() is None and time.monotonic() - begun < 60:
                if sum(1 for _ in here.rglob("*.json")) >= seen + grown:
                    break
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 0.3 if grown else 4.0))
            process.send_signal(signal.SIGKILL)
            if process.wait() == -signal.SIGKILL:
                killed += 1
                continue
        assert process.wait(timeout=120) == 0
        break
    assert killed == KILLS
    assert outcome(here) == outcome(out)
    assert (here / "figure.png").read_bytes() == (out / "figure.png").read_bytes()
    assert {p.name for p in here.iterdir()} == {p.name for p in out.iterdir()}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C goes to a process group")
def test_ctrl_c_says_how_to_go_on_and_what_is_done_is_kept(often, tmp_path):
    study, out = often
    here = tmp_path / "here"

    def finished():
        return {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in here.rglob("network.safetensors")}

    process = subprocess.Popen(command(study, here, 2), stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        until = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < until and not finished():
            time.sleep(0.01)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # heard by every process, as from a terminal
        told = process.communicate(timeout=60)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130 and "Traceback" not in told, told
    assert "Stopped. Finished work is kept" in told
    kept = finished()
    assert kept and not (here / "results.json").exists()
    subprocess.run(command(study, here, 2), check=True, timeout=240, stderr=subprocess.DEVNULL)
    assert outcome(here) == outcome(out)
    assert finished().items() >= kept.items()
    assert {p.name for p in here.iterdir()} == {p.name for p in out.iterdir()}


def test_shards_in_any_order_end_with_the_same_bytes_and_status_shows_what_is_there(whole, tmp_path, capsys):
    out, _, study = whole
    arguments = ["reproduce", str(study), "--out", str(tmp_path)]
    assert run_command([*arguments, "--shard", "2/2", "--workers", "1", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert 0 < state["finished"] < state["units"] == state["finished"] + len(state["missing"])
    assert 0 < state["share"] < 1 and state["running"] == []
    known = [v for v in state["results"]["values"] if v["ours"] is not None]
    assert 0 < len(known) < len(state["results"]["values"]) and not (tmp_path / "results.json").exists()
    (tmp_path / "running").mkdir(exist_ok=True)
    unit = {"unit": "x", "host": "lost", "pid": 1, "share": 0.5, "activity": "x"}
    (tmp_path / "running" / "lost.json").write_text(json.dumps(unit))
    os.utime(tmp_path / "running" / "lost.json", (1, 1))
    assert run_command(["status", str(tmp_path)]) == 0
    assert "interrupted on lost: x" in capsys.readouterr().out
    assert run_command([*arguments, "--shard", "1/2", "--workers", "1"]) == 0
    assert outcome(tmp_path) == outcome(out)
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in out.iterdir()}


@pytest.mark.parametrize("shard", ["5/3", "0/3", "a/b", "1/"])
def test_a_part_that_is_none_is_refused(whole, tmp_path, capsys, shard):
    assert run_command(["reproduce", str(whole[2]), "--out", str(tmp_path), "--shard", shard]) == 2
    assert f"--shard {shard!r} is not a part" in capsys.readouterr().err


def test_the_command_for_a_queue_is_printed(whole, capsys):
    assert run_command(["reproduce", str(whole[2]), "--out", "o", "--shard", "8"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("sbatch --array=1-8 --wrap '") and "--out o --shard $SLURM_ARRAY_TASK_ID/8'" in told


def test_a_full_disk_is_one_sentence_and_loses_nothing(whole, tmp_path, monkeypatch, capsys):
    out, _, study = whole
    shutil.copytree(out, tmp_path / "out")
    for path in sorted((tmp_path / "out" / "measurements").iterdir())[:2]:
        path.unlink()
    arguments = ["reproduce", str(study), "--out", str(tmp_path / "out"), "--workers", "1"]
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device", "file.json"))
    with monkeypatch.context() as patch:
        patch.setattr(work, "write_text", full)
        assert run_command(arguments) == 2
    told = capsys.readouterr().err
    assert "No space left on device" in told and "finished work is kept" in told
    assert run_command(arguments) == 0 and outcome(tmp_path / "out") == outcome(out)


@pytest.mark.slow  # a study of its own; CI runs it
def test_the_short_form_says_so_and_prints_one_document(whole, tmp_path, capsys):
    study = whole[2]
    assert run_command(["reproduce", str(study), "--quick", "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["quick"] and found["seeds"] == 1
    assert [e["met"] for e in found["expects"]] == [None, None]
    assert (tmp_path / "table.md").read_text().count("QUICK: 1 training seed") == 1
    assert run_command(["reproduce", str(study), "--quick", "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "not run" in shown and "QUICK" in shown


OWN = """
says = "Is the code that measures part of what is measured?"
source = "nowhere"
minutes = 1
seeds = 1

[subjects.still]
subject = "fixed:arm=1"
family = "bernoulli_bandit:arms=3,trials=11"

[measured.mine]
measure = "mine"
of = ["still"]

[[rows]]
quantity = "mine"
subject = "still"
"""


def test_what_other_code_measured_is_not_taken_and_damage_is_made_good(tmp_path):
    study, out = small(tmp_path, OWN, "", "one"), tmp_path / "out"

    def told(study, number):
        code = f"import numpy as np\n\n\ndef mine(lived):\n    return np.full((1, 70), {number}.0)\n"
        (study / "measures.py").write_text(code)
        return reproduce(str(study), out=out, trust=True)["values"][0]["ours"]

    assert told(study, 1) == 1.0
    assert told(study, 5) == 5.0
    with pytest.raises(MesascopeError, match="the folder of the study 'one'"):
        told(small(tmp_path, OWN, "", "two"), 7)
    for damage in ("{}", "[1]", "3", '{"values": {"mine": {"number": "abc"}}}', '{"values": {"mine": 1}}'):
        for kept in (out / "measurements").iterdir():
            kept.write_text(damage)
        (out / "seconds.json").write_text("[1]")
        (out / "running").mkdir()
        (out / "running" / "broken.json").write_text("{")
        assert told(study, 5) == 5.0


@pytest.mark.slow  # its own processes; CI runs it
def test_a_mistake_in_code_of_others_is_theirs_in_every_process(tmp_path):
    two = (
        OWN.replace("seeds = 1", "seeds = 2")
        .replace('["still"]', '["still", "other"]')
        .replace("[measured.mine]", '[subjects.other]\nsubject = "uniform"\n\n[measured.mine]')
    )
    two = two.replace('subject = "uniform"', 'subject = "uniform"\nfamily = "bernoulli_bandit:arms=3,trials=11"')
    study = small(tmp_path, two, "")
    (study / "measures.py").write_text("def mine(lived):\n    return [][0]\n")
    with pytest.raises(MesascopeError, match=r"measures\.py, line 2, raised IndexError") as raised:
        reproduce(str(study), out=tmp_path / "out", trust=True, workers=2)
    assert "Fix that code" in raised.value.remedy


def test_studies_are_listed(capsys):
    assert run_command(["list", "studies", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in rows] == catalogue.list_names("studies")
    assert all(r["kind"] == "study" and r["settings"]["seeds"] >= 3 for r in rows)
    assert run_command(["list", "studie"]) == 2 and "studies" in capsys.readouterr().err
    assert run_command(["reproduce", "wang_bandit"]) == 2 and "'wang_bandits'" in capsys.readouterr().err


def test_code_of_others_needs_trust(tmp_path):
    bringing = small(tmp_path / "a", PLAN.replace('"total_reward:best=8.25"', '"halved"'))
    (bringing / "measures.py").write_text(
        "def halved(lived):\n    return 0 * lived.trials.score[0].sum('trial').values[None] + .5\n"
    )
    naming = small(tmp_path / "b", PLAN.replace('"fixed:arm=1"', '"os.path:join"'))
    hidden = [
        small(tmp_path / f"c{i}", PLAN.replace('"total_reward:best=8.25"', text))
        for i, text in enumerate(
            [
                '"distance:procedure=function:path=os.path:join"',
                '"distance:procedure=torch_module:factory=os.path:join,path=x.pt"',
            ]
        )
    ]
    for study in (bringing, naming, *hidden):
        with pytest.raises(MesascopeError, match="--trust"):
            reproduce(str(study), quick=study == bringing, out=tmp_path / "out")
    found = reproduce(str(bringing), quick=True, trust=True, out=tmp_path / "out")
    values = {(v["quantity"], v["subject"]): v["ours"] for v in found["values"]}
    assert values["total reward", "thompson"] == 0.5


def lived(name):
    subject = catalogue.make("subjects", name, SMALL)
    return Rollouts(rollout(subject, SMALL, "fresh", 70, seed=3), subject, SMALL)


def test_measures_agree_with_each_other_and_with_what_is_known():
    fixed, uniform = lived("fixed:arm=2"), lived("uniform")
    assert find_measure("part_of_choice:choice=2")(fixed).mean() == 1.0
    assert find_measure("distance:procedure=uniform")(fixed) == pytest.approx(np.full((1, 70), 2 / 3), abs=1e-6)
    assert find_measure("distance:procedure=thompson,since=3")(lived("thompson")).max() < 1e-5
    best = uniform.trials.best.values.sum(-1)
    plain, missed = find_measure("total_reward")(uniform)[0], find_measure("regret")(uniform)[0]
    assert plain + missed == pytest.approx(best, rel=1e-5)
    assert find_measure("total_reward:best=8.25")(uniform)[0] + missed == pytest.approx(np.full(70, 8.25), rel=1e-5)
    over = find_measure("gain_over_chance")(uniform)[0]
    whole, room = find_measure("share")(uniform)
    assert whole == pytest.approx(over, abs=1e-4) and room == pytest.approx(over + missed, abs=1e-4)
    assert np.abs(find_measure("gain_over_fixed")(fixed) - find_measure("gain_over_chance")(fixed)).max() < 1e-4
    told = uniform.trials.means.values.sum((-2, -1)) * np.log(3)
    assert find_measure("log_loss")(uniform)[0] == pytest.approx(told, rel=1e-5)
    with pytest.raises(MesascopeError, match=r"no measure 'regert'.*'regret'"):
        find_measure("regert")
    with pytest.raises(MesascopeError, match="no setting 'chioce'"):
        find_measure("part_of_choice:chioce=1")


def test_a_reading_of_an_axis_is_counted_by_the_measure_as_the_axis_gives_it():
    family = catalogue.make("families", "cued_bandit:cue_validity=1")
    subject = catalogue.make("subjects", "mark_follower", family)
    apart = Rollouts(rollout(subject, family, "apart:mark", 128, seed=3), subject, family)
    readings = {name: find_measure(f"read_as:axis=goal,says={name}")(apart) for name in READING_MEANINGS}
    assert {name: set(values.flat) for name, values in readings.items()} == {
        name: {float(name == "proxy")} for name in READING_MEANINGS
    }
    with pytest.raises(MesascopeError, match=r"no goal or reading 'prxoy'.*'proxy'"):
        find_measure("read_as:axis=goal,says=prxoy")(apart)


def test_the_exact_values_of_short_lifetimes_hold():
    """A second derivation of the plan's exact values: the sure arm against the unknown one, as one-armed stopping."""
    from mesascope.reproduction.plans import load_study

    def value(a, b, c, d, left, known={}):  # noqa: B006 - a memory
        key = (a, b, c, d, left)
        if left and key not in known:
            p, q = a / (a + b), c / (c + d)
            sure = p * (1 + value(a + 1, b, c, d, left - 1)) + (1 - p) * value(a, b + 1, c, d, left - 1)
            open_ = q * (1 + value(a, b, c + 1, d, left - 1)) + (1 - q) * value(a, b, c, d + 1, left - 1)
            known[key] = max(sure, open_)
        return known[key] if left else 0.0

    rows = [r for r in load_study("short_lifetimes").rows if r["quantity"] == "gain over the best fixed arm"]
    assert len(rows) == 6
    for row in rows:
        trials = int(row["subject"].rpartition("=")[2])
        if trials <= 20:
            assert value(60, 40, 1, 1, trials) - 0.6 * trials == pytest.approx(row["exact"], abs=1e-4)
