"""Bounds over many atoms: groups of atoms give the bounds of all worlds at once, under a limit of work."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mesascope.cruxes import worlds
from mesascope.cruxes.bounds import Comparison, Constraint, Polytope, Rule
from mesascope.cruxes.language import SURE_EVENT, parse_event
from mesascope.errors import MesascopeError

from .fixtures import claim


def chain(n: int) -> tuple[list[Constraint], tuple[float, float]]:
    """A chain of n atoms with ranges, and the bounds of the last, carried from step to step."""
    rng = np.random.default_rng(n)
    low, high = 0.6, 0.8
    claims = [claim("c0", "N0", low, high)]
    for i in range(1, n):
        yes, no = np.sort(rng.uniform(0.4, 0.95, 2)), np.sort(rng.uniform(0.02, 0.3, 2))
        claims += [claim(f"y{i}", f"N{i}", *yes, given=f"N{i - 1}"), claim(f"n{i}", f"N{i}", *no, given=f"!N{i - 1}")]
        low, high = low * yes[0] + (1 - low) * no[0], high * yes[1] + (1 - high) * no[1]
    return claims, (low, high)


@pytest.mark.parametrize("n", [17, 23, 60])
def test_a_long_chain_of_ranges(n, monkeypatch):
    claims, wanted = chain(n)
    kinds = []
    monkeypatch.setattr(worlds, "_find_kinds", lambda *args, f=worlds._find_kinds: kinds.append(f(*args)) or kinds[-1])
    start = time.process_time()
    found = Polytope(claims).bound(parse_event(f"N{n - 1}"))
    assert time.process_time() - start < 4
    assert (found.low, found.high) == pytest.approx(wanted, abs=1e-7)
    assert (
        sum(map(len, kinds)) < 2 * 4 * n * 1.2
    )  # the stated limit of work: four kinds of world per step, two programs


def test_sixty_premises_and_their_conjunction():
    names = [f"N{i}" for i in range(60)]
    claims = [claim(name, name, 0.99) for name in names]
    found = Polytope(claims, [Rule("r", parse_event("X <-> (" + " & ".join(names) + ")"))]).bound(parse_event("X"))
    assert (found.low, found.high) == pytest.approx((0.4, 0.99), abs=1e-7)  # Fréchet
    overall = Polytope([*claims, claim("all", " & ".join(names), 0.2)])
    assert not overall.is_feasible
    assert set(overall.find_conflict()) == {*names, "all"}


@pytest.mark.parametrize("seed", range(12))
def test_groups_give_the_bounds_of_all_worlds(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    names = [f"A{i}" for i in range(8)]
    truth = rng.dirichlet(np.full(256, 0.3))
    polytope_claims = []
    for i in range(7):
        a, b, c = (names[j] for j in rng.choice(8, 3, replace=False))
        event, given = parse_event(f"{a} | !{b}"), parse_event(f"{c} -> {b}") if rng.random() < 0.5 else SURE_EVENT
        table = worlds.enumerate_worlds(names)
        p = truth @ (event.evaluate(table) & given.evaluate(table)) / (truth @ given.evaluate(table))
        polytope_claims.append(Constraint(f"c{i}", event, given, max(0, p - 0.05), min(1, p + 0.05)))
    rules = [Rule("r", parse_event("A0 & A1 & A2 & A3 & A4 -> A5 | A6 | A7"))]
    question = parse_event("A0 & (A1 | A6)"), parse_event("A2 | A7")
    joint = Polytope(polytope_claims, rules).bound(*question)
    monkeypatch.setattr(worlds, "_MAX_JOINT_ATOMS", 2)
    grouped = Polytope(polytope_claims, rules).bound(*question)
    assert grouped.status == joint.status
    if joint.low is not None:
        assert (grouped.low, grouped.high) == pytest.approx((joint.low, joint.high), abs=1e-6)
    about = parse_event("A1"), 3.0
    values = []
    for limit in (10, 2):
        monkeypatch.setattr(worlds, "_MAX_JOINT_ATOMS", limit)
        values.append(Polytope(polytope_claims, rules).bound(*question, evidence=about).interval)
    assert (values[0] is None) == (values[1] is None)
    assert values[0] is None or values[0] == pytest.approx(values[1], abs=1e-6)


def test_what_is_too_dense_is_refused_at_once_with_advice_that_exists():
    rng = np.random.default_rng(0)
    claims = []
    for i in range(150):
        a, b, c = (f"N{j}" for j in rng.choice(50, 3, replace=False))
        claims.append(claim(f"c{i}", f"{a} | {b}", 0.1, 0.9, given=c))
    start = time.process_time()
    with pytest.raises(MesascopeError, match="connected so densely") as caught:
        Polytope(claims).bound(parse_event("N0"))
    assert time.process_time() - start < 4
    assert "--" not in caught.value.remedy


def test_comparisons_are_constraints():
    def compare(event, than, given="", than_given=""):
        sides = (parse_event(x) if x else SURE_EVENT for x in (event, given, than, than_given))
        return Comparison("more", *sides)

    claims = [claim("b", "B", 0.3)]
    found = Polytope(claims, (), [compare("A", "B")]).bound(parse_event("A"))
    assert (found.low, found.high) == pytest.approx((0.3, 1))
    # P(M|F) >= P(M|L) with P(M|L) at least .4: P(M|F) is at least .4, whatever the chances of F and L
    given_two = [claim("l", "M", 0.4, 0.6, given="L"), claim("f", "F", 0.2), claim("ll", "L", 0.5)]
    more = compare("M", "M", "F", "L")
    found = Polytope(given_two, (), [more]).bound(parse_event("M"), parse_event("F"))
    assert (found.low, found.high) == pytest.approx((0.4, 1), abs=2e-4)
    assert Polytope(given_two).bound(parse_event("M"), parse_event("F")).low == pytest.approx(0, abs=1e-9)
    clash = Polytope([*given_two, claim("low", "M", 0.1, given="F")], (), [more])
    assert not clash.is_feasible
    assert set(clash.find_conflict()) == {"more", "l", "low", "f", "ll"} - ({"f", "ll"} - set(clash.find_conflict()))
