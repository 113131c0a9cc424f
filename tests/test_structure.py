"""What the design promises: imports go downward, no circles, short files, an import that costs and changes nothing."""

from __future__ import annotations

import ast
import fnmatch
import re
import resource
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from mesascope import catalogue

ROOT = Path(__file__).parents[1] / "mesascope"
LAYERS = (  # what a layer holds may import its own layer and those above it in this list
    (
        *("errors.py", "keys.py", "formats.py", "stats.py", "findings.py", "trials.py"),
        *("guards/*", "files.py", "catalogue.py"),
    ),
    ("contracts/*",),
    ("execution/*",),
    ("conditions/*", "agents/*"),
    ("worlds/*",),
    ("rollouts/*",),
    ("questions/*", "recipes/*", "logs/*"),
    ("worlds/*/metrics/*", "worlds/*/recipes/*"),
    ("reporting/*",),
    ("examination/*",),
    ("validation/*",),
    ("reproduction/*",),
    ("thread/*",),
    ("cli/*",),
)
WITHOUT_JAX = (
    *("questions/*", "worlds/*/metrics/*", "reporting/*", "logs/*", "cruxes/*", "cli/console.py"),
    *("stats.py", "findings.py", "trials.py", "errors.py", "contracts/metric.py", "contracts/axis.py"),
)
LONGEST = 400  # lines of a file
METRIC = re.compile(r"^(def metric\(|metric = )", re.MULTILINE)


def layer(path):
    """The number of the layer that a file, named from the package, belongs to: its most special pattern decides."""
    found = [(len(p), i) for i, patterns in enumerate(LAYERS) for p in patterns if fnmatch.fnmatch(path, p)]
    return max(found)[1] if found else None


def files(root):
    """Every module below a folder: its dotted name, its path from there, its tree."""
    for path in sorted(root.rglob("*.py")):
        place = path.relative_to(root)
        parts = ("mesascope", *place.with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, str(place), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree):
    """Every module or name that a file imports anywhere, but for the type checker alone, with the line."""
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
            yield from ((f"{'.' * node.level}{node.module or ''}.{alias.name}", node.lineno) for alias in node.names)


def wrongs(root):
    """Every breach of the rules below a package folder, in words."""
    known = {name: (place, tree) for name, place, tree in files(root)}
    graph = {}
    for name, (place, tree) in known.items():
        own, above = layer(place), set()
        if own is None and "/" in place and not place.startswith("cruxes/"):
            yield f"{place} has no layer"
        if (root / place).read_text(encoding="utf-8").count("\n") > LONGEST:
            yield f"{place} is longer than {LONGEST} lines"
        for target, line in imports(tree):
            where = f"{place}:{line} imports {target}"
            if target.startswith("."):
                yield f"{where} relatively"
            while target not in known and "." in target:
                target = target.rpartition(".")[0]
            if target not in known or target in ("mesascope", name):
                continue
            other = known[target][0]
            above.add(target)
            if place.startswith("cruxes/") and not other.startswith(("cruxes/", "errors.py", "public.py")):
                yield f"{where}: the crux model stands alone"
            if other.startswith("cruxes/") and not place.startswith(("cruxes/", "cli/", "thread/", "board/")):
                yield f"{where}: only the command line uses the crux model"
            if own is not None and (theirs := layer(other)) is not None and theirs > own:
                yield f"{where}, which stands above it"
            if other.startswith(("questions/", "worlds/")) and METRIC.search((root / other).read_text()):
                yield f"{where}, a metric that somebody may delete"
            if target.rpartition(".")[2].startswith("_") and target.rpartition(".")[0] != name.rpartition(".")[0]:
                yield f"{where}, which that folder keeps to itself"
        graph[name] = above
        if any(fnmatch.fnmatch(place, p) for p in WITHOUT_JAX):
            heavy = [f"{place}:{n}" for t, n in imports(tree) if t.split(".")[0] in ("jax", "equinox", "optax")]
            yield from (f"{where} imports JAX" for where in heavy)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"these import one another: {' → '.join(error.args[1])}"


def test_the_structure_holds():
    assert not (found := list(wrongs(ROOT))), "\n".join(found)


PLANTED = {
    "upwards": ("conditions/odd.py", "from mesascope.examination import runs", "stands above it"),
    "in a circle": ("keys.py", "from mesascope.trials import few", "import one another"),
    "a private module": ("worlds/odd.py", "from mesascope.worlds.any._odd import x", "keeps to itself"),
    "a metric in a rule": ("questions/odd.py", "import mesascope.worlds.any.metrics.m", "stands above it"),
    "a metric in a rule beside it": (
        "questions/odd.py",
        "from mesascope.questions.spectrum.benefit import metric",
        "somebody may delete",
    ),
    "relatively": ("agents/odd.py", "from . import function", "relatively"),
    "JAX for reports": ("reporting/odd.py", "import jax.numpy", "imports JAX"),
    "the crux model": ("examination/odd.py", "import mesascope.cruxes.claims", "uses the crux model"),
    "out of the crux model": ("cruxes/odd.py", "import mesascope.trials", "stands alone"),
    "in no room": ("shed/odd.py", "x = 1", "has no layer"),
    "too long": ("agents/odd.py", "x = 1\n" * 401, "longer than 400 lines"),
}


@pytest.mark.parametrize("breach", PLANTED)
def test_a_breach_is_found(breach, tmp_path):
    place, text, wanted = PLANTED[breach]
    sound = {
        "keys.py": "", "trials.py": "import mesascope.keys", "examination/runs.py": "", "agents/function.py": "",
        "worlds/any/_odd.py": "", "worlds/any/metrics/m.py": "", "cruxes/claims.py": "",
        "questions/spectrum/benefit.py": "def metric(): ...",
    }  # fmt: skip
    for name, content in {**sound, place: text}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    (found,) = wrongs(tmp_path)
    assert wanted in found


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_no_two_files_claim_one_name(kind):
    factory = re.compile(rf"^(def {catalogue.KINDS[kind]}\(|{catalogue.KINDS[kind]} = )", re.MULTILINE)
    files = [file for place in catalogue.PLUGIN_FILE_PATTERNS[kind] for file in ROOT.glob(place)]
    named = [f.parent.name if kind == "axes" else f.stem for f in files if factory.search(f.read_text())]
    assert named and len(set(named)) == len(named), sorted(n for n in named if named.count(n) > 1)


def python(code):
    """What a fresh interpreter prints."""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert asked.stderr == ""
    return asked.stdout


def test_importing_costs_nothing():
    heavy = ("jax", "numpy", "scipy", "pandas", "xarray", "matplotlib", "equinox", "typer", "rich")
    told = python(f"import sys, mesascope; dir(mesascope); print([m for m in {heavy} if m in sys.modules])")
    assert told == "[]\n"


@pytest.mark.parametrize(
    "module", ["questions.spectrum.placement", "reporting.page", "cruxes", "examination.measurement", "runs_without"]
)
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
    if not found.name.endswith("inspect_tasks"):  # Inspect AI imports it, nothing else
        importlib.import_module(found.name)
for i, (a, b) in enumerate(zip(before, state())):
    if a != b:
        print(i, [k for k in a if a[k] != b.get(k)] if isinstance(a, dict) else (a, b))
"""
    )
    assert told == ""


def test_help_answers_at_once():
    code = "import sys; sys.argv = ['mesascope', '--help']; from mesascope.cli.main import main; main()"
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
        [sys.executable, "-m", "mesascope", "list", "metrics", "--json"], capture_output=True, text=True, timeout=120
    )
    assert asked.returncode == 0 and "benefit" in asked.stdout


FOREIGN_ATTRIBUTES = {  # looked for on objects of other packages, of the interpreter, or of users
    "client", "command_path", "ctx", "detach", "dim_value", "dtype", "env", "exit_code", "format_message",
    "get_distribution", "getloadavg", "initial_state", "initializer", "isoformat", "low", "lstm_actor",
    "max_position_embeddings", "n", "numel", "origin", "pthread_sigmask", "q_net", "quantile_net",
    "sched_getaffinity", "shape", "sparse_initializer", "splits", "start", "strerror",
}  # fmt: skip


def test_attributes_that_are_looked_for_by_name_exist():
    """A rename does not find a name in quotes: `getattr(x, "name", None)` then takes the default for ever."""
    defined, wanted = set(FOREIGN_ATTRIBUTES), {}
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    defined.add(name)
                case ast.Assign(targets=targets):
                    defined |= {t.id for x in targets for t in ast.walk(x) if isinstance(t, ast.Name)}
                    defined |= {t.attr for x in targets for t in ast.walk(x) if isinstance(t, ast.Attribute)}
                case ast.AnnAssign(target=ast.Name(id=name)):
                    defined.add(name)
                case ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_]):
                    wanted[name] = f"{path.relative_to(ROOT)}:{node.lineno}"
    missing = {name: place for name, place in wanted.items() if name not in defined and not name.startswith("__")}
    assert missing == {}
    assert wanted.keys() >= FOREIGN_ATTRIBUTES, "not looked for any more"
