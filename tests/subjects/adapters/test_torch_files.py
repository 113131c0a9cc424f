"""Weights and modules in the forms in which training code leaves them: each acts as the plain module does."""

from __future__ import annotations

import collections
import os
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")

from torch import nn  # noqa: E402

from mesascope import catalogue, rollout  # noqa: E402
from mesascope.agents.opening import open_subject  # noqa: E402
from mesascope.agents.torch_module import wrap  # noqa: E402
from mesascope.errors import MesascopeError  # noqa: E402
from mesascope.rollouts.leaks import refuse_leaks  # noqa: E402
from tests.subjects.adapters import agents  # noqa: E402
from tests.subjects.adapters.readings import FAMILY, same  # noqa: E402

SMALL = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
HERE = "tests.subjects.adapters.agents"
NET = agents.rescorla_wagner(agents.Recurrent())
WEIGHTS = NET.state_dict()


def under(prefix):
    return {prefix + k: v for k, v in WEIGHTS.items()}


def acts(subject):
    return rollout(subject, SMALL, lifetimes=7).action.values


CRITIC = {"critic.weight": torch.zeros(3), "critic.bias": torch.zeros(1)}
OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
FORMS = {
    "torch.compile": under("_orig_mod."),
    "DataParallel": under("module."),
    "compiled and parallel": under("module._orig_mod."),
    "an attribute": under("net."),
    "model_state_dict": {"model_state_dict": WEIGHTS, "optimizer_state_dict": OPTIMIZER, "epoch": 3},
    "agent": {"agent": WEIGHTS, "step": 3},
    "two dicts deep": {"agent": {"policy": under("module."), "log_std": torch.zeros(2)}},
    "Lightning": {
        "state_dict": under("model."),
        "optimizer_states": [OPTIMIZER],
        "hyper_parameters": {"lr": 0.1},
        "pytorch-lightning_version": "2.5.0",
    },
    "an actor beside its critic": {**under("actor."), **CRITIC},
    "an ordered dict": collections.OrderedDict(under("module.")),
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_found_in_every_form(form, tmp_path):
    torch.save(FORMS[form], tmp_path / "net.pt")
    one = open_subject(f"torch_module:factory={HERE}:Recurrent,path={tmp_path}/net.pt", SMALL)
    assert one.hash_weights() == wrap(NET, SMALL).hash_weights()


def test_of_several_one_is_named(tmp_path):
    other = agents.Recurrent().state_dict()
    spec = f"torch_module:factory={HERE}:Recurrent,path={tmp_path}/net.pt"
    torch.save({"agent": WEIGHTS, "target": other}, tmp_path / "net.pt")
    with pytest.raises(MesascopeError, match=r"weights for the module under agent and target\. Add key=agent\."):
        open_subject(spec, SMALL)
    one = open_subject(f"{spec},key=agent", SMALL)
    assert one.hash_weights() == wrap(NET, SMALL).hash_weights() and "key=agent" in one.name
    assert open_subject(f"{spec},key=target", SMALL).hash_weights() != one.hash_weights()
    torch.save({**under("actor."), **{f"target.{k}": v for k, v in other.items()}}, tmp_path / "net.pt")
    with pytest.raises(MesascopeError, match="under actor and target"):
        open_subject(spec, SMALL)
    assert open_subject(f"{spec},key=actor", SMALL).hash_weights() == wrap(NET, SMALL).hash_weights()
    with pytest.raises(MesascopeError, match=r"has no state dict under key=critic. It contains .*actor\.gru"):
        open_subject(f"{spec},key=critic", SMALL)


def test_what_does_not_fit_is_listed(tmp_path):
    spec = f"torch_module:factory={HERE}:Recurrent,path={tmp_path}/net.pt"
    said = {
        "does not fit the network.*head": {k: v for k, v in WEIGHTS.items() if k.startswith("gru")},
        r"needs gru\.weight_ih_l0, .*it contains encoder \(0\.weight\); policy \(w\)": {
            "encoder": {"0.weight": torch.zeros(3, 3)},
            "policy": {"w": torch.zeros(2)},
        },
        "contains no state dict, but epoch, name": {"epoch": 3, "name": "x"},
        "size mismatch": agents.Recurrent(choices=4).state_dict(),
    }
    for message, content in said.items():
        torch.save(content, tmp_path / "net.pt")
        with pytest.raises(MesascopeError, match=message):
            open_subject(spec, SMALL)


@pytest.mark.parametrize("kind", ["DataParallel", "compile", "half", "bfloat16", "double"])
def test_modules_as_they_are_in_python(kind):
    net = agents.rescorla_wagner(agents.Recurrent())
    given = {
        "DataParallel": nn.DataParallel,
        "compile": torch.compile,
        "half": lambda x: x.half(),
        "bfloat16": lambda x: x.bfloat16(),
        "double": lambda x: x.double(),
    }[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch itself, where it compiles
        given = given(net)
    assert (acts(wrap(given, SMALL)) != acts(wrap(NET, SMALL))).mean() <= (0.05 if kind in ("half", "bfloat16") else 0)
    assert next(net.parameters()).dtype == {"half": torch.float16, "bfloat16": torch.bfloat16}.get(
        kind, torch.float64 if kind == "double" else torch.float32
    )


def test_whole_modules_and_torchscript_need_trust(tmp_path):
    net = agents.Reflex()
    agents.reflex(net.hidden, net.out, 3)
    torch.save(net, tmp_path / "whole.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch would have one export instead
        torch.jit.script(net).save(str(tmp_path / "script.pt"))
        torch.jit.script(Counting()).save(str(tmp_path / "counting.pt"))
        torch.jit.trace(Stepping(), (torch.zeros(2, 6), torch.zeros(2, 3))).save(str(tmp_path / "traced.pt"))
    for name, said in {
        "whole": r"a whole module of tests\.subjects\.adapters\.agents\.Reflex",
        "script": "code",
    }.items():
        with pytest.raises(MesascopeError, match=f"{said}.*add --trust"):
            open_subject(f"{tmp_path}/{name}.pt", SMALL)
        one = open_subject(f"{tmp_path}/{name}.pt", SMALL, trust=True)
        assert (acts(one) == acts(wrap(net, SMALL))).all()
        refuse_leaks(one, SMALL)
    lived = rollout(open_subject(f"{tmp_path}/counting.pt", SMALL, trust=True), SMALL, lifetimes=7)
    pulled = np.cumsum(np.eye(3)[lived.action.values[0]], 1)[:, :-1]
    told = np.exp(pulled) / np.exp(pulled).sum(-1, keepdims=True)
    assert np.allclose(np.exp(lived.log_probs.values[0, :, 1:]), told, atol=1e-5)
    with pytest.raises(MesascopeError, match=r"second input of the TorchScript module, state, cannot be None"):
        open_subject(f"{tmp_path}/traced.pt", SMALL, trust=True)


class Stepping(nn.Module):
    """Counts what is pulled, in its state [N, 3]."""

    def forward(self, x, state):
        state = state + x[:, :3]
        return state, state


class Counting(Stepping):
    @torch.jit.export
    def initial_state(self, n: int):
        return torch.zeros(n, 3)


class Trap(nn.Module):
    """Unpickled by Python it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_a_hostile_module_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for content in (Trap(), nn.Sequential(Trap()), [Trap()], {"state_dict": {"w": Trap()}}):
        torch.save(content, "net.pt")
        with pytest.raises(MesascopeError):
            open_subject("net.pt", SMALL)
        assert not os.path.exists("sprung")


class Three(agents.Recurrent):
    def forward(self, x, state=None):
        scores, state = super().forward(x, state)
        return scores, state, torch.relu(scores)


def test_the_state_among_three_outputs_is_said():
    net = agents.rescorla_wagner(Three())
    with pytest.raises(MesascopeError, match=r"returned 3 outputs\. Add state=1 if the second"):
        wrap(net, SMALL)
    with pytest.raises(MesascopeError, match="returned 3 outputs"):
        wrap(net, SMALL, state=3)
    assert (acts(wrap(net, SMALL, state=1)) == acts(wrap(NET, SMALL))).all()


def learn(x):
    """Rescorla–Wagner along histories [N, t, F], as logits [N, t, 3]."""
    value, result = torch.full((len(x), 3), agents.INITIAL), []
    for now in x.unbind(1):
        value = value + agents.RATE * now[:, :3] * (now[:, 3:4] - value)
        result.append(agents.BETA * value)
    return torch.stack(result, 1)


class Caching(nn.Module):
    """Its state is a cache that grows by one step each time, as keys and values do."""

    def forward(self, x, state=None):
        cache = x[:, None] if state is None else torch.cat([state[0], x[:, None]], 1)
        return learn(cache)[:, -1], (cache, cache[:, :, :1])


class Rereading(nn.Module):
    """Reads its whole history, and gives logits at every step or at the last alone."""

    def __init__(self, last=False):
        super().__init__()
        self.last = last

    def forward(self, x):
        return learn(x)[:, -1] if self.last else learn(x)


class Attending(nn.Module):
    """A small causal transformer over its history."""

    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(6, 8), nn.Linear(8, 3)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.out(self.layer(self.into(x), src_mask=mask, is_causal=True))


@pytest.mark.parametrize("kind", ["a growing cache", "the whole history"])
def test_agents_of_their_whole_history_read_as_rescorla_wagner(reader, kind):
    one = wrap(Caching(), FAMILY) if kind == "a growing cache" else wrap(Rereading(), FAMILY, context=20)
    got = reader.read(one)
    same(got, reader.read(f"rescorla_wagner:rate={agents.RATE},beta={agents.BETA}"), moved=0.002)
    assert got[1].lowest in ("acquiring", "locating")
    refuse_leaks(wrap(Caching(), SMALL) if kind == "a growing cache" else wrap(Rereading(), SMALL, context=11), SMALL)


def test_a_transformer_gets_its_last_percepts():
    whole, last = wrap(Rereading(), SMALL, context=11), wrap(Rereading(True), SMALL, context=11)
    assert (acts(whole) == acts(last)).all()
    assert (acts(wrap(Rereading(), SMALL, context=20)) == acts(whole)).all()
    short = rollout(wrap(Rereading(), SMALL, context=2), SMALL, lifetimes=7)
    pulled, paid = np.eye(3)[short.action.values[0]], short.feedback.values[0]
    for t in (1, 4, 10):  # by hand, from the last two trials alone
        value = np.full((7, 3), agents.INITIAL)
        for u in range(max(0, t - 2), t):
            value += agents.RATE * pulled[:, u] * (paid[:, u, None] - value)
        told = np.exp(agents.BETA * value) / np.exp(agents.BETA * value).sum(1, keepdims=True)
        assert np.allclose(np.exp(short.log_probs.values[0, :, t]), told, atol=1e-5)
    torch.manual_seed(0)
    one = wrap(Attending(), SMALL, context=11)
    refuse_leaks(one, SMALL)
    assert len(np.unique(acts(one))) > 1


def test_one_thread_unless_it_is_set(monkeypatch):
    class Asked(nn.Module):
        def forward(self, x):
            used.append(torch.get_num_threads())
            return x[:, :3]

    used, before = [], torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    torch.set_num_threads(2)
    try:
        wrap(Asked(), SMALL)
        assert set(used) == {1} and torch.get_num_threads() == 2
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        wrap(Asked(), SMALL)
        assert used[-1] == 2
    finally:
        torch.set_num_threads(before)
