"""The core runs on the newest Python that it is meant for."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ["test_stats.py", "test_bernoulli_bandit.py", "test_conditions.py", "worlds/test_cued_bandit.py"]


def interpreter() -> str | None:
    """A Python 3.13 that starts, from the path or from pyenv."""
    there = [shutil.which("python3.13"), *Path.home().glob(".pyenv/versions/3.13*/bin/python3.13")]
    for path in map(str, filter(None, there)):
        told = subprocess.run([path, "--version"], capture_output=True, text=True)
        if told.returncode == 0 and told.stdout.startswith("Python 3.13"):
            return path
    return None


@pytest.mark.long
def test_the_core_runs_on_python_3_13(tmp_path):
    python = interpreter()
    if python is None:
        pytest.skip("there is no Python 3.13 here")
    own = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "venv", str(tmp_path / "venv")], check=True)
    made = subprocess.run(
        [own, "-m", "pip", "install", "-q", f"{ROOT}[test]"], capture_output=True, text=True, cwd=tmp_path
    )
    if made.returncode:
        pytest.skip(f"what the core needs could not be installed for Python 3.13: {made.stderr[-300:]}")
    asked = [own, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(ROOT / "tests" / t) for t in TESTS)]
    # the flags are those of this jaxlib; another ends the process at one that it does not know
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    ran = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
