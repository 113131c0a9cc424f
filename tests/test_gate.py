"""What may run: what the user typed and what is installed, and nothing that a file or a folder names."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr

import mesascope
from mesascope import catalogue
from mesascope.agents.networks.network_files import read_header
from mesascope.agents.opening import open_subject
from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.guards import gate
from mesascope.guards.blame import locate_error
from mesascope.guards.identity import list_loaded_modules
from mesascope.rollouts.replays import Replays

ROOT = Path(mesascope.__file__).parent
SMALL = "bernoulli_bandit:arms=2,trials=12"
NAMES = {
    *("import_module", "__import__", "exec_module", "spec_from_file_location", "run_path", "run_module"),
    *("from_pretrained", "make_vec", "Unpickler", "_Unpickler", "eval", "exec", "compile", "read_pickle"),
}
LOADERS = (
    "pickle",
    "cloudpickle",
    "dill",
    "marshal",
    "joblib",
    "shelve",
    "lazy_loader",
    "torch",
    "gymnasium",
    "require(",
)
LOADING = {"load", "loads", "make", "spec", "open"}
FREE = {  # no text of a file's reaches these
    ("cruxes/argument.py", "importlib.import_module"): "our own modules",
    ("execution/calls.py", "pickle.loads"): "what it has just written",
    ("execution/engines/__init__.py", "importlib.import_module"): "the files of its own folder",
    ("agents/pickles.py", "pickle._Unpickler"): "reads data, calls nothing",
}
OPENED = {  # who says that a text was typed
    *("cli/main.py", "catalogue.py", "examination/examination.py", "examination/checks.py"),
    *("agents/opening.py", "rollouts/rollouts.py"),
    *("recipes/training.py", "reproduction/run.py", "agents/torch_module.py", "agents/language/llama_cpp.py"),
}


def running(source):
    """What a file refers to by which a text could come to run, but for what it hands to the gate."""
    tree, known, handed = ast.parse(source), {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {a.asname or a.name: a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "gate.make_environment":
            handed |= {id(a) for a in node.args}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute | ast.Name) or id(node) in handed:
            continue
        root, dot, rest = ast.unparse(node).partition(".")
        whole = known.get(root, root) + dot + rest
        place, _, name = whole.rpartition(".")
        ours = place.startswith("mesascope") or place.split(".")[0] == "re" or whole.endswith("().eval")
        if (name in NAMES and not (ours or (name == "eval" and place))) or (
            name in LOADING and place.startswith(LOADERS)
        ):
            yield whole


def sources():
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in ROOT.rglob("*.py")}


def test_nothing_runs_what_a_text_names_but_the_gate():
    found = {(f, what) for f, text in sources().items() if f != "guards/gate.py" for what in running(text)}
    assert found == set(FREE), "let it pass through mesascope.guards.gate"


def test_our_own_code_is_known_for_ours_wherever_it_lies():
    with pytest.raises(MesascopeError) as caught:
        catalogue.make("families", "none_such")
    assert locate_error(caught.value).startswith(__file__)
    assert not [name for name in list_loaded_modules() if name.partition(".")[0] == "mesascope"]
    assert not __file__.startswith(gate.LIBRARY_FOLDERS)
    assert mesascope.__file__.startswith(gate.LIBRARY_FOLDERS)


def test_nobody_else_opens_the_gate():
    opened = {f for f, text in sources().items() if "gate.allow(" in text or "gate.allow_from_python(" in text}
    assert opened == OPENED


@pytest.mark.parametrize(
    "planted",
    [
        "import importlib\nimportlib.import_module(x)",
        "from importlib import import_module as get\nget(x)",
        "__import__(x)",
        "eval(x)",
        "exec(x)",
        "import gymnasium\ngymnasium.make(x)",
        "import gymnasium as g\ng.make_vec(x)",
        "import torch\ntorch.load(x)",
        "import torch\ntorch.jit.load(x)",
        "require('torch', 'torch').load(x)",
        "import pickle\npickle.loads(x)",
        "from cloudpickle import load\nload(x)",
        "AutoModel.from_pretrained(x)",
        "import runpy\nrunpy.run_path(x)",
        "import pandas as pd\npd.read_pickle(x)",
    ],
)
def test_what_is_planted_is_found(planted):
    assert list(running(planted))


@pytest.fixture
def shut(monkeypatch, tmp_path):
    """Nothing has been typed; the folder holds a module that leaves a mark, where it must not stand at the end."""
    monkeypatch.setattr(gate, "_ALLOWED_TEXTS", {})
    monkeypatch.chdir(tmp_path)
    Path("evil.py").write_text("open('sprung', 'w').close()\ndef f(*told): ...\n")
    yield tmp_path
    assert not Path("sprung").exists()


LEARNERS = ("torch_module:factory=evil:f", "function :path=evil:f", "function:path=evil.py:f", "evil:f")


@pytest.mark.parametrize(
    "setting",
    ["variations=env=evil:X-v0", "tasks=evil:f", "shifted=env=evil:X-v0", *(f"learner={x}" for x in LEARNERS)],
)
def test_code_that_an_attribute_names_does_not_run(shut, setting):
    if "torch_module" in setting:
        pytest.importorskip("torch", reason="needs the extra 'torch'")
    family = f"gymnasium:env=CartPole-v1,episodes=3,steps=20,{setting}"
    log = xr.Dataset(attrs={"family": family})
    with pytest.raises(MesascopeError) as error:
        home = Replays().make_family(log)
        Replays().find_subject(home.controls["learner"], xr.Dataset(attrs={"family": SMALL}))
    assert "that a file names" in str(error.value) or "is not a setting" in str(error.value)


def test_code_that_a_header_names_does_not_run(shut, capsys):
    path = sorted((ROOT / "agents/networks/shipped").glob("*.safetensors"))[0]
    told = read_header(path)[0] | {"family": "gymnasium:env=CartPole-v1,steps=20,variations=env=evil:X-v0"}
    header = json.dumps({"__metadata__": {"mesascope": json.dumps(told)}}).encode()
    Path("net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert run_command(["examine", "net.safetensors", "--out", "o"]) == 2
    said = capsys.readouterr().err
    assert "'evil:X-v0' would import and run code that a file names" in said and "--trust" in said


def test_a_file_does_not_have_a_server_asked(shut):
    learner = "openai_api:path=http://127.0.0.1:9/v1,key=HOME"
    with pytest.raises(MesascopeError, match="would receive your key"):
        Replays().find_subject(learner, xr.Dataset(attrs={"family": "word_labels:trials=5"}))


@pytest.mark.parametrize(
    ("typed", "named", "passes"),
    [
        ("gymnasium:env=m:E-v0,tasks=t.u:f", "t.u:f", True),
        ("gymnasium:env=CartPole-v1,variations=env=a:B-v0/c:D-v0", "c:D-v0", True),
        ("mine.py:f", "mine.py:f", True),
        ("not.mine:f", "mine:f", False),
        ("mine:f2", "mine:f", False),
        ("mine:f", "mine:f2", False),
        ("mine:f.pt", "mine:f", False),
    ],
)
def test_only_whole_names_count_as_typed(monkeypatch, typed, named, passes):
    monkeypatch.setattr(gate, "_ALLOWED_TEXTS", {typed: None})
    if passes:
        return gate.require_allowed(named, "It")
    with pytest.raises(MesascopeError, match="--trust"):
        gate.require_allowed(named, "It")


def test_packages_that_our_code_does_not_name_are_refused():
    with pytest.raises(ValueError, match="not a package that mesascope uses"):
        gate.import_package("evil")


CODE = """
import os, transformers
open(os.environ["MARK"], "w").close()
class Config(transformers.PretrainedConfig):
    model_type = "own"
"""


def test_a_folder_of_transformers_runs_its_code_with_trust_alone(tmp_path, monkeypatch):
    folder, mark = tmp_path / "model", tmp_path / "mark"
    folder.mkdir()
    monkeypatch.setenv("MARK", str(mark))
    (folder / "own.py").write_text(CODE)
    (folder / "config.json").write_text('{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}')
    family = catalogue.make("families", "word_labels:trials=5")
    for name in ("config.json", "tokenizer_config.json"):
        with pytest.raises(MesascopeError, match=r"names code that would run.*--trust"):
            open_subject(f"transformers:path={folder}", family)
        if name == "config.json":
            (folder / name).rename(folder / "tokenizer_config.json")
    assert not mark.exists()
    (folder / "tokenizer_config.json").rename(folder / "config.json")
    pytest.importorskip("transformers")
    with pytest.raises(MesascopeError):  # it has no weights; but its code was run
        open_subject(f"transformers:path={folder}", family, trust=True)
    assert mark.exists()


@pytest.mark.slow  # three processes; CI runs it
def test_a_folder_s_modules_do_not_stand_in_for_packages(tmp_path):
    (tmp_path / "sprung").mkdir()
    for name in ("torch", "bottleneck", "pytz", "etils", "typing", "numbagg", "pyarrow"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'sprung' / name)!r}, 'w').close()\n")
    (tmp_path / "mine.py").write_text(
        "def f(family):\n    import helper, pandas\n    return helper.pooled(family)\n"  # the folder is its own, too
    )
    (tmp_path / "helper.py").write_text(
        "import multiprocessing\n"
        "def act(percept, state, rng):\n"
        "    import late\n"
        "    return late.zeros(len(percept['action']), int), state\n"
        "def twice(x):\n    import late\n    return 2 * x\n"
        "def pooled(family):\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        assert pool.map(twice, [3]) == [6]\n"
        "    return act\n"
    )
    (tmp_path / "late.py").write_text("from numpy import zeros\n")
    entry = tmp_path / "bin" / "mesascope"  # as the installed command: what begins processes is a file
    entry.parent.mkdir()
    entry.write_text("from mesascope.cli.main import main\nif __name__ == '__main__':\n    main()\n")
    more = ["--family", SMALL, "--lifetimes", "8", "--splits", "fresh", "--metrics", "performance"]
    for told in ([str(entry), "examine", "mine:f", *more, "--out", "o"], ["-m", "mesascope", "measure", "nothing.csv"]):
        asked = [sys.executable, *told]
        done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == (2 if "measure" in told else 0), done.stderr
    assert "There is no file 'nothing.csv'" in done.stderr
    assert not list((tmp_path / "sprung").iterdir())


def test_a_file_that_changed_within_the_same_second_runs_as_it_is_now(tmp_path):
    path = tmp_path / "measures.py"
    for value in (1, 5):
        path.write_text(f"value = {value}\n")
        os.utime(path, (1_000_000_000, 1_000_000_000))  # the time and size by which Python's cache knows a file
        assert gate.run_file(path, "measures").value == value
    assert not (tmp_path / "__pycache__").exists()
