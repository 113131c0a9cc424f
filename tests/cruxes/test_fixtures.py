"""Section by section: published or hand-computed answers, each test named after its fixture."""

from __future__ import annotations

import numpy as np
import pytest

from mesascope.cruxes import information, pooling, sensitivity
from mesascope.cruxes.bounds import Polytope
from mesascope.cruxes.coherence import find_clashes
from mesascope.cruxes.disagreement import compute_product, decompose_gap, find_lmdi_shares
from mesascope.cruxes.evidence import update_interval
from mesascope.cruxes.language import parse_event
from mesascope.cruxes.readings import fit_beta
from mesascope.errors import MesascopeError

from .fixtures import CARLSMITH, SUPERFORECASTERS, claim
from .references import fit_beta_equal_tail, share_by_orders, share_variance_product, value_discrimination_states


def test_4_1_carlsmith():
    assert compute_product(CARLSMITH[None])[0] == pytest.approx(0.051376, abs=5e-7)


PROB = [0.00490202, 0.00273551, 0.00903313, -0.01803104, -0.03130618, -0.01662144]
LN = [0.20763936, 0.11778304, 0.37156356, -0.95551145, -2.07944154, -0.86499744]
LOGIT = [0.21281297, 0.12066684, 0.38111567, -0.97425418, -2.11166479, -0.88229356]
OAT = [0.011856, 0.006422, 0.0231192, -0.031616, -0.044954, -0.029744]
LMDI = [0.00319521, 0.00181247, 0.00571771, -0.01470364, -0.03199895, -0.01331079]


@pytest.mark.parametrize(
    ("method", "scale", "shares", "total"),
    [
        ("shapley", "prob", PROB, -0.049288),
        ("shapley", "log", LN, -3.20296447),
        ("shapley", "logodds", LOGIT, None),
        ("oat", "prob", OAT, None),
        ("lmdi", "prob", LMDI, -0.049288),
    ],
)
def test_4_2_superforecasters(method, scale, shares, total):
    assert compute_product(SUPERFORECASTERS[None])[0] == pytest.approx(0.002088, abs=5e-7)
    found = decompose_gap(compute_product, CARLSMITH, SUPERFORECASTERS, method, scale)
    np.testing.assert_allclose(found, shares, atol=6e-9 if method != "oat" else 5e-8)
    if total is not None:
        assert found.sum() == pytest.approx(total, abs=5e-7)


def test_4_2_shapley_by_the_slow_derivation():
    fast = decompose_gap(compute_product, CARLSMITH, SUPERFORECASTERS)
    np.testing.assert_allclose(fast, share_by_orders(compute_product, CARLSMITH, SUPERFORECASTERS), atol=1e-14)


def test_4_2_logs_of_a_product_are_the_logs_of_its_factors():
    np.testing.assert_allclose(
        decompose_gap(compute_product, CARLSMITH, SUPERFORECASTERS, scale="log"),
        np.log(SUPERFORECASTERS / CARLSMITH),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        find_lmdi_shares(CARLSMITH, SUPERFORECASTERS).sum(), SUPERFORECASTERS.prod() - CARLSMITH.prod(), atol=1e-14
    )


def test_4_2_stated_overall_is_incoherent_under_the_chain():
    names = "abcdef"
    chain = [
        claim(n, n, p, given=" & ".join(names[:i]))
        for i, (n, p) in enumerate(zip(names, SUPERFORECASTERS, strict=True))
    ]
    polytope = Polytope([*chain, claim("overall", " & ".join(names), 0.01)])
    assert not polytope.is_feasible
    clashes = find_clashes(polytope)
    assert clashes
    for clash in clashes:
        assert "overall" in clash.claims
        kept = Polytope([c for c in polytope.constraints if c.id in clash.claims])
        assert not kept.is_feasible
        assert all(kept.drop(c).is_feasible for c in clash.claims)
    own = Polytope(chain).bound(parse_event(" & ".join(names)))
    assert (own.low, own.high) == pytest.approx((0.002088, 0.002088), abs=1e-9)


@pytest.mark.parametrize(
    ("triad", "dits"),
    [
        ((0.1, 0.02, 0.01), 0.00022420098481),
        ((0.3, 0.2, 0.5), 0.010491363318),
        ((0.25, 0.32, 0.75), 0.0218002864079),
        ((0.05, 0.1, 0.2), 0.00241723288872),
        ((0.65, 0.85, 0.25), 0.0140600309139),
    ],
)
def test_4_6_fri_value_of_information(triad, dits):
    pu, puc, pc = triad
    assert information.compute_information_value(pu, puc, pc) == pytest.approx(dits, rel=5e-12)
    pun = information.find_complement(pu, puc, pc)
    joint = np.array([[pc * puc, pc * (1 - puc)], [(1 - pc) * pun, (1 - pc) * (1 - pun)]])
    mutual = (joint * np.log10(joint / joint.sum(0) / joint.sum(1)[:, None])).sum()
    assert information.compute_information_value(pu, puc, pc) == pytest.approx(mutual, rel=1e-10)
    assert information.compute_information_value_of_states([puc, pun], [pc, 1 - pc]) == pytest.approx(mutual, rel=1e-10)


def test_4_6_fri_entropy_and_updatable():
    assert information.measure_entropy(0.1) == pytest.approx(0.1411817415, abs=5e-11)
    for (pu, puc, pc, pun), dits in (
        ((0.1, 0.02, 0.01, 0.08), 0.00124124746717),
        ((0.3, 0.2, 0.5, 0.02), 0.0654294777773),
    ):
        assert information.compute_information_value(pu, puc, pc, complement=pun) == pytest.approx(dits, rel=5e-12)


def test_4_6_fri_value_of_discrimination():
    a, b = (0.005, 0.05, 0.035), (0.09, 0.25, 0.12)
    assert information.compute_discrimination_value(a, b) == pytest.approx(0.0185876582054, rel=5e-12)
    assert information.measure_symmetric_kl(a[0], b[0]) == pytest.approx(0.10999460645, rel=5e-11)
    c, d = (0.002, 0.0022, 0.15), (0.25, 0.17, 0.4)
    assert information.compute_discrimination_value(c, d) == pytest.approx(-0.0596971045845, rel=5e-12)
    states = value_discrimination_states(
        [c[1], information.find_complement(*c)],
        [c[2], 1 - c[2]],
        [d[1], information.find_complement(*d)],
        [d[2], 1 - d[2]],
    )
    assert states == pytest.approx(-0.0596971045845, rel=5e-12)


AGG = [0.1] * 5 + [0.2] * 5 + [0.4] * 5 + [0.5] * 2 + [0.8, 0.9, 1.0]


def test_4_7_aggutils():
    assert pooling.pool_linear(AGG) == pytest.approx(0.36, abs=1e-12)
    others = [p for p in AGG if p < 1]
    replaced = np.where(np.array(AGG) == 1, np.quantile(others, 0.95), AGG)  # aggutils nudges a 1, with q = .05
    assert pooling.pool_log(replaced) == pytest.approx(0.3217874378, abs=5e-11)
    assert pooling.pool_extremised(replaced) == pytest.approx(0.2226478471, abs=5e-11)
    assert pooling.pool_log(AGG) == 1  # we report a veto and nudge nothing
    assert pooling.pool_log([0.7, 0.2, 0.1]) == pytest.approx(0.2865756831, abs=5e-11)
    assert 1 - pooling.pool_log([0.3, 0.8, 0.9]) == pytest.approx(0.2865756831, abs=5e-11)


def test_4_7_extremising_factor():
    for n, d in ((1, 1.0), (2, 1.291503), (3, 1.415339), (4, 1.484641), (5, 1.529013)):
        assert pooling.compute_extremising_factor(n) == pytest.approx(d, abs=5e-7)
    assert pooling.compute_extremising_factor(10**7) == pytest.approx(np.sqrt(3), abs=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "mass", "a", "b"),
    [
        (0.01, 0.20, 0.9, 2.2949, 19.243),
        (0.10, 0.80, 0.9, 1.9960, 2.3745),
        (0.80, 0.90, 0.9, 114.51, 20.288),
        (0.05, 0.15, 0.9, 9.277, 82.76),
        (0.3, 0.7, 0.95, 11.2598, 11.2598),
    ],
)
def test_4_8_maximum_entropy_beta(low, high, mass, a, b):
    from scipy.stats import beta

    found = fit_beta(low, high, mass)
    assert found == pytest.approx((a, b), rel=5e-4)
    assert beta.cdf(high, *found) - beta.cdf(low, *found) == pytest.approx(mass, abs=1e-9)
    assert beta.entropy(*found) >= beta.entropy(*fit_beta_equal_tail(low, high, mass)) - 1e-9


def test_4_8_equal_tail_is_another_convention():
    a, b = fit_beta_equal_tail(0.01, 0.20)
    assert a / (a + b) == pytest.approx(0.080, abs=5e-4)
    c, d = fit_beta(0.01, 0.20)
    assert c / (c + d) == pytest.approx(0.107, abs=5e-4)
    assert (a, b) == pytest.approx((1.50, 17.27), abs=5e-3)


SOBOL = [0.113949, 0.052905, 0.317429, 0.113949, 0.317429, 0.011138]
TOTAL = [0.1361, 0.064047, 0.362934, 0.1361, 0.362934, 0.01361]


def test_4_10_sobol():
    sd = np.sqrt(CARLSMITH * (1 - CARLSMITH) / 21)
    first, total, spread = share_variance_product(CARLSMITH, sd)
    np.testing.assert_allclose(first, SOBOL, atol=6e-7)
    np.testing.assert_allclose(total, TOTAL, atol=6e-7)
    assert spread == pytest.approx(0.02437098, abs=5e-9)
    betas = [(20 * m, 20 * (1 - m)) for m in CARLSMITH]
    s, st = sensitivity.find_sobol_shares(lambda x: x.prod(axis=0), betas, 2**13)
    np.testing.assert_allclose(s, SOBOL, atol=0.01)
    np.testing.assert_allclose(st, TOTAL, atol=0.01)


def test_4_12_frechet():
    found = Polytope([claim("a", "A", 0.9), claim("b", "B", 0.5)]).bound(parse_event("A & B"))
    assert (found.low, found.high) == pytest.approx((0.4, 0.5), abs=1e-9)


def test_4_12_triads():
    clashing = Polytope([claim("pu", "U", 0.05), claim("puc", "U", 0.8, given="C"), claim("pc", "C", 0.1)])
    assert not clashing.is_feasible
    assert sum(clashing.find_repair().values()) == pytest.approx(0.03, abs=1e-9)
    assert set(clashing.find_conflict()) == {"pu", "puc", "pc"}
    (clash,) = find_clashes(clashing)
    assert clash.single_changes["pu"] == pytest.approx((0.08, 0.98), abs=1e-9)  # both sides of the triad condition
    sound = Polytope([claim("pu", "U", 0.25), claim("puc", "U", 0.32, given="C"), claim("pc", "C", 0.75)])
    assert sound.is_feasible
    found = sound.bound(parse_event("U"), parse_event("!C"))
    assert (found.low, found.high) == pytest.approx((0.04, 0.04), abs=1e-9)


@pytest.mark.parametrize(
    ("prior", "ratio", "posterior"),
    [
        ((0, 0.10), (3, 3), (0, 0.25)),
        ((0, 0.10), (10, 10), (0, 0.526)),
        ((0, 1), (20, 20), (0, 1)),
        ((1, 1), (3, 9), (1, 1)),
    ],
)
def test_3_3_ratios_on_sets(prior, ratio, posterior):
    assert update_interval(prior, ratio) == pytest.approx(posterior, abs=5e-4)


def test_pitfall_1_an_eight_step_chain_without_independence():
    names = "abcdefgh"
    steps = [claim("a", "a", 0.8), *(claim(n, n, 0.7, 0.9, given=names[i]) for i, n in enumerate(names[1:]))]
    found = Polytope(steps).bound(parse_event("h"))
    assert (found.low, found.high) == pytest.approx((0.066, 0.991), abs=5e-4)


def test_pitfall_9_pooling_and_multiplying_do_not_commute():
    people = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert compute_product(people.mean(0)[None])[0] != pytest.approx(compute_product(people).mean(), abs=0.05)


def test_lmdi_is_for_a_product_or_its_complement_alone():
    a, b = np.array([0.2, 0.5]), np.array([0.4, 0.5])  # the products are .1 and .2, and only the first part moves
    assert decompose_gap(compute_product, a, b, "lmdi") == pytest.approx([0.1, 0], abs=1e-15)
    assert decompose_gap(lambda x: x.prod(axis=-1), a, b, "lmdi") == pytest.approx([0.1, 0], abs=1e-15)
    assert decompose_gap(lambda x: 1 - x.prod(axis=-1), a, b, "lmdi") == pytest.approx([-0.1, 0], abs=1e-15)
    with pytest.raises(MesascopeError, match="LMDI needs the product"):
        decompose_gap(lambda x: x.mean(axis=-1), a, b, "lmdi")
