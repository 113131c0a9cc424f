"""docs/agents.md is true: its Python makes agents that are examined as it says."""

from __future__ import annotations

import re
import sys
import types
import warnings
from pathlib import Path

import pytest

from mesascope import catalogue, rollout
from mesascope.agents.opening import open_subject

TEXT = (Path(__file__).parents[3] / "docs" / "agents.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)
FAMILY = catalogue.make("families", "bernoulli_bandit:arms=2,trials=20")


def block(holding):
    return next(code for code in BLOCKS if holding in code)


def run(code, **known):
    exec(compile(code, "docs/agents.md", "exec"), known)
    return known


def test_functions_of_jax_and_gymnasium_policies():
    made = run(block("def equinox_gru"))
    for name in ("equinox_gru", "gymnasium_policy"):
        lived = rollout(open_subject(made[name](FAMILY), FAMILY), FAMILY, lifetimes=7)
        action, paid = lived.action.values[0], lived.feedback.values[0]
        assert action.shape == (7, 20)
        if name == "gymnasium_policy":
            stay = action[:, 1:] == action[:, :-1]
            assert (stay == (paid[:, :-1] == 1)).all()


def test_a_module_in_torch_and_its_export(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
    pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
    pytest.importorskip("onnxscript", reason="torch exports with onnxscript")
    monkeypatch.chdir(tmp_path)
    agents = types.ModuleType("my_agents")
    vars(agents).update(run(block("class Bandit")))
    monkeypatch.setitem(sys.modules, "my_agents", agents)
    torch.manual_seed(0)
    net = vars(agents)["Bandit"](FAMILY)
    torch.save(net.state_dict(), "gru.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        run(block("torch.onnx.export"), net=net, torch=torch)
    wrapped = run(block("subject = wrap"), net=net, family=FAMILY)["subject"]
    specs = re.findall(r"mesascope examine (torch_module\S+|gru\.onnx)", TEXT)
    assert len(specs) == 2
    told = rollout(wrapped, FAMILY, lifetimes=7, recorded_taps=["gru.h", "head"])
    assert told["tap_gru.h"].shape == (1, 7, 20, 32)
    assert told["tap_head"].shape == (1, 7, 20, 2)
    for spec in specs:
        assert (rollout(open_subject(spec, FAMILY), FAMILY, lifetimes=7).action.values == told.action.values).all()


def test_an_agent_trained_on_our_environment(tmp_path, monkeypatch):
    pytest.importorskip("sb3_contrib", reason="needs the extra 'sb3'")
    monkeypatch.chdir(tmp_path)
    code = block("RecurrentPPO(").replace("n_envs=16", "n_envs=2").replace("48_000", "200")
    model = run(code.replace("batch_size=400", "batch_size=200"))["model"]
    one = open_subject("bandit.zip", FAMILY)
    assert set(one.hash_weights()) == set(model.policy.state_dict())
    assert rollout(one, FAMILY, lifetimes=7).action.shape == (1, 7, 20)
