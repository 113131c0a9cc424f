"""Where state hides and how draws are made: right numbers, or a refusal that names the cause."""

from __future__ import annotations

import random
import threading
from typing import ClassVar

import numpy as np
import pytest

from mesascope import catalogue, rollout
from mesascope.agents.function import wrap
from mesascope.contracts import Response, Subject
from mesascope.errors import MesascopeError
from mesascope.examination.checks import check_plugin
from mesascope.rollouts.leaks import refuse_leaks

K = 3
FAMILY = catalogue.make("families", "bernoulli_bandit:arms=3,trials=16")
LABELS = ("intact", "feedback_shuffled", "carry_reset:trial=5", "carry_swapped:trial=5", "carry_exchanged_once")


def lived(function):
    kinds = [catalogue.make("conditions", label) for label in LABELS]
    return rollout(wrap(function, FAMILY), FAMILY, lifetimes=64, conditions=kinds).action.values


def told(percept):
    """The lifetimes that have acted, what they did and whether it paid."""
    rows = np.flatnonzero(percept["action"] >= 0)
    return rows, percept["action"][rows], (percept["feedback"][rows] > 0).astype(int)


def best(counts, rng):
    return ((counts[..., 1] + 1) / (counts.sum(-1) + 2) + 1e-6 * rng.random(counts.shape[:-1])).argmax(-1)


def counting(percept, state, rng):
    """Returns a new state, as it should: what all others are compared with."""
    state = np.zeros((len(percept["action"]), K, 2)) if state is None else state.copy()
    state[told(percept)] += 1
    return best(state, rng), state


def in_place(percept, state, rng):
    state = np.zeros((len(percept["action"]), K, 2)) if state is None else state
    state[told(percept)] += 1
    return best(state, rng), state


class Counter:
    """One lifetime's agent, with a method that changes it."""

    def __init__(self):
        self.counts = np.zeros((K, 2))

    def update(self, action, paid):
        self.counts[action, paid] += 1


def objects(percept, state, rng):
    state = np.array([Counter() for _ in percept["action"]]) if state is None else state
    for row, action, paid in zip(*told(percept), strict=True):
        state[row].update(action, paid)
    return best(np.stack([agent.counts for agent in state]), rng), state


def one_object_for_all(percept, state, rng):
    """The very same object in every row at birth."""
    state = np.array([Counter()] * len(percept["action"])) if state is None else state
    return objects(percept, state, rng)


def percept_in_place(percept, state, rng):
    answer = counting(percept, state, rng)
    percept["action"][:], percept["feedback"][:] = 0, 1.0
    return answer


@pytest.mark.parametrize("function", [in_place, objects, one_object_for_all, percept_in_place])
def test_what_is_handed_out_may_be_written_into(function):
    assert (lived(function) == lived(counting)).all()
    refuse_leaks(wrap(function, FAMILY), FAMILY)


def holding(get, put):
    """A learner whose memory is where get() and put(counts) have it, begun anew with every life."""

    def act(percept, state, rng):
        if percept["trial"][0] == 0:
            put(np.zeros((len(percept["action"]), K, 2)))
        counts = get()
        counts[told(percept)] += 1
        put(counts)
        return best(counts, rng), None

    return act


class Slotted:
    """No __dict__."""

    __slots__ = ("memory",)


class OfClass:
    """Memory that all objects share."""

    memory: ClassVar = None


HELD = {}


def hidden(where):
    """A learner with its memory in some place."""
    held, slotted = {}, Slotted()

    def listed(put=None):
        if put is None:
            return np.array(held["lists"])
        held["lists"] = put.tolist()

    def generated(put=None):
        if put is None:
            return held["generator"].send(None)
        held["generator"] = (memory for memory in [put])

    def slots(put=None):
        if put is None:
            return np.array(slotted.memory)
        slotted.memory = put.tolist()

    def classes(put=None):
        if put is None:
            return np.array(OfClass.memory)
        OfClass.memory = put.tolist()

    def bytes_of(put=None):
        if put is None:
            return np.frombuffer(bytearray(held["bytes"])).reshape(-1, K, 2)
        held["bytes"] = put.tobytes()

    torch = pytest.importorskip("torch") if where == "tensors" else None

    def tensors(put=None):
        if put is None:
            return held["tensor"].storage.tensor.numpy().copy()
        held["tensor"] = type("Box", (), {"storage": None})()
        held["tensor"].storage = type("Box", (), {"__slots__": ("tensor",)})()
        held["tensor"].storage.tensor = torch.tensor(put)

    def of_module(put=None):
        if put is None:
            return HELD["memory"].pop()
        HELD["memory"] = [put]

    place = {f.__name__: f for f in (listed, generated, of_module, slots, classes, bytes_of, tensors)}[where]
    return holding(place, place)


def seldom(percept, state, rng):
    """Looks into its hidden memory in one response of fifty."""
    before = getattr(seldom, "before", percept["action"])
    seldom.before = percept["action"].tolist()
    at_random = rng.integers(0, K, len(percept["action"]))
    return np.where(rng.random(len(at_random)) < 0.02, np.maximum(before, 0), at_random), None


def once_global(percept, state, rng):
    return np.random.randint(0, K, len(percept["action"])), None  # noqa: NPY002


def python_random(percept, state, rng):
    return np.array([random.randrange(K) for _ in percept["action"]]), None


def remembered_elsewhere(percept, state, rng):
    """Acts alike; what it carries on is drawn from a number that it keeps in itself."""
    remembered_elsewhere.calls = getattr(remembered_elsewhere, "calls", 0) + 1
    state = np.zeros(len(percept["action"])) if state is None else state
    if percept["trial"][0] < 12:
        return np.zeros(len(state), int), state + remembered_elsewhere.calls % 2
    return state.astype(int) % K, state


IMPURE = [seldom, once_global, python_random, remembered_elsewhere]
PLACES = ["listed", "generated", "slots", "classes", "bytes_of", "tensors", "of_module"]


@pytest.mark.parametrize("function", [*IMPURE, *PLACES], ids=lambda f: f if isinstance(f, str) else f.__name__)
def test_memory_that_is_not_in_the_carry_is_refused(function):
    subject = wrap(hidden(function) if isinstance(function, str) else function, FAMILY)
    causes = "calls for other lifetimes|an earlier block|changed while it ran"
    with pytest.raises(MesascopeError, match=causes) as error:
        refuse_leaks(subject, FAMILY)
    assert "in the carry" in error.value.remedy


class Writing(Subject):
    """A subject of a class of its own that writes into its carry."""

    name: str = "writing"
    trained_on: str = "unknown"  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]
    is_traceable: ClassVar = False

    def initialize_carry(self, n):
        return np.zeros((n, K, 2))

    def respond(self, key, carry, percept):
        seen = {k: np.asarray(v) for k, v in percept._asdict().items()}
        carry[told(seen)] += 1
        return carry, Response(best(carry, np.random.default_rng(0)), None)


def test_a_subject_that_writes_into_its_carry_is_refused():
    with pytest.raises(MesascopeError, match="writes into a carry or a percept"):
        refuse_leaks(Writing(), FAMILY)


def test_a_module_that_keeps_its_state_itself_is_refused():
    torch = pytest.importorskip("torch")
    from mesascope.agents.torch_module import wrap as module

    class Holding(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.h = torch.nn.GRUCell(6, K), None

        def forward(self, x):
            if self.h is None or x[0, -1] == 0 or len(self.h) != len(x):  # the trial: begun anew with every life
                self.h = torch.zeros(len(x), K)
            self.h = self.cell(x, self.h)
            return 5 * self.h

    with pytest.raises(MesascopeError, match="calls for other lifetimes: after the same request again, a probability"):
        refuse_leaks(module(Holding(), FAMILY), FAMILY)


def locked(percept, state, rng):
    return percept["trial"] % K, np.array([threading.Lock() for _ in percept["trial"]])


def test_a_state_that_cannot_be_copied_is_refused():
    with pytest.raises(MesascopeError, match="cannot be copied: TypeError: cannot pickle"):
        lived(locked)


def thompson(percept, state, rng):
    """rng.beta takes another number of draws for every row, so what comes after it depends on all rows."""
    state = counting(percept, state, rng)[1]
    sampled = rng.beta(state[..., 1] + 1, state[..., 0] + 1).argmax(1)
    return np.where(rng.random(len(sampled)) < 0.2, rng.integers(0, K, len(sampled)), sampled), state


def coin(percept, state, rng):
    """A coin drawn once behind draws that depend on the rows, kept, and probabilities that follow it."""
    if percept["trial"][0] < 3:
        rng.gamma(1.5 + percept["feedback"])
        return np.full((len(percept["trial"]), K), 1 / K), np.zeros(len(percept["trial"]), int)
    if percept["trial"][0] == 3:
        rng.gamma(1.5 + percept["feedback"])
        state = rng.integers(0, K, len(state))
    return 0.1 / K + 0.9 * np.eye(K)[state], state


def row_by_row(percept, state, rng):
    """Tries until it is content, each lifetime in turn, the last one first."""
    action = np.zeros(len(percept["action"]), int)
    for i, paid in reversed(list(enumerate(percept["feedback"]))):
        action[i] = rng.integers(K)
        while not paid and action[i] == percept["action"][i]:
            action[i] = rng.integers(K)
    return action, None


@pytest.mark.parametrize("function", [thompson, coin, row_by_row])
def test_draws_that_fall_otherwise_in_another_block_are_no_dependence(function):
    refuse_leaks(wrap(function, FAMILY), FAMILY)


def against_the_mean(percept, state, rng):
    state = counting(percept, state, rng)[1]
    worth = (state[..., 1] + 1) / (state.sum(-1) + 2)
    return (rng.beta(state[..., 1] + 1, state[..., 0] + 1) - worth.mean(0)).argmax(1), state


def by_rank(percept, state, rng):
    """Tries another arm where it is in the poorer half of its block."""
    state = np.zeros(len(percept["feedback"])) if state is None else state
    state = state + percept["feedback"]
    rng.gamma(1 + state)
    poor = state.argsort(kind="stable").argsort() < len(state) // 2
    return np.where(poor, rng.integers(0, K, len(state)), 0), state


def normalised(percept, state, rng):
    """A batch norm."""
    state = counting(percept, state, rng)[1]
    x = rng.gamma(state[..., 1] + 1)
    x = 3 * (x - x.mean(0)) / x.std(0)
    return np.exp(x) / np.exp(x).sum(1, keepdims=True), state


def copies_a_neighbour(percept, state, rng):
    """One response in five is what the next lifetime did last."""
    state = counting(percept, state, rng)[1]
    sampled = rng.beta(state[..., 1] + 1, state[..., 0] + 1).argmax(1)
    return np.where(rng.random(len(sampled)) < 0.2, np.maximum(np.roll(percept["action"], 33), 0), sampled), state


@pytest.mark.parametrize("function", [against_the_mean, by_rank, normalised, copies_a_neighbour])
def test_what_looks_at_its_neighbours_is_refused_whatever_it_draws(function):
    with pytest.raises(MesascopeError, match="depends on the other lifetimes in its block"):
        refuse_leaks(wrap(function, FAMILY), FAMILY)


FACTORIES = """
from tests.subjects import test_apart
def in_place(family):
    return test_apart.in_place
def slots(family):
    return test_apart.hidden("slots")
"""


def test_check_finds_hidden_memory_and_takes_a_state_that_is_written_into(tmp_path, monkeypatch):
    (tmp_path / "apart_of_mine.py").write_text(FACTORIES)
    monkeypatch.syspath_prepend(tmp_path)
    found = check_plugin("apart_of_mine:slots")
    assert any("depends on calls for other lifetimes" in told for told in found), found
    assert check_plugin("apart_of_mine:in_place") == []
