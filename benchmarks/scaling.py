"""Speed-up, overhead and kills of every engine: `python benchmarks/scaling.py [--kills 10] [--seconds 0.5]`.

64 cells of the same length run with one process, with one and two workers of every engine, and as parts in random
order. With every engine, the run is then killed at random moments and continued. The final bytes must always be those
of one process. Times mean something only on an idle machine.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

CELLS = 64
PARTS = 4


def compute(number: int, seconds: float) -> str:
    """Takes `seconds`, and returns a digest of the number."""
    time.sleep(seconds)
    return hashlib.sha256(str(number).encode()).hexdigest()


def run(folder: Path, engine: str, workers: int, seconds: float, shard: str = "") -> None:
    """Runs the cells, or one part, and writes result.json once every cell is finished."""
    from mesascope.execution import run_units, select_shard
    from mesascope.execution.folders import Plan, claim_folder
    from mesascope.execution.results import load_answers
    from mesascope.files import write_text

    claim_folder(folder, Plan("validation", "of scaling"), {})
    cells = [(number, seconds) for number in range(CELLS)]
    for _ in run_units(compute, select_shard(cells, shard), workers, folder, engine=engine):
        pass
    answers = [answer for _, answer in load_answers(folder, compute, cells)]
    if len(answers) == CELLS:
        write_text(folder / "result.json", json.dumps(answers))


def start_run(
    folder: Path, engine: str, workers: int, seconds: float, shard: str = "", errors: int | None = None
) -> subprocess.Popen:
    """Starts `run` in a process of its own."""
    call = f"scaling.run(scaling.Path({str(folder)!r}), {engine!r}, {workers}, {seconds}, {shard!r})"
    code = f"import scaling\nif __name__ == '__main__': {call}"
    return subprocess.Popen([sys.executable, "-c", code], env=make_environment(), stderr=errors)


def make_environment() -> dict[str, str]:
    """The environment in which every process finds this file and the package."""
    here = Path(__file__).resolve().parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)])}


class Cluster:
    """A scheduler and workers of dask as processes."""

    def __init__(self, workers: int):
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "scheduler.json"
        self.processes = [self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)]
        while not file.exists():
            time.sleep(0.1)
        for _ in range(workers):
            self.processes.append(self._start("dask_worker", "--nthreads", "1", "--scheduler-file", file))
        self.address = json.loads(file.read_text())["address"].replace("tcp://", "dask://")

    def _start(self, name: str, *words: object) -> subprocess.Popen:
        arguments = [name, *map(str, words), "--no-dashboard"]
        code = f"import sys; from distributed.cli.{name} import main; sys.argv = {arguments!r}; main()"
        return subprocess.Popen(
            [sys.executable, "-c", code], env=make_environment(), cwd=self.folder.name, stderr=subprocess.DEVNULL
        )

    def close(self) -> None:
        """Ends the processes."""
        for process in reversed(self.processes):
            process.terminate()
            process.wait(30)
        self.folder.cleanup()


def measure(name: str, engine: str, workers: int, seconds: float, expected: bytes, busy: int | None = None) -> None:
    """Prints the time of one run beside the time of the cells alone."""
    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        assert start_run(Path(home) / "run", engine, workers, seconds).wait() == 0
        took = time.monotonic() - began
        same = (Path(home) / "run" / "result.json").read_bytes() == expected
    processes = busy or workers
    overhead = (took - CELLS * seconds / processes) * processes / CELLS
    print(f"{name}: {took:.1f} s, overhead {overhead:.3f} s per cell, same bytes: {same}")
    assert same


def list_children(process: int) -> list[int]:
    """Lists the processes that a process started."""
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True).stdout
    return [int(line) for line in listing.split()]


def kill(
    name: str,
    engine: str,
    seconds: float,
    kills: int,
    expected: bytes,
    *,
    parts: int = 0,
    nannies: Sequence[subprocess.Popen] = (),
) -> None:
    """Kills the driver of a run, or one of its workers, at random moments, and continues until it ends."""
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as home:
        folder, done, lost = Path(home) / "run", 0, 0
        while True:
            shards = [f"{i + 1}/{parts}" for i in range(parts)] or [""]
            draw.shuffle(shards)
            codes = []
            for shard in shards:
                finished = {p.name: p.read_bytes() for p in folder.glob("answers/*.json")}
                process = start_run(folder, engine, 1 if parts else 2, seconds, shard, subprocess.DEVNULL)
                if done < kills:
                    time.sleep(draw.uniform(0.3, 2.0))
                    starters = [process.pid, *(nanny.pid for nanny in nannies)]
                    victims = [process.pid, *(child for starter in starters for child in list_children(starter))]
                    if process.poll() is None:
                        try:
                            os.kill(draw.choice(victims), signal.SIGKILL)
                            done += 1
                        except ProcessLookupError:
                            pass
                codes.append(process.wait())
                lost += any((folder / "answers" / n).read_bytes() != b for n, b in finished.items())
            if not any(codes) and done >= kills:
                break
            if (folder / "result.json").exists():  # it ended before all kills: begins again
                assert (folder / "result.json").read_bytes() == expected
                folder = folder.with_name(f"run-{done}")
        same = (folder / "result.json").read_bytes() == expected
    print(f"{name}: {done} kills, {lost} finished cells lost, same bytes: {same}")
    assert same and not lost


def main() -> None:
    """Prints one line for each engine and number of workers, and one for its kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        run(Path(home) / "run", "local", 1, 0.0)
        expected = (Path(home) / "run" / "result.json").read_bytes()
        shards = [f"{i + 1}/{PARTS}" for i in range(PARTS)]
        random.Random(1).shuffle(shards)
        for shard in shards:
            run(Path(home) / "parts", "local", 1, 0.0, shard)
        same = (Path(home) / "parts" / "result.json").read_bytes() == expected
        print(f"parts in the order {', '.join(shards)}: same bytes: {same}")
        assert same
    for workers in (1, 2):
        measure(f"local, {workers} workers", "local", workers, options.seconds, expected)
        cluster = Cluster(workers)
        measure(f"dask, {workers} workers", cluster.address, 0, options.seconds, expected, workers)
        cluster.close()
    kill("local", "local", options.seconds / 5, options.kills, expected)
    kill("parts", "local", options.seconds / 5, options.kills, expected, parts=PARTS)
    cluster = Cluster(2)
    kill("dask", cluster.address, options.seconds / 5, options.kills, expected, nannies=cluster.processes[1:])
    cluster.close()


if __name__ == "__main__":
    main()
