"""What other code lived is never reused, and the same code is known again in every process."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import types

import numpy as np
import pytest

from mesascope import catalogue, rollout
from mesascope.agents.function import wrap
from mesascope.contracts import identify
from mesascope.examination.bench import RolloutCache
from mesascope.guards import identity

FAMILY = catalogue.make("families", "bernoulli_bandit:arms=3,trials=6")
MINE = ("agents_of_mine", "helpers_of_mine", "envs_of_mine", "turbo_of_mine")
HELPER = """
import numpy as np
class Rule:
    def of(self, percept):
        return np.full(len(percept["action"]), 0)
"""
AT_ONCE = """
from helpers_of_mine import Rule
rule = Rule()
def factory(family):
    return lambda percept, state, rng: (rule.of(percept), None)
"""
LATE = """
def factory(family):
    def act(percept, state, rng):
        import helpers_of_mine
        return helpers_of_mine.Rule().of(percept), None
    return act
"""
OPTIONAL = AT_ONCE + "try:\n    from turbo_of_mine import rule\nexcept ImportError:\n    pass\n"


@pytest.fixture
def live(tmp_path, monkeypatch):
    """live(spec, family): its first lives, read from disk anew, kept in one folder; live.made counts those not kept."""

    def forget():
        for name in MINE:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()

    def one(spec="agents_of_mine:factory", family=FAMILY):
        forget()
        family = catalogue.make("families", family) if isinstance(family, str) else family
        subject = catalogue.make("subjects", f"function:path={spec}" if "=" not in spec else spec, family)
        return RolloutCache(family, ("intact",), ["fresh"], 64, 0, out=tmp_path / "out").run_subject(subject, family)[
            "fresh"
        ]

    def counted(*given, **more):
        one.made += 1
        return rollout(*given, **more)

    one.made = 0
    monkeypatch.setattr("mesascope.examination.bench.rollout", counted)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield one
    forget()


@pytest.mark.parametrize("agent", [AT_ONCE, LATE])
def test_what_a_helper_lived_before_it_was_mended_is_lived_again(tmp_path, live, agent):
    (tmp_path / "agents_of_mine.py").write_text(agent)
    (tmp_path / "helpers_of_mine.py").write_text(HELPER)
    for _ in range(2):
        assert (live().action == 0).all()
    assert live.made == 1
    (tmp_path / "helpers_of_mine.py").write_text(HELPER.replace(", 0)", ", 2)"))
    for _ in range(2):
        assert (live().action == 2).all()
    assert live.made == 2


def test_a_module_in_another_place_or_that_was_not_there_is_a_change(tmp_path, live, monkeypatch):
    (tmp_path / "agents_of_mine.py").write_text(OPTIONAL)
    (tmp_path / "helpers_of_mine.py").write_text(HELPER)
    assert (live().action == 0).all()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "helpers_of_mine.py").write_text(HELPER.replace(", 0)", ", 1)"))
    monkeypatch.syspath_prepend(tmp_path / "other")
    assert (live().action == 1).all()
    (tmp_path / "turbo_of_mine.py").write_text(HELPER.replace(", 0)", ", 2)") + "rule = Rule()\n")
    assert (live().action == 2).all()


def test_a_file_that_is_mended_while_its_old_code_runs_is_a_change(tmp_path, live, monkeypatch):
    (tmp_path / "agents_of_mine.py").write_text(AT_ONCE)
    (tmp_path / "helpers_of_mine.py").write_text(HELPER)
    begun = RolloutCache.run_subject

    def mended(*given):
        (tmp_path / "helpers_of_mine.py").write_text(HELPER.replace(", 0)", ", 2)"))
        return begun(*given)

    monkeypatch.setattr(RolloutCache, "run_subject", mended)
    assert (live().action == 0).all()
    assert (live().action == 2).all()


def test_an_installed_package_of_another_version_is_a_change(tmp_path, live):
    place = tmp_path / "site-packages" / "helpers_of_mine"
    place.mkdir(parents=True)
    (tmp_path / "agents_of_mine.py").write_text(AT_ONCE)
    sys.path.insert(0, str(place.parent))
    try:
        for arm in (0, 1):
            (place / "__init__.py").write_text("from helpers_of_mine.rules import Rule\n" + "#" * arm)
            (place / "rules.py").write_text(HELPER.replace(", 0)", f", {arm})"))
            sys.modules.pop("helpers_of_mine.rules", None)
            assert (live().action == arm).all()
    finally:
        sys.path.remove(str(place.parent))
        sys.modules.pop("helpers_of_mine.rules", None)


ENVIRONMENT = """
import gymnasium
import numpy as np
class Paying(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(1)
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}
    def step(self, action):
        return 0, 0.25, True, False, {}
gymnasium.register("Paying-v0", Paying, max_episode_steps=1)
"""


def test_an_environment_that_was_mended_is_lived_again(tmp_path, live):
    pytest.importorskip("gymnasium")
    (tmp_path / "agents_of_mine.py").write_text(AT_ONCE)
    (tmp_path / "helpers_of_mine.py").write_text(HELPER)
    for paid in (0.25, 0.75):
        (tmp_path / "envs_of_mine.py").write_text(ENVIRONMENT.replace("0.25", str(paid)))
        sys.modules.pop("envs_of_mine", None)
        family = catalogue.make("families", "gymnasium:env=envs_of_mine:Paying-v0,episodes=3,best=1,chance=0")
        assert (live(family=family).feedback == paid).all()


PROCESS = """
from mesascope import catalogue
from mesascope.contracts import identify
family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=6")
told = [identify(catalogue.make("subjects", spec, family)) for spec in (
    "torch_module:factory=nets_of_mine:Net", "function:path=nets_of_mine:factory",
)]
print(*told)
"""
NET = """
import logging
import pathlib
import numpy as np
import torch
log = logging.getLogger("nets")
class Held:
    __slots__ = ("at", "table")
    def __init__(self):
        self.at, self.table = object(), np.arange(3)
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = torch.nn.Linear(6, 3)
        self.held, self.by_kind = Held(), {torch.relu: 1, Held: lambda x: x, object(): 3}
    def forward(self, x):
        names = [f"{k}" for k in ("a", "b") if k in {"a", "b", "c", "d", "e"}]
        return self.head(x) + torch.tensor([len(names) for _ in range(3)])
def factory(family):
    held, known = Held(), {"left", "right", "up", "down"}
    rows = np.array([Held(), "x", None], object)
    place = pathlib.Path("weights")
    hash(place)
    def act(percept, state, rng):
        log.debug("%s", [row for row in rows if row in {"x", "y", "z", ("a", frozenset({"b", "c"}))}])
        return np.full(len(percept["action"]), len(known) + len(str(place)) - 11 + held.table[0]), None
    return act
"""


@pytest.mark.slow  # three processes; CI runs it
def test_the_same_file_has_the_same_essence_in_every_process(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    (tmp_path / "nets_of_mine.py").write_text(NET)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": "123", "PYTHONPATH": path}
    other = subprocess.run(
        [sys.executable, "-c", PROCESS], env=environment, capture_output=True, text=True, check=True
    ).stdout
    monkeypatch.syspath_prepend(tmp_path)
    exec(PROCESS, {})
    assert capsys.readouterr().out == other


def written(source, **space):
    """What `f` is after code that stands in no file, as in a notebook."""
    space |= {"np": np, "__name__": "__main__"}
    exec(source, space)
    return space["f"]


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def act(self, p): return np.full(len(p['trial']), {})\ndef f(p, s, r): return A().act(p), s",
        "import abc\nclass A(abc.ABC):\n    def __call__(self, p, s, r): return 0 * p['trial'] + {}, s\nf = A()",
        "class A(list): pass\na = A()\na.w = {}\ndef f(p, s, r): return 0 * p['trial'] + a.w, s",
        "import jax\ng = jax.jit(lambda x: 0 * x + {})\ndef f(p, s, r): return np.asarray(g(p['trial'])), s",
        "g = (np.sin, np.cos)[{}]\ndef f(p, s, r): return g(0.0 * p['trial']).astype(int), s",
        "def f(p, s, r): return np.array([(lambda: {})() for _ in p['trial']]), s",
        "W = [{}]\ndef f(p, s, r): return np.array([W[0] for _ in p['trial']]), s",
        "class A:\n    __slots__ = ('w',)\na = A()\na.w = {}\ndef f(p, s, r): return a.w + 0 * p['trial'], s",
        "class A:\n    w = np.array({})\na = A()\ndef f(p, s, r): return a.w + 0 * p['trial'], s",
        "K = frozenset([{}])\ndef f(p, s, r): return min(K) + 0 * p['trial'], s",
    ],
)  # fmt: skip
def test_what_stands_in_no_file_is_known_by_its_code(source):
    one, same, other = (wrap(written(source.format(arm)), FAMILY, "mine") for arm in (0, 0, 1))
    assert identify(one) == identify(same) != identify(other)


def test_a_module_of_a_users_is_looked_into_and_deep_chains_are_no_trouble():
    helper = types.ModuleType("helpers_of_mine")
    helper.WEIGHTS = np.arange(3)
    f = written("def f(p, s, r): return helper.WEIGHTS, s", helper=helper)
    assert list(wrap(f, FAMILY).hash_weights()) == ["helper.WEIGHTS"]
    chain = [5]
    for _ in range(5000):
        chain = [chain]
    assert identity.hash_code(chain) != identity.hash_code(chain[0])
