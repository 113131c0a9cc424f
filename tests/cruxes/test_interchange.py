"""Triads as CSV and networks as BIF, out and in."""

from __future__ import annotations

import pytest

from mesascope import cruxes
from mesascope.cruxes import interchange
from mesascope.errors import MesascopeError

from .fixtures import small


def test_fri_columns_out_and_in():
    rows = interchange.read_triads(small().to_fri_csv())
    assert {(r.person, r.crux) for r in rows} >= {("ann", "A"), ("bob", "A")} - {("bob", "A")}
    ann = next(r for r in rows if (r.person, r.crux) == ("ann", "A"))
    assert (ann.pu, ann.pc, ann.puc) == pytest.approx((0.15, 0.3, 0.5))
    text = "person,Camp,ID,PU,Pc,PUc\na,x,c1,.005,.035,.05\nb,y,c1,.09,.12,.25\nc,x,c2,.05,.1,.8\n"
    values = {
        (v["crux"], *v["people"]): v["value"] for v in interchange.compute_triad_values(interchange.read_triads(text))
    }
    assert values["c1", "a", "b"] == pytest.approx(0.0185876582054, rel=1e-10)
    assert values["c2", "c"] is None
    for bad in ("a,b\n1,2\n", "person,Camp,ID,PU,Pc,PUc\n", "person,Camp,ID,PU,Pc,PUc\na,x,c,1.5,.1,.1\n", ""):
        with pytest.raises(MesascopeError):
            interchange.read_triads(bad)


def test_a_persons_network_as_bif_answers_the_same():
    argument = cruxes.load_thread(bridges=["b1"])
    text = argument.to_bif("lister")
    assert "not stated" in text
    net = cruxes.read_bif(text)
    joint = net.ask(["X", "P"])
    assert joint[1, 1] / joint[:, 1].sum() == pytest.approx(0.9922375, abs=1e-12)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "network x {",
        "variable a { type discrete [2] { y, n }; }",
        "hello",
        "probability ( a ) { table 1; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table 0.7, 0.7; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table x, y; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table 0.5; }",
        "variable a { type discrete [2] { y, n }; } probability ( a | b ) { table 0.5, 0.5; }",
        "variable a { type discrete [2] { y, y }; } probability ( a ) { table 0.5, 0.5; }",
    ],
)
def test_bif_that_is_none(bad):
    with pytest.raises(MesascopeError):
        cruxes.read_bif(bad)
