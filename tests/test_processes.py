"""Work on several processes: the same answers in the same order, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mesascope.processes import fingerprint, spread

LONG = """
import os, time
from mesascope.processes import spread

if __name__ == "__main__":
    print(*spread(os.getppid, [(), ()], 2), flush=True)
    list(spread(time.sleep, [(60,), (60,)], 2))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_answers_come_in_the_order_of_the_units(workers):
    assert list(spread(divmod, [(17, 5), (9, 2), (7, 7)], workers)) == [(3, 2), (4, 1), (1, 0)]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_is_raised(workers):
    with pytest.raises(ZeroDivisionError):
        list(spread(divmod, [(17, 5), (9, 0), (7, 7)], workers))


def test_nothing_is_begun_after_a_failure(tmp_path):
    units = [(tmp_path, -1), *((tmp_path, n) for n in range(30))]
    begun = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        list(spread(noted, units, 2))
    time.sleep(2)
    assert len(list(tmp_path.iterdir())) <= 6 and time.monotonic() - begun < 60


def noted(folder, n):
    (folder / str(n)).write_text("")
    time.sleep(1)
    return 1 // (n + 1)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to a group")
def test_ctrl_c_ends_all_at_once_and_without_their_tracebacks(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(LONG)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    time.sleep(1)
    os.killpg(parent.pid, signal.SIGINT)
    _, told = parent.communicate(timeout=20)
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
    while (
        len(begun := _children(parent.pid)) < 3 and time.time() < deadline
    ):  # two workers, one resource tracker
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


def test_what_is_kept_is_not_computed_again(tmp_path):
    units = [(17, 5), (9, 2), (9, 0)]
    with pytest.raises(ZeroDivisionError):
        list(spread(divmod, units, 1, tmp_path))
    (kept,) = [p for p in tmp_path.iterdir() if "divmod 17 5" in p.read_text()]
    kept.write_text(kept.read_text().replace("[3, 2]", "[3, 33]"))
    (broken,) = [p for p in tmp_path.iterdir() if "divmod 9 2" in p.read_text()]
    broken.write_text("{")
    assert [list(a) for a in spread(divmod, units[:2], 2, tmp_path)] == [[3, 33], [4, 1]]


def test_other_code_has_another_fingerprint(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    before = fingerprint(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    assert fingerprint(tmp_path) == before
    (tmp_path / "b.toml").write_text("")
    assert fingerprint(tmp_path) != before


def test_functions_are_kept_by_name_and_what_cannot_be_kept_is_no_error(tmp_path):
    units = [(divmod, 17, 5)]
    assert list(spread(applied, units, 1, tmp_path / "a")) == [(3, 2)]
    (kept,) = (tmp_path / "a").iterdir()
    assert "divmod 17 5" in kept.read_text() and " at 0x" not in kept.read_text()
    (tmp_path / "file").write_text("")
    assert list(spread(applied, units, 1, tmp_path / "file" / "b")) == [(3, 2)]


def applied(work, *unit):
    return work(*unit)
