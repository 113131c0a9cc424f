"""What the design promises: imports one way, short files, an import that costs and changes nothing."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "mesascope"
LAYERS = (
    {
        "errors",
        "secrecy",
        "blame",
        "keys",
        "caching",
        "compiling",
        "processes",
        "findings",
        "stats",
        "trials",
        "identity",
        "gate",
        "limits",
    },
    {"families", "subjects", "conditions", "probes", "logs"},
    {"catalogue", "lives", "scans", "loops", "rollouts", "replays", "leaks", "measurement", "recipes"},
    {"axes", "placement", "kept", "bench", "examination", "inspected", "inspect_tasks", "runs", "training"},
    {"reporting"},
    {
        "checks",
        "__main__",
        "cli",
        "console",
        "datasets",
        "validation",
        "validation_of_axes",
        "demonstration",
        "reproducing",
        "reproduction",
    },
)
LAYER = {name: i for i, names in enumerate(LAYERS) for name in names}
WITHOUT_JAX = (
    "probes",
    "axes",
    "stats",
    "findings",
    "trials",
    "placement",
    "reporting",
    "cruxes",
    "logs",
    "console",
    "errors",
)
FILES = sorted(p for p in ROOT.rglob("*.py"))


def part(path):
    """The name of a file's folder or single file directly below the package."""
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(path):
    """Every module that a file imports anywhere, but for the type checker alone, with the line."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    shut = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in shut:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            if node.module == "mesascope":
                yield from ((f"mesascope.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield str(node.module), node.lineno


def of_ours(path):
    """The parts of the package that a file imports, with the line."""
    for module, line in imported(path):
        names = module.split(".")
        if names[0] == "mesascope" and len(names) > 1 and names[1] != "__version__":
            yield names[1], line


def test_every_part_has_its_place():
    found = {part(p) for p in FILES} - {"__init__", "__main__", "cruxes"}
    assert found <= LAYER.keys(), f"give {found - LAYER.keys()} a place in LAYERS"


def test_imports_go_one_way():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {other}"
        for path in FILES
        if (own := part(path)) in LAYER
        for other, line in of_ours(path)
        if other != "cruxes" and LAYER.get(other, 0) > LAYER[own]
    ]
    assert not wrong, "\n".join(wrong)


def test_the_crux_model_stands_alone():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {other}"
        for path in FILES
        if part(path) == "cruxes"
        for other, line in of_ours(path)
        if other not in ("cruxes", "errors")
    ]
    assert not wrong, "\n".join(wrong)


def test_nobody_but_the_command_line_imports_the_crux_model():
    users = {part(path) for path in FILES for other, _ in of_ours(path) if other == "cruxes"}
    assert users <= {"cruxes", "cli"}


def test_what_measures_never_imports_a_recipe():
    users = {part(path) for path in FILES for other, _ in of_ours(path) if other == "recipes"}
    assert users <= {"recipes"}


def test_data_is_measured_and_shown_without_jax():
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in FILES
        if part(path) in WITHOUT_JAX
        for module, line in imported(path)
        if module.split(".")[0] in ("jax", "equinox", "optax")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_long():
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def python(code):
    """What a fresh interpreter prints."""
    asked = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert asked.stderr == ""
    return asked.stdout


def test_importing_costs_nothing():
    heavy = ("jax", "numpy", "scipy", "pandas", "xarray", "matplotlib", "equinox", "typer", "rich")
    told = python(f"import sys, mesascope; dir(mesascope); print([m for m in {heavy} if m in sys.modules])")
    assert told == "[]\n"


@pytest.mark.parametrize("module", ["placement", "reporting.page", "cruxes", "measurement", "runs_without"])
def test_reports_and_crux_models_load_no_jax(module):
    if module == "runs_without":
        module = "findings, mesascope.stats, mesascope.trials, mesascope.logs"
    assert python(f"import sys, mesascope.{module}; print('jax' in sys.modules)") == "False\n"


def test_importing_changes_nothing_global():
    told = python(
        """
import decimal, locale, logging, random, signal, sys, warnings
import jax, matplotlib, numpy as np

def state():
    return [
        np.geterr(), np.get_printoptions(), dict(jax.config.values), dict(matplotlib.rcParams),
        matplotlib.get_backend(auto_select=False), logging.getLogger().handlers[:], logging.getLogger().level,
        logging.getLogger("mesascope").handlers[:], warnings.filters[:], random.getstate(),
        [x.tobytes() if hasattr(x, "tobytes") else x for x in np.random.get_state()],
        signal.getsignal(signal.SIGINT), sys.excepthook, sys.path[:], locale.getlocale(),
        decimal.getcontext().prec,
    ]

import h5netcdf, xarray, pandas, equinox, typer, rich.console, scipy.stats, optax, gymnasium
before = state()
import importlib, pkgutil, mesascope
for found in pkgutil.walk_packages(mesascope.__path__, "mesascope."):
    importlib.import_module(found.name)
for i, (a, b) in enumerate(zip(before, state())):
    if a != b:
        print(i, [k for k in a if a[k] != b.get(k)] if isinstance(a, dict) else (a, b))
"""
    )
    assert told == ""


def test_help_answers_at_once():
    code = "import sys; sys.argv = ['mesascope', '--help']; from mesascope.cli import main; main()"
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = python(code)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert "examine" in told
    assert min(took) < 0.5, took  # seconds of computing: other tests run at the same time


def test_the_package_runs_as_the_command():
    asked = subprocess.run(
        [sys.executable, "-m", "mesascope", "list", "probes", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert asked.returncode == 0 and "benefit" in asked.stdout
