"""Fixtures that are networks: published answers, each test named after its section."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from mesascope import cruxes
from mesascope.cruxes.networks import Net, Undefined

from .fixtures import asia, binary, pearl
from .references import propagate_chain

ASIA = {
    "asia": 0.01,
    "tub": 0.0104,
    "smoke": 0.5,
    "lung": 0.055,
    "bronc": 0.45,
    "either": 0.064828,
    "xray": 0.11029004,
    "dysp": 0.4359706,
}


def test_4_3_asia():
    net = asia()
    for name, value in net.compute_marginals().items():
        assert value[1] == pytest.approx(ASIA[name], abs=5e-9)
        assert net.compute_posterior(name)[1] == pytest.approx(ASIA[name], abs=5e-9)  # dense and elimination agree
    found = net.compute_posterior("lung", {"asia": "yes", "xray": "yes", "dysp": "yes"})
    assert found[1] == pytest.approx(0.44427051, abs=5e-9)
    assert isinstance(net.compute_posterior("asia", {"either": "no", "tub": "yes"}), Undefined)


def models() -> Path:
    pgmpy = pytest.importorskip("pgmpy", reason="pgmpy is not installed; it carries the BIF files")
    return Path(pgmpy.__file__).parent / "utils" / "example_models"


def test_4_3_asia_as_published_in_bif():
    with gzip.open(models() / "asia.bif.gz", "rt") as file:
        net = cruxes.read_bif(file.read())
    for name, value in net.compute_marginals().items():
        assert value[net.states[name].index("yes")] == pytest.approx(ASIA[name], abs=5e-9)


def test_4_4_alarm():
    with gzip.open(models() / "alarm.bif.gz", "rt") as file:
        net = cruxes.read_bif(file.read())
    assert len(net.order) == 37
    assert sum(t.size // t.shape[-1] * (t.shape[-1] - 1) for t in net.tables.values()) == 509
    marginals = net.compute_marginals()
    for name, state, value, near in (
        ("LVFAILURE", "TRUE", 0.05, 1e-9),
        ("HYPOVOLEMIA", "TRUE", 0.2, 1e-9),
        ("CO", "HIGH", 0.6431895547, 1e-7),
        ("BP", "LOW", 0.3899930927, 1e-7),
    ):
        assert marginals[name][net.states[name].index(state)] == pytest.approx(value, abs=near)


def test_4_5_mammography():
    net = binary({"cancer": (), "test": ("cancer",)}, {"cancer": [0.01], "test": [0.096, 0.8]})
    assert net.compute_posterior("cancer", {"test": "yes"})[1] == pytest.approx(0.07763975155279504, abs=1e-15)


def test_4_5_pearl_alarm():
    net = pearl()
    assert net.compute_posterior("b", {"j": "yes", "m": "yes"})[1] == pytest.approx(0.28417183536439294, abs=1e-14)
    assert net.compute_posterior(["j", "m"], {"e": "yes"})[1, 1] == pytest.approx(0.18347047, abs=5e-9)
    assert net.compute_marginals()["a"][1] == pytest.approx(0.002516442, abs=1e-12)


def test_4_5_coin_bag_and_die():
    sides = (4, 6, 10, 20)
    bag = np.array([[0, 1, 0, 0], [0.25] * 4])  # heads: only six-sided dice
    roll = np.array([[1 / n if face < n else 0.0 for face in range(20)] for n in sides])
    net = Net(
        {"coin": ["heads", "tails"], "die": [f"d{n}" for n in sides], "roll": [str(i + 1) for i in range(20)]},
        {"die": ["coin"], "roll": ["die"]},
        {"coin": np.array([0.5, 0.5]), "die": bag, "roll": roll},
    )
    assert net.compute_marginals()["roll"][5] == pytest.approx(0.5 / 6 + 0.5 * (1 / 6 + 1 / 10 + 1 / 20) / 4, abs=1e-15)
    assert net.compute_marginals()["roll"][5] == pytest.approx(0.1229166666, abs=1e-10)
    assert net.compute_posterior("coin", {"roll": "11"}) == pytest.approx([0, 1])


def test_4_5_monty_hall():
    doors = ["1", "2", "3"]
    host = np.zeros((3, 3, 3))
    for car in range(3):
        for pick in range(3):
            may = [d for d in range(3) if d not in (car, pick)]
            host[car, pick, may] = 1 / len(may)
    net = Net(
        {"car": doors, "pick": doors, "host": doors},
        {"host": ["car", "pick"]},
        {"car": np.full(3, 1 / 3), "pick": np.array([0.5, 0.2, 0.3]), "host": host},
    )
    assert net.compute_posterior("car", {"pick": "1", "host": "3"})[1] == pytest.approx(2 / 3, abs=1e-15)


CHAIN = [0.9, 0.8, 0.7, 0.85, 0.6, 0.75, 0.95, 0.5, 0.65, 0.8]


def test_4_9_chain():
    names = [f"a{i}" for i in range(1, 11)]
    parents = {n: (names[i - 1],) if i else () for i, n in enumerate(names)}
    net = binary(parents, {n: [0.1, CHAIN[i]] if i else [CHAIN[0]] for i, n in enumerate(names)})
    assert net.compute_marginals()["a10"][1] == pytest.approx(0.26691864875, abs=5e-12)
    assert net.compute_posterior("a10")[1] == pytest.approx(0.26691864875, abs=5e-12)
    assert net.compute_joint()[(1,) * 10] == pytest.approx(0.04761666, abs=5e-9)
    points = np.array(CHAIN[1:])[:, None].repeat(2, 1)
    spans = propagate_chain((0.9, 0.9), points, np.full((9, 2), 0.1))
    assert spans[-1] == pytest.approx([0.26691864875] * 2, abs=5e-12)
