"""What holds with the core alone: each adapter says which extra it needs, nothing is imported before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest

from mesascope import catalogue
from mesascope.errors import MesascopeError

ABSENT = """
import sys

class Absent:  # as if none of them were installed
    names = {"torch", "stable_baselines3", "sb3_contrib", "onnx", "onnxruntime", "cloudpickle", "google"}

    asked = []

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            self.asked.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
ASKED = """
import json
from mesascope import catalogue
from mesascope.agents import opening
from mesascope.cli.main import run_command as run
rows = {row["name"]: row for row in catalogue.describe_plugins("subjects")}
opened = [opening.find_adapter(path) for path in sys.argv[2:]]
told = {"early": list(Absent.asked), "opened": opened}
family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
for spec in json.loads(sys.argv[1]):
    try:
        catalogue.make("subjects", spec, family)
    except Exception as error:
        told[spec] = [type(error).__name__, str(error)]
told["list"] = {name: rows[name] for name in ("torch_module", "sb3", "onnx")}
told["exit"] = run(["examine", sys.argv[2], "--family", family.name])
told["imported"] = sorted(Absent.names & {m.partition(".")[0] for m in sys.modules})
print(json.dumps(told))
"""


@pytest.fixture
def files(tmp_path):
    with zipfile.ZipFile(tmp_path / "agent.zip", "w") as made:
        made.writestr("data", "{}")
        made.writestr("policy.pth", b"")
    for name in ("net.pt", "net.onnx"):
        (tmp_path / name).write_bytes(b"")
    return [str(tmp_path / name) for name in ("agent.zip", "net.pt", "net.onnx")]


def python(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_each_says_which_extra_it_needs_and_asks_for_it_late(files):
    specs = {f"sb3:path={files[0]}": "sb3", f"torch_module:path={files[1]}": "torch", f"onnx:path={files[2]}": "onnx"}
    out, err = python(ABSENT + ASKED, json.dumps(list(specs)), *files)
    told = json.loads(out)
    early = [name for name in told["early"] if name != "cloudpickle"]  # others look for that one
    assert early == []  # listing and finding the adapter of a file import no framework
    assert told["opened"] == ["sb3", "torch_module", "onnx"]
    for spec, extra in specs.items():
        kind, text = told[spec]
        assert kind == "MesascopeError"
        assert f"pip install 'mesascope[{extra}]'" in text and "is not installed" in text
    assert all(row["says"].endswith(".") and row["settings"] for row in told["list"].values())
    assert "trust" not in told["list"]["sb3"]["settings"]
    assert told["exit"] == 2
    assert "pip install 'mesascope[sb3]'" in err and "Traceback" not in err
    assert told["imported"] == []


def test_the_factory_of_a_module_named_in_another_s_plan_needs_trust(tmp_path):
    from mesascope.reproduction.run import reproduce
    from tests.reproduction.small import PLAN, small

    study = small(tmp_path, PLAN.replace('"fixed:arm=1"', '"torch_module:factory=os.path:join"'))
    with pytest.raises(MesascopeError, match="--trust"):
        reproduce(str(study), out=tmp_path / "out")


def test_trust_is_handed_over_and_never_typed():
    family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
    for spec in ("sb3:path=a.zip,trust=true", "torch_module:path=a.pt,trust=1"):
        with pytest.raises(MesascopeError, match="has no setting 'trust'"):
            catalogue.make("subjects", spec, family)
    assert catalogue.make_trust_setting("subjects", "sb3", True) == {"trust": True}
    assert (
        catalogue.make_trust_setting("subjects", "sb3", False)
        == catalogue.make_trust_setting("subjects", "thompson", True)
        == {}
    )
