"""Stay probabilities of two-step trials: counted by hand, by a linear model, and where the indices are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.examination.measurement import apply_metrics
from mesascope.logs import read_log

CELLS = ("rewarded, common", "rewarded, rare", "unrewarded, common", "unrewarded, rare")


def asked(trials: xr.Dataset, spec: str = "stay_probabilities"):
    found = apply_metrics([catalogue.make("metrics", spec)], {str(trials.attrs["split"]): trials})
    return {f.metric.partition(": ")[2]: f for f in found}


def log(first, common, paid, who=None) -> xr.Dataset:
    """Rows [N, T] as trials; a choice of -1 is missing."""
    n, length = np.shape(first)
    frame = pd.DataFrame(
        {
            "participant": np.repeat(np.arange(n) if who is None else who, length),
            "block": np.repeat(np.arange(n), length),
            "trial": np.tile(np.arange(length), n),
            "choice": np.ravel(first).astype(float),
            "transition": np.where(np.ravel(common), "common", "rare"),
            "reward": np.ravel(paid).astype(float),
        }
    )
    frame.loc[frame.choice < 0, ["choice", "reward"]] = np.nan
    return read_log(frame)[0]


def world(first_of, n: int, length: int, seed: int):
    """Wang et al. 2018: transitions .8/.2, the states pay .9/.1 and exchange with p .025; `first_of` plays [N]."""
    rng = np.random.default_rng(seed)
    good, state, told = rng.integers(0, 2, n), np.zeros(n, int), []
    paid, first, memory = np.zeros(n), np.zeros(n, int), None
    for _ in range(length):
        first, memory = first_of(rng, memory, first, state, paid)
        common = rng.random(n) < 0.8
        state = np.where(common, first, 1 - first)
        paid = (rng.random(n) < np.where(state == good, 0.9, 0.1)).astype(float)
        good = np.where(rng.random(n) < 0.025, 1 - good, good)
        told.append((first, common, paid))
    return [np.stack(x, 1) for x in zip(*told, strict=True)]


def at_random(rng, memory, first, state, paid):
    return rng.integers(0, 2, len(first)), None


def rescorla_wagner(rng, values, first, state, paid):
    """Model-free: alpha .5 on the first choice's own value, softmax of slope 5, values from .5."""
    n = len(first)
    if values is None:
        values = np.full((n, 2), 0.5)
    else:
        values = values.copy()
        values[np.arange(n), first] += 0.5 * (paid - values[np.arange(n), first])
    p = 1 / (1 + np.exp(-5 * (values[:, 1] - values[:, 0])))
    return (rng.random(n) < p).astype(int), values


def exact_filter(rng, belief, first, state, paid):
    """The posterior of the state that pays, greedily followed; it holds no plan, and counts no transitions."""
    if belief is None:
        belief = np.full(len(first), 0.5)
    else:
        likely = np.where(paid == 1, 0.9, 0.1)
        one = belief * np.where(state == 1, likely, 1 - likely)
        zero = (1 - belief) * np.where(state == 0, likely, 1 - likely)
        belief = one / (one + zero)
        belief = belief * 0.975 + (1 - belief) * 0.025
    coin = rng.integers(0, 2, len(first))
    return np.where(np.abs(belief - 0.5) < 1e-12, coin, belief > 0.5).astype(int), belief


def test_the_four_cells_counted_by_hand():
    first = [[0, 0, 1, -1, 1, 0, 0], [1, 1, 1, 0, 1, 1, 0], [0, 1, 0, 0, 0, 1, 1]]
    common = [[1, 0, 1, 1, 0, 1, 1], [1, 1, 0, 0, 1, 1, 0], [0, 0, 1, 0, 0, 1, 1]]
    paid = [[1, 0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 1, 0, 1], [1, 0, 1, 0, 0, 1, 1]]
    found = asked(log(first, common, paid))
    # lifetime by lifetime; the missed trial of the first one tells nothing, so its neighbours are neighbours
    stays = {"rewarded, common": [2, 2, 2], "rewarded, rare": [0, 0, 0]}
    stays |= {"unrewarded, common": [1, 1, 0], "unrewarded, rare": [0, 0, 1]}
    count = {"rewarded, common": [2, 2, 2], "rewarded, rare": [1, 1, 1]}
    count |= {"unrewarded, common": [1, 2, 0], "unrewarded, rare": [1, 1, 3]}
    for cell in CELLS:
        got = found[f"stay after {cell}"]
        assert got.estimate == pytest.approx(sum(stays[cell]) / sum(count[cell])), cell
        assert got.n == 3 and got.unit == "participant" and got.null == 0.5
    last = asked(log(first, common, paid), "stay_probabilities:end=switch")
    assert last["stay after rewarded, common"].estimate == pytest.approx(6 / 8)
    assert last["stay after rewarded, rare"].estimate == pytest.approx(0 / 4)
    assert found["stay after rewarded, common"].reason.startswith("0.750 where")
    assert last["stay after rewarded, common"].reason.startswith("1.000 where")


def test_coefficients_are_those_of_least_squares():
    first, common, paid = world(rescorla_wagner, 7, 61, seed=5)
    found = asked(log(first, common, paid))
    stay = (first[:, 1:] == first[:, :-1]).ravel()
    r, c = 2.0 * paid[:, :-1].ravel() - 1, 2.0 * common[:, :-1].ravel() - 1
    b = np.linalg.lstsq(np.stack([np.ones_like(r), r, c, r * c], 1), stay.astype(float), rcond=None)[0]
    for label, value in zip(
        ("reward main effect", "transition main effect", "reward × transition interaction"), b[1:], strict=True
    ):
        assert found[f"{label} (OLS coefficient)"].estimate == pytest.approx(value)
    assert found["MF index"].estimate == pytest.approx(4 * b[1])
    assert found["MB index"].estimate == pytest.approx(4 * b[3])


def test_subjects_whose_indices_are_known():
    found = asked(log(*world(rescorla_wagner, 1500, 100, seed=1)))
    assert found["MB index"].estimate == pytest.approx(0.29, abs=0.02)
    assert found["MF index"].estimate == pytest.approx(0.61, abs=0.02)
    filtered = asked(log(*world(exact_filter, 1500, 100, seed=3)))
    assert filtered["MB index"].estimate == pytest.approx(0.67, abs=0.02)
    assert filtered["MF index"].estimate == pytest.approx(0.0, abs=0.02)
    still = asked(log(*world(at_random, 400, 100, seed=2)))
    for label in ("MB index", "MF index"):
        assert still[label].low < 0 < still[label].high and abs(still[label].estimate) < 0.05


def test_participants_are_the_unit_however_many_lifetimes_each_has():
    first, common, paid = world(rescorla_wagner, 11, 31, seed=8)
    who = np.array([0, 0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
    found, apart = asked(log(first, common, paid, who)), asked(log(first, common, paid))
    for cell in CELLS:
        one, other = found[f"stay after {cell}"], apart[f"stay after {cell}"]
        assert (one.n, other.n) == (4, 11)
        assert one.estimate == pytest.approx(other.estimate)  # pooled over trials both ways

    # a second derivation of the interval: delete one participant at a time
    def index(keep):
        stay = first[keep, 1:] == first[keep, :-1]
        won, usual = paid[keep, :-1] == 1, common[keep, :-1] == 1
        cells = [(won, usual), (won, ~usual), (~won, usual), (~won, ~usual)]
        return float(np.dot([1, -1, -1, 1], [stay[a & b].mean() for a, b in cells]))

    left = np.array([index(who != w) for w in range(4)])
    error = np.sqrt(3 / 4 * ((left - left.mean()) ** 2).sum())
    mb = found["MB index"]
    assert mb.estimate == pytest.approx(index(who >= 0))
    assert (mb.high - mb.low) / 2 / 3.182 == pytest.approx(error, rel=0.35)


def test_when_it_does_not_apply():
    first, common, paid = world(at_random, 5, 21, seed=4)

    def why(trials):
        (finding,) = asked(trials).values()
        assert finding.status == "does not apply"
        return finding.reason

    assert "always repeats" in why(log(np.tile(first[:, :1], 21), common, paid))
    assert "no trial was rewarded, rare" in why(log(first, np.ones_like(common), paid))
    plain = log(first, common, paid).drop_vars("transition")
    assert "do not have two steps" in why(plain)
    with pytest.raises(MesascopeError, match="There is no end 'drop'"):
        catalogue.make("metrics", "stay_probabilities:end=drop")


def test_graded_pay_offs_are_rewarded_above_the_middle():
    first, common, paid = world(at_random, 5, 21, seed=4)
    graded = paid * 2 + (np.arange(21) % 2)  # 0, 1 lost; 2, 3 won
    found, plain = asked(log(first, common, graded)), asked(log(first, common, paid))
    for cell in CELLS:
        assert found[f"stay after {cell}"].estimate == plain[f"stay after {cell}"].estimate
    assert "rewarded is a pay-off above 1.5" in found["MB index"].reason
