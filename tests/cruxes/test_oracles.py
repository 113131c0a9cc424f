"""The engines against slower derivations, against pyAgrum, and against each other."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from mesascope import cruxes
from mesascope.cruxes.answers import answer_question
from mesascope.cruxes.bounds import Constraint, Polytope
from mesascope.cruxes.credal import CredalNet, find_extremes
from mesascope.cruxes.language import SURE_EVENT, Event, conjoin, enumerate_worlds, parse_event
from mesascope.cruxes.networks import Net, Undefined

from .fixtures import asia, claim
from .references import propagate_chain, trace_one_way


def random_net(rng: np.random.Generator) -> Net:
    """Up to seven nodes of two to four states, up to three parents, some zeros in the tables."""
    n = int(rng.integers(2, 8))
    names = [f"n{i}" for i in range(n)]
    states = {name: [f"s{k}" for k in range(rng.integers(2, 5))] for name in names}
    parents, tables = {}, {}
    for i, name in enumerate(names):
        above = list(rng.permutation(names[:i])[: rng.integers(0, min(i, 3) + 1)])
        parents[name] = [str(p) for p in above]
        shape = [len(states[p]) for p in parents[name]]
        table = rng.dirichlet(np.full(len(states[name]), 0.7), size=shape or None)
        if rng.random() < 0.3:
            table = np.where(table < 0.1, 0, table)
            table = table / table.sum(-1, keepdims=True)
        tables[name] = table
    return Net(states, parents, tables)


def enumerate_joint(net: Net) -> dict[tuple[int, ...], float]:
    place = {name: i for i, name in enumerate(net.order)}
    tables = [(tuple(place[x] for x in (*net.parents[n], n)), dict(np.ndenumerate(net.tables[n]))) for n in net.order]
    return {
        world: math.prod(float(table[tuple(world[i] for i in where)]) for where, table in tables)
        for world in itertools.product(*(range(s) for s in net.sizes))
    }


def pick_evidence(net: Net, rng: np.random.Generator) -> dict[str, str]:
    chosen = [n for n in net.order if rng.random() < 0.3]
    return {n: str(rng.choice(net.states[n])) for n in chosen}


def test_exact_engine_against_enumeration_on_200_random_nets():
    rng = np.random.default_rng(3)
    undefined = 0
    for _ in range(200):
        net = random_net(rng)
        joint, evidence = enumerate_joint(net), pick_evidence(net, rng)
        place = {name: i for i, name in enumerate(net.order)}
        kept = {w: p for w, p in joint.items() if all(net.states[n][w[place[n]]] == s for n, s in evidence.items())}
        total, marginals = sum(kept.values()), net.compute_marginals()
        for name in net.order:
            slow = np.zeros(len(net.states[name]))
            whole = np.zeros_like(slow)
            for world, p in joint.items():
                whole[world[place[name]]] += p
            for world, p in kept.items():
                slow[world[place[name]]] += p
            np.testing.assert_allclose(marginals[name], whole, atol=1e-13)
            found = net.compute_posterior(name, evidence)
            if total == 0:
                assert isinstance(found, Undefined)
                undefined += 1
            else:
                np.testing.assert_allclose(found, slow / total, atol=1e-12)
    assert undefined > 0


def test_exact_engine_against_pyagrum_on_200_random_nets():
    gum = pytest.importorskip("pyagrum", reason="pyAgrum is not installed")
    rng = np.random.default_rng(4)
    compared = 0
    for _ in range(220):
        net = random_net(rng)
        bn = gum.BayesNet()
        for name in net.order:
            bn.add(gum.LabelizedVariable(name, "", list(net.states[name])))
        for name in net.order:
            for parent in net.parents[name]:
                bn.addArc(parent, name)
        for name in net.order:
            for row in itertools.product(*(range(len(net.states[p])) for p in net.parents[name])):
                bn.cpt(name)[dict(zip(net.parents[name], map(int, row), strict=True))] = net.tables[name][row].tolist()
        evidence = pick_evidence(net, rng)
        engine = gum.LazyPropagation(bn)
        engine.setEvidence(evidence)
        for name in net.order:
            found = net.compute_posterior(name, evidence)
            if isinstance(found, Undefined):
                break
            np.testing.assert_allclose(found, engine.posterior(name).toarray(), atol=1e-10)
        else:
            compared += 1
    assert compared >= 200


def test_bif_out_and_in_and_read_by_pyagrum(tmp_path):
    gum = pytest.importorskip("pyagrum", reason="pyAgrum is not installed")
    from mesascope.cruxes.interchange import read_bif, write_net

    rng = np.random.default_rng(5)
    for net in [asia(), *(random_net(rng) for _ in range(20))]:
        text = write_net(net)
        again = read_bif(text)
        assert again.states == net.states
        assert again.parents == net.parents
        for name in net.order:
            np.testing.assert_allclose(again.tables[name], net.tables[name], rtol=1e-15, atol=0)
        (tmp_path / "net.bif").write_text(text)
        engine = gum.LazyPropagation(gum.loadBN(str(tmp_path / "net.bif")))
        for name, value in net.compute_marginals().items():
            np.testing.assert_allclose(engine.posterior(name).toarray(), value, atol=2e-7)  # its reader is float32


def random_claims(rng: np.random.Generator) -> list[Constraint]:
    """Claims that form a network over up to five atoms, points or sets, some rows unstated."""
    names = [str(n) for n in "ABCDE"[: rng.integers(2, 6)]]
    claims = []
    for i, name in enumerate(names):
        above = sorted(str(p) for p in rng.permutation(names[:i])[: rng.integers(0, min(i, 2) + 1)])
        for row in itertools.product((False, True), repeat=len(above)):
            if above and rng.random() < 0.15:
                continue
            given = conjoin(
                *(Event("atom", name=p) if v else parse_event(f"!{p}") for p, v in zip(above, row, strict=True))
            )
            middle, half = rng.uniform(0.05, 0.95), rng.choice([0, 0.02, 0.2])
            sign = "!" if rng.random() < 0.3 else ""
            claims.append(
                Constraint(
                    f"{name}{row}", parse_event(sign + name), given, max(0, middle - half), min(1, middle + half)
                )
            )
    return claims


def test_bounds_contain_the_credal_range_which_contains_the_point_on_200_random_models():
    rng = np.random.default_rng(6)
    strict = 0
    for _ in range(200):
        claims = random_claims(rng)
        atoms = sorted({a for c in claims for a in c.atoms})
        event = Event("atom", name=str(rng.choice(atoms)))
        given = (
            SURE_EVENT
            if rng.random() < 0.6
            else parse_event(("!" if rng.random() < 0.5 else "") + str(rng.choice(atoms)))
        )
        polytope = Polytope(claims)
        wide = answer_question("ann", polytope, event, given, "lp")
        credal = answer_question("ann", polytope, event, given, "credal")
        if wide.low is None or credal.low is None:
            assert wide.status == credal.status == "undefined"
            continue
        network = CredalNet(polytope.select_connected(event.atoms | given.atoms).constraints, ())
        network.add_missing_nodes(event.atoms | given.atoms)
        point = float(network.evaluate(network.list_intervals().mean(axis=1)[:, None], event, given)[0])
        assert wide.low - 1e-7 <= credal.low <= point + 1e-12
        assert point - 1e-12 <= credal.high <= wide.high + 1e-7
        strict += wide.high - wide.low > credal.high - credal.low + 1e-6
    assert strict > 20  # the bounds are wider where independence matters


def test_credal_extremes_against_a_grid():
    rng = np.random.default_rng(8)
    for _ in range(25):
        network = CredalNet(random_claims(rng), ())
        network.add_missing_nodes(frozenset("A"))
        event = Event("atom", name=str(rng.choice(sorted(network.nodes))))
        found = find_extremes(network, event)
        spans = network.list_intervals()
        inside = spans[:, :1] + (spans[:, 1:] - spans[:, :1]) * rng.random((len(spans), 400))
        values = network.evaluate(inside, event)
        assert found.low <= values.min() + 1e-12
        assert found.high >= values.max() - 1e-12


def test_coordinate_ascent_stays_inside_and_says_so(monkeypatch):
    from mesascope.cruxes import credal

    rng = np.random.default_rng(9)
    network = CredalNet(random_claims(rng), ())
    event = Event("atom", name=max(network.nodes))
    network.add_missing_nodes(event.atoms)
    exact = find_extremes(network, event)
    monkeypatch.setattr(credal, "MAX_FREE_ENTRIES", 0)
    inner = find_extremes(network, event)
    assert exact.is_exact
    assert not inner.is_exact
    assert exact.low - 1e-12 <= inner.low <= inner.high <= exact.high + 1e-12
    assert inner.high == pytest.approx(exact.high, abs=0.05)


def test_chain_propagation_against_vertices():
    yes, no = np.array([[0.7, 0.9], [0.2, 0.6], [0.5, 0.55]]), np.array([[0.05, 0.2], [0.3, 0.8], [0.1, 0.4]])
    names = "ABCD"
    claims = [claim("A", "A", 0.3, 0.4)]
    for i, (y, n) in enumerate(zip(yes, no, strict=True)):
        claims += [
            claim(f"y{i}", names[i + 1], *y, given=names[i]),
            claim(f"n{i}", names[i + 1], *n, given=f"!{names[i]}"),
        ]
    network = CredalNet(claims, ())
    fast = propagate_chain((0.3, 0.4), yes, no)
    for name, span in zip(names, fast, strict=True):
        found = find_extremes(network, parse_event(name))
        assert (found.low, found.high) == pytest.approx(tuple(span), abs=1e-12)


def test_one_way_sensitivity_is_a_ratio_of_lines():
    network = CredalNet([claim("A", "A", 0.3), claim("y", "B", 0.8, given="A"), claim("n", "B", 0.1, given="!A")], ())
    theta = np.array([0.3, 0.8, 0.1])
    a, b, c, d = trace_one_way(network, 1, theta, parse_event("A"), parse_event("B"))
    for t in (0.05, 0.4, 0.93):
        moved = np.array([0.3, t, 0.1])[:, None]
        assert (a * t + b) / (c * t + d) == pytest.approx(
            network.evaluate(moved, parse_event("A"), parse_event("B"))[0], abs=1e-14
        )


def test_bounds_against_a_fine_search_over_joints():
    """The bounds hold for every sampled joint that satisfies the claims, and are approached by some."""
    rng = np.random.default_rng(10)
    worlds = enumerate_worlds("AB")
    joints = rng.dirichlet(np.full(4, 0.5), 400_000)
    a, b = joints @ worlds["A"], joints @ worlds["B"]
    both = joints @ (worlds["A"] & worlds["B"])
    good = (a >= 0.5) & (a <= 0.7) & (both / np.maximum(b, 1e-12) >= 0.2) & (both / np.maximum(b, 1e-12) <= 0.4)
    found = Polytope([claim("a", "A", 0.5, 0.7), claim("ab", "A", 0.2, 0.4, given="B")]).bound(parse_event("B"))
    assert found.low - 1e-9 <= b[good].min()
    assert b[good].max() <= found.high + 1e-9
    assert found.high == pytest.approx(b[good].max(), abs=0.02)


def test_merging_worlds_changes_no_bound():
    """The reduced program against the full one, over every world."""
    from scipy.optimize import linprog

    rng = np.random.default_rng(12)
    for _ in range(20):
        claims = random_claims(rng)
        atoms = sorted({a for c in claims for a in c.atoms})
        worlds, event = enumerate_worlds(atoms), Event("atom", name=atoms[-1])
        rows = []
        for c in claims:
            given, both = c.condition.evaluate(worlds), c.condition.evaluate(worlds) & c.event.evaluate(worlds)
            rows += [both - c.high * given, c.low * given - both]
        ends = [
            s
            * linprog(
                s * event.evaluate(worlds),
                A_ub=np.array(rows),
                b_ub=np.zeros(len(rows)),
                A_eq=np.ones((1, 2 ** len(atoms))),
                b_eq=[1],
            ).fun
            for s in (1, -1)
        ]
        found = Polytope(claims).bound(event)
        assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-6)


def test_bounds_do_not_solve_what_is_not_asked():
    argument = cruxes.load_thread()
    part = argument.build_polytope("critic").select_connected(parse_event("U").atoms)
    assert {c.id for c in part.constraints} == {"i1", "i2"}
