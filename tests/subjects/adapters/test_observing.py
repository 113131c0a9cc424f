"""A percept as an observation, held against what `FamilyEnv` shows; and pickles read as data."""

from __future__ import annotations

import pickle
from collections import OrderedDict

import numpy as np
import pytest

from mesascope import FamilyEnv, catalogue
from mesascope.agents import pickles as _pickles
from mesascope.agents.observing import DEFAULT_PARTS, make_percept_encoder, observe
from mesascope.contracts import Percept
from mesascope.errors import MesascopeError

BANDIT = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")


def percept(action, feedback, trial, n=7, shown=0):
    still = np.zeros(n, np.int32)
    first = still + trial == 0
    return Percept(np.full((n, shown), 0.5), still + action, still + np.float32(feedback), still + trial, still, first)


def test_the_encoding_is_the_one_of_our_environments():
    env = FamilyEnv(BANDIT)
    shown, _ = env.reset(seed=3)
    assert np.allclose(observe(BANDIT, percept(-1, 0, 0)), shown)
    assert shown.tolist() == [0, 0, 0, 0, 0, 1]
    for t, action in enumerate([2, 0, 1, 1], 1):
        shown, reward, *_ = env.step(action)
        by_hand = [*(np.arange(3) == action), reward, t / 11, 0]
        assert np.allclose(shown, by_hand)
        assert np.allclose(observe(BANDIT, percept(action, reward, t)), shown)
        assert np.allclose(observe(BANDIT, percept(action, reward, t)._asdict()), shown)


def test_parts_stand_in_the_order_that_is_told():
    made = make_percept_encoder(BANDIT, "feedback+action+first")
    assert made.width == 5
    assert made(percept(1, 0.25, 4))[3].tolist() == [0.25, 0, 1, 0, 0]
    assert "+".join(make_percept_encoder(BANDIT, "", width=6).parts) == DEFAULT_PARTS
    cued = catalogue.make("families", "beta_bernoulli")
    alone = make_percept_encoder(cued, "", width=make_percept_encoder(cued, "observation").width)
    assert alone.parts == ("observation",)
    for told, width, error in (
        ("action", 7, "takes 7 numbers, but action of .* has 3"),
        ("", 9, "takes 9 numbers"),
        ("acton", None, "Did you mean 'action'"),
        ("action+action", None, "names a part twice"),
    ):
        with pytest.raises(MesascopeError, match=error):
            make_percept_encoder(BANDIT, told, width)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [
        np.arange(15, dtype=np.float32).reshape(3, 5),
        np.arange(15, dtype=np.int64).reshape(3, 5).T,
        np.array([True, False, True]),
        np.float64(2.5),
        np.zeros((0, 3)),
    ],
)
def test_arrays_are_put_together_from_their_bytes(value, protocol):
    got = _pickles.rebuild_value(_pickles.read_pickle(pickle.dumps(value, protocol), "it"))
    assert got.dtype == value.dtype and got.shape == value.shape and np.array_equal(got, value)


def test_what_a_pickle_names_is_not_imported_and_not_called(tmp_path, monkeypatch):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").mkdir, ()

    imported = []
    monkeypatch.setattr("builtins.__import__", lambda name, *a, **k: imported.append(name))
    got = _pickles.read_pickle(b"cno_such_module.deep\nThing\n(I1\nI2\ntR.", "it")
    monkeypatch.undo()
    assert imported == [] and got.origin == ("no_such_module.deep", "Thing") and got.args == (1, 2)
    _pickles.read_pickle(pickle.dumps(Trap()), "it")
    assert not (tmp_path / "sprung").exists()
    held = _pickles.read_pickle(pickle.dumps(OrderedDict(a=1, b=[2])), "it")
    assert held.items == [("a", 1), ("b", [2])]
    assert _pickles.find_reference(_pickles.read_pickle(pickle.dumps(OrderedDict), "it")) == (
        "collections",
        "OrderedDict",
    )


@pytest.mark.parametrize("value", [object(), {"a": 1}, np.array([object()]), np.array(["text"]), np.dtype("O")])
def test_what_is_not_made_of_numbers_is_no_array(value):
    with pytest.raises((ValueError, TypeError)):
        _pickles.rebuild_value(_pickles.read_pickle(pickle.dumps(value), "it"))


def test_broken_pickles_are_errors():
    whole = pickle.dumps([np.arange(3), "text"])
    for data in (b"", whole[:-1], whole[:7], b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", b"Nr\xff\xff\xff\x7f"):
        with pytest.raises(MesascopeError, match="is not a valid pickle"):
            _pickles.read_pickle(data, "it")
    with pytest.raises(MesascopeError, match="is not a valid pickle"):
        _pickles.read_pickle(b"P7\n.", "it")  # a reference outside
