"""The engine of dask.distributed: a real scheduler and real workers, as processes."""

import importlib
import os
import subprocess
import sys
import time

import pytest

from mesascope.cli.main import run_command
from mesascope.contracts import import_optional_package
from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.execution import run_units
from mesascope.execution.engines import dask
from mesascope.execution.folders import Plan, claim_folder

pytest.importorskip("distributed", reason="needs the extra 'cluster'")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with two workers; before they start, a unit waits, and this is said."""
    home = tmp_path_factory.mktemp("dask")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}

    def start(name, *words):
        code = f"import sys; from distributed.cli.{name} import main; sys.argv = {[name, *words]!r}; main()"
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment, "cwd": home}
        return subprocess.Popen([sys.executable, "-c", code], **options)

    file = str(home / "scheduler.json")
    place = ["--host", "127.0.0.1", "--no-dashboard"]
    processes = [start("dask_scheduler", *place, "--port", "0", "--scheduler-file", file)]
    deadline = time.monotonic() + 60
    while not os.path.exists(file) and time.monotonic() < deadline:
        time.sleep(0.1)
    from json import load

    with open(file) as opened:
        address = load(opened)["address"].replace("tcp://", "dask://")
    worker = ["--nthreads", "1", "--no-dashboard", "--scheduler-file", file]
    with pytest.warns(MesascopeWarning, match="has no workers; units wait"):
        client = dask._connect(import_optional_package("distributed", "cluster"), address)
    processes += [start("dask_worker", *worker) for _ in range(2)]
    client.wait_for_workers(2, timeout=60)
    client.close()
    yield address
    for process in reversed(processes):
        process.terminate()
    for process in processes:
        process.wait(20)


def test_answers_come_in_order_and_are_kept(cluster, tmp_path):
    claim_folder(tmp_path, Plan("validation", "x"), {})
    assert [tuple(a) for a in run_units(divmod, [(17, 5), (9, 2)], folder=tmp_path, engine=cluster)] == [(3, 2), (4, 1)]
    assert len(list((tmp_path / "answers").iterdir())) == 2


def test_what_fails_is_raised(cluster):
    with pytest.raises(ZeroDivisionError):
        list(run_units(divmod, [(17, 5), (9, 0)], engine=cluster))


def need_other_package():
    importlib.import_module("a_package_that_only_this_unit_needs")


def test_a_package_that_a_unit_lacks_is_not_another_version(cluster):
    with pytest.raises(ModuleNotFoundError, match="a_package_that_only_this_unit_needs"):
        list(run_units(need_other_package, [()], engine=cluster))


def test_workers_of_another_version_are_refused(cluster, monkeypatch):
    here = dask._describe_process()
    monkeypatch.setattr(dask, "_describe_process", lambda: {**here, "mesascope": "0.0 (other)"})
    with pytest.raises(MesascopeError, match=r"The worker tcp://.* has mesascope .* \(here '0.0 \(other\)'\)"):
        list(run_units(divmod, [(17, 5)], engine=cluster))


def die_once(folder):
    """Ends its process the first time."""
    try:
        (folder / "died").touch(exist_ok=False)
    except FileExistsError:
        return os.getpid()
    os._exit(1)


def test_a_lost_worker_loses_nothing(cluster, tmp_path):
    assert list(run_units(die_once, [(tmp_path,)], engine=cluster))


@pytest.mark.parametrize("address", ["dask://127.0.0.1:1", "dask://", "dsk://127.0.0.1:1", "tls://127.0.0.1:1"])
def test_an_unreachable_scheduler_is_one_sentence(address, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dask, "CONNECT_SECONDS", 1)
    code = run_command(["validate", "--quick", "--parts", "axes", "--out", str(tmp_path / "a"), "--engine", address])
    told = capsys.readouterr().err
    assert code == 2 and "mesascope: " in told and "Traceback" not in told
