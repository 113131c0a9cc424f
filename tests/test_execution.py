"""Work on several processes: the same answers in the same order, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.execution import format_array_command, run_units, select_shard
from mesascope.execution.folders import Plan, announce_unit, claim_folder, list_running, read_claim
from mesascope.files import hash_folder

LONG = """
import os, time
from mesascope.execution import run_units

if __name__ == "__main__":
    print(*run_units(os.getppid, [(), ()], 2), flush=True)
    list(run_units(time.sleep, [(60,), (60,)], 2))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_come_in_the_order_of_the_units(workers):
    assert list(run_units(divmod, [(17, 5), (9, 2), (7, 7)], workers)) == [(3, 2), (4, 1), (1, 0)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_is_raised(workers):
    with pytest.raises(ZeroDivisionError):
        list(run_units(divmod, [(17, 5), (9, 0), (7, 7)], workers))


def test_nothing_is_begun_after_a_failure(tmp_path):
    units = [(tmp_path, -1), *((tmp_path, n) for n in range(30))]
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        list(run_units(noted, units, 2))
    time.sleep(2)
    assert len(list(tmp_path.iterdir())) <= 6 and time.monotonic() - begun < 60


def test_what_fails_is_raised_before_what_takes_longer_has_ended():
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        list(run_units(wait_or_fail, [(60,), (0,)], 2))
    assert time.monotonic() - begun < 40


def wait_or_fail(seconds):
    time.sleep(seconds)
    return 1 / seconds


def test_a_process_that_is_ended_from_outside_is_told_of():
    with pytest.raises(MesascopeError, match="worker process ended unexpectedly"):
        list(run_units(die, [(True,), (False,)], 2))


def die(how):
    if how:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(1)


def test_what_would_end_a_process_is_told_of_with_its_line():
    with pytest.raises(MesascopeError, match=r"test_execution\.py, line \d+, would have ended the run: SystemExit: 0"):
        list(run_units(leave, [(0,), (0,)], 2))


def leave(code):
    sys.exit(code)


class Awkward(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def test_an_error_that_cannot_travel_says_what_it_said():
    with pytest.raises(RuntimeError, match="Awkward: this and that"):
        list(run_units(awkward, [(1,), (2,)], 2))


def awkward(n):
    raise Awkward("this", "that")


def test_a_warning_is_passed_on_once():
    with pytest.warns(MesascopeWarning) as caught:
        assert list(run_units(warned, [(1,), (2,), (3,)], 2)) == [1, 2, 3]
    assert [str(w.message) for w in caught] == ["known to all"]


def warned(n):
    warnings.warn("known to all", MesascopeWarning, stacklevel=1)
    return n


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends a process at once there")
def test_a_unit_that_is_ended_may_keep_what_it_has(tmp_path):
    with pytest.raises(ZeroDivisionError):
        list(run_units(keeping, [(tmp_path, 60), (tmp_path, 0)], 2))
    assert (tmp_path / "kept").exists()


def keeping(folder, seconds):
    if not seconds:
        while not (folder / "begun").exists():
            time.sleep(0.01)
        raise ZeroDivisionError
    try:
        (folder / "begun").touch()
        time.sleep(seconds)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGTERM)  # as a pool does when it sees that another worker has ended
        time.sleep(0.1)
        (folder / "kept").touch()
        raise


def noted(folder, n):
    (folder / str(n)).write_text("")
    time.sleep(1)
    return 1 // (n + 1)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to a group")
def test_ctrl_c_ends_all_at_once_and_without_their_tracebacks(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(LONG)
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    deadline = time.time() + 30
    while len(_children(parent.pid)) < 3 and time.time() < deadline:  # two workers, one resource tracker
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(parent.pid, signal.SIGINT)
    _, told = parent.communicate(timeout=60)
    assert told.count("KeyboardInterrupt") == 1 and "SpawnProcess" not in told


def _children(pid):
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
    return [int(x) for x in told.split()]


@pytest.mark.skipif(sys.platform == "win32", reason="asks ps")
def test_a_parent_that_is_killed_leaves_nobody_behind(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(LONG)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as told:
        told.readline()
    deadline = time.time() + 30
    while len(begun := _children(parent.pid)) < 3 and time.time() < deadline:  # two workers, one resource tracker
        time.sleep(0.1)
    assert len(begun) >= 2
    parent.send_signal(signal.SIGKILL)
    parent.wait()

    def alive():
        return [pid for pid in begun if not _gone(pid)]

    while alive() and time.time() < deadline:
        time.sleep(0.1)
    assert not alive()


def _gone(pid):
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return told.strip().startswith("Z") or not told.strip()


PLAN = Plan("validation", "of arithmetic")


@pytest.fixture
def home(tmp_path):
    """The folder of a run."""
    claim_folder(tmp_path / "home", PLAN, {})
    return tmp_path / "home"


def test_what_is_kept_is_not_computed_again(home):
    units = [(17, 5), (9, 2), (9, 0)]
    with pytest.raises(ZeroDivisionError):
        list(run_units(divmod, units, 1, home))
    answers = list((home / "answers").iterdir())
    (kept,) = [p for p in answers if "divmod 17 5" in p.read_text()]
    kept.write_text(kept.read_text().replace("[3, 2]", "[3, 33]"))
    (broken,) = [p for p in answers if "divmod 9 2" in p.read_text()]
    broken.write_text("{")
    assert [list(a) for a in run_units(divmod, units[:2], 2, home)] == [[3, 33], [4, 1]]


def test_other_code_has_another_fingerprint(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    before = hash_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    assert hash_folder(tmp_path) == before
    (tmp_path / "b.toml").write_text("")
    assert hash_folder(tmp_path) != before


def test_functions_are_kept_by_name(home):
    assert list(run_units(applied, [(divmod, 17, 5)], 1, home)) == [(3, 2)]
    (kept,) = (home / "answers").iterdir()
    assert "divmod 17 5" in kept.read_text() and " at 0x" not in kept.read_text()


def applied(work, *unit):
    return work(*unit)


def test_a_folder_is_left_out_of_a_fingerprint(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "a.py").write_text("x = 1")
    before = hash_folder(tmp_path, excluded_folder=tmp_path / "run")
    (tmp_path / "run" / "b.py").write_text("")
    assert hash_folder(tmp_path, excluded_folder=tmp_path / "run") == before != hash_folder(tmp_path)


def test_a_running_unit_is_announced_and_a_folder_that_is_not_there_is_told_of(home, tmp_path):
    with announce_unit(home, "one") as report:
        report(0.25, "counting")
        deadline = time.monotonic() + 20
        while not (found := list_running(home)) or found[0].share != 0.25:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert found[0].is_alive and found[0].activity == "counting" and found[0].pid == os.getpid()
    assert list_running(home) == []
    with pytest.raises(MesascopeError, match="does not see the run's folder"), announce_unit(tmp_path / "no", "one"):
        pass


def test_a_folder_belongs_to_one_run(home):
    claim_folder(home, PLAN, {"seeds": 3})
    assert read_claim(home) == (PLAN, {"seeds": 3})
    with pytest.raises(MesascopeError, match="the folder of the validation 'of arithmetic', not of the study 'other'"):
        claim_folder(home, Plan("study", "other"), {})


def test_every_unit_is_in_one_part():
    parts = [select_shard(range(7), f"{i}/3") for i in (1, 2, 3)]
    assert sorted(n for part in parts for n in part) == list(range(7)) and select_shard("ab", "") == "ab"
    assert (
        format_array_command(["m", "a b"], 3)
        == "sbatch --array=1-3 --wrap 'm '\"'\"'a b'\"'\"' --shard $SLURM_ARRAY_TASK_ID/3'"
    )
