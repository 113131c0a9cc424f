"""Gaps, the value of learning a crux, what each number contributes, pools."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from mesascope import cruxes
from mesascope.cruxes import information, sensitivity
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.texts import describe_gap, describe_pool, describe_values
from mesascope.errors import MesascopeError

from .fixtures import SMALL, small
from .references import value_partial_product


def test_a_gap_by_shared_claims_adds_up():
    argument = small()
    gap = argument.gap("ann", "bob")
    a, b = (argument.answer(p) for p in ("ann", "bob"))
    assert gap.ends == pytest.approx(((a.low + a.high) / 2, (b.low + b.high) / 2), abs=1e-9)
    assert sum(p.share for p in gap.parts) == pytest.approx(gap.ends[1] - gap.ends[0], abs=1e-12)
    assert gap.ends == pytest.approx((0.15, 0.21), abs=1e-9)  # 0.3·0.5 and 0.7·0.3
    shares = {p.name: p.share for p in gap.parts}
    assert shares["a1 / b1"] == pytest.approx((0.7 - 0.3) * (0.5 + 0.3) / 2, abs=1e-9)
    assert shares["a2 / b2"] == pytest.approx((0.3 - 0.5) * (0.3 + 0.7) / 2, abs=1e-9)
    assert any("sum" in line for line in describe_gap(argument.cuts(should_use_points=True)))


def test_voi_of_a_person_by_hand():
    (value,) = small().voi("ann", "A")
    assert value.engine == "net"
    assert value.low == pytest.approx(information.compute_information_value(0.15, 0.5, 0.3), abs=1e-12)


def test_voi_without_a_network_is_a_range_that_holds_the_network():
    argument = small()
    (free,) = argument.voi("ann", "A", engine="lp")
    (point,) = argument.voi("ann", "A", engine="net")
    assert free.low - 1e-6 <= point.low <= free.high + 1e-6


def test_vod_can_be_negative_and_is_not_clipped():
    text = (
        SMALL.replace('given = "A", value = "~50%"', 'given = "A", value = "90%"')
        .replace('value = "20-40%"', 'value = "40%"')
        .replace("X <-> (A & B)", "X <-> B")
        .replace("b1 = {", 'a3 = { by = "ann", event = "B", given = "!A", value = "2%" }\nb1 = {')
    )
    (value,) = Argument(text).vod("ann", "bob", crux="A")
    a, b = (0.3 * 0.9 + 0.7 * 0.02, 0.9, 0.3), (0.7 * 0.4 + 0.3 * 0.1, 0.4, 0.7)
    assert value.low == value.high == pytest.approx(information.compute_discrimination_value(a, b), abs=1e-12)
    assert value.low < 0


def test_evppi_by_draws():
    betas, cost = [(3.0, 5.0), (6.0, 2.0), (2.0, 9.0)], 0.06
    exact = value_partial_product(betas, cost)
    rng = np.random.default_rng(1)
    means = np.array([a / (a + b) for a, b in betas])
    for i, (a, b) in enumerate(betas):
        y = rng.beta(a, b, 400_000) * np.delete(means, i).prod()
        assert exact[i] == pytest.approx(np.maximum(-cost, -y).mean() + min(cost, means.prod()), abs=3e-4)
    draws = np.prod([rng.beta(a, b, 400_000) for a, b in betas], axis=0)
    assert sensitivity.compute_evpi(draws, cost) >= exact.max() - 3e-4


def test_which_claim_matters_for_the_lister():
    weights, whole, notes = cruxes.load_thread(bridges=["b1"]).sensitivity("lister", cost=0.992, n=2**10)
    assert weights[0].claim == "d3d"
    assert sum(w.first for w in weights) <= 1.02
    assert whole > 0
    assert all(w.partial >= 0 for w in weights)
    assert any("independent" in n for n in notes)


def test_the_only_uncertain_number_has_the_whole_variance():
    weights, _, _ = small().sensitivity("ann")
    assert [(w.claim, w.first, w.total) for w in weights] == [("a2", 1.0, 1.0)]


def test_pool_reports_a_veto_and_asks_one_question():
    pool = cruxes.load_thread().pool()
    assert pool.low == 0
    assert pool.vetoes == ("lister at the lower end", "critic at the lower end")
    assert pool.given == "anything"
    assert any("veto" in line for line in describe_pool(pool))
    assert cruxes.load_thread(bridges=["b1"]).pool(["lister"], method="linear").low == pytest.approx(0.9865)


def test_a_crux_with_three_states_by_hand():
    argument = cruxes.load_thread(bridges=["b1"])
    (value,) = argument.voi("lister", "T & C; T & !C; !T")
    by_hand = information.compute_information_value_of_states([1 - 0.5175, 1, 1], [0.015, 0.135, 0.85])
    assert value.low == pytest.approx(by_hand, abs=1e-12)
    for bad in ("T; C", "T & C; T & !C"):
        with pytest.raises(MesascopeError, match="overlap or leave"):
            argument.voi("lister", bad)


def test_a_gap_under_another_interpretation():
    argument = cruxes.load_thread(interpretations=["not conditional on a fix"])
    (gap,) = argument.cuts(cut="lister", should_use_points=True).gaps
    assert gap.ends[0] == pytest.approx(0.94825, abs=1e-9)
    assert gap.parts[1].values[0] == pytest.approx(0.1 / 0.15 * 0.5175, abs=1e-9)


def test_there_is_no_gap_to_somebody_who_says_nothing():
    with pytest.raises(MesascopeError, match="cy's claims do not bound X"):
        small().gap("ann", "cy")


def test_the_middle_of_a_vacuous_set_is_nobodys_number():
    cut = '[cuts.c]\ntarget = "X"\nform = "product"\nparts = { a = "A", b = "B" }\n'
    cut += 'assume = { cy = { a = "50%", b = "rest" } }\n'
    silent = small(cut, **{'compare = ["ann", "bob"]': 'compare = ["ann", "cy"]'})
    with pytest.raises(MesascopeError) as caught:
        silent.cuts(should_use_points=True)
    assert "cy's claims do not bound X" in caught.value.problem
    assert "--points" in str(caught.value.remedy)
    assert "0.5" not in "".join(map(str, silent.cuts().questions[0].answers[1].assumptions))
    assert silent.cuts().questions[0].answers[1].status == "unstated"


@pytest.mark.parametrize(
    ("divergence", "by_hand", "at_most"),
    [
        ("naive", 0.3 * 0.35 + 0.7 * 0.15, 2 * 0.15 * 0.85),  # A moves the belief from .15 to .5, and !A to 0
        ("quadratic", 0.3 * 0.35**2 + 0.7 * 0.15**2, 0.15 * 0.85),
        ("log", None, -0.15 * np.log10(0.15) - 0.85 * np.log10(0.85)),
    ],
)
def test_the_most_that_a_crux_can_be_worth_is_the_worth_of_the_target(divergence, by_hand, at_most):
    (value,) = small().voi("ann", "A", divergence=divergence)
    assert value.maximum == pytest.approx(at_most, abs=1e-12)
    assert by_hand is None or value.low == pytest.approx(by_hand, abs=1e-12)
    assert value.high <= value.maximum
    (whole,) = small().voi("ann", "X", divergence=divergence)
    assert whole.high == pytest.approx(at_most, abs=1e-12)
    (states,) = small().voi("ann", "X; !X", divergence=divergence)
    assert (states.low, states.maximum) == pytest.approx((at_most, at_most), abs=1e-12)


def test_a_crux_with_three_states_has_the_unit_of_its_divergence():
    argument, states = cruxes.load_thread(bridges=["b1"]), "T & C; T & !C; !T"
    pu = 1 - 0.015 * 0.5175  # with T & C, the belief moves to 1 - .5175, and otherwise to 1
    (value,) = argument.voi("lister", states, divergence="naive")
    assert value.low == pytest.approx(0.015 * (pu - 0.4825) + 0.985 * (1 - pu), abs=1e-12)
    (value,) = argument.voi("lister", states, divergence="quadratic")
    assert value.low == pytest.approx(0.015 * (pu - 0.4825) ** 2 + 0.985 * (1 - pu) ** 2, abs=1e-12)
    with pytest.raises(MesascopeError, match="several states is not computed by the engine 'lp'"):
        argument.voi("lister", states, engine="lp")


def test_an_unknown_engine_is_refused_even_where_there_is_nothing_to_compute():
    text = 'format = "mesascope-crux/1"\nquery = { target = "A", compare = ["ann", "bob"] }\n[atoms]\nA = "a"\n'
    argument = Argument(text + '[people]\nann = { name = "Ann" }\nbob = { name = "Bob" }\n')
    assert argument.voi("ann") == argument.vod("ann", "bob") == []
    for ask in (partial(argument.voi, "ann"), partial(argument.vod, "ann", "bob")):
        with pytest.raises(MesascopeError, match=r"There is no engine 'lpp'. .*There are: auto, lp, net\."):
            ask(engine="lpp")


def test_a_gap_by_shared_claims_keeps_the_comparisons():
    argument = Argument("""format = "mesascope-crux/1"
query = { target = "X", compare = ["ann", "bob"] }
[atoms]
A = "a"
X = "x"
[people]
ann = { name = "Ann" }
bob = { name = "Bob" }
[claims]
a1 = { by = "ann", event = "A", value = "40%" }
a2 = { by = "ann", event = "X & !A", value = "<50%" }
a3 = { by = "ann", kind = "comparison", event = "A", than = "X" }
b1 = { by = "bob", event = "A", value = "80%" }
b2 = { by = "bob", event = "!X & A", value = "<70%" }
b3 = { by = "bob", kind = "comparison", event = "X", than = "A" }
""")
    gap = argument.gap("ann", "bob")
    # the middle of [0, A] is .2 at Ann's .4 and .4 at Bob's .8; the middle of [A, 1] is .7 and .9
    assert gap.ends == pytest.approx((0.2, 0.9), abs=1e-9)
    assert gap.ends == pytest.approx([sum(argument.answer(p).interval) / 2 for p in ("ann", "bob")], abs=1e-9)
    assert [p.share for p in gap.parts] == pytest.approx([(0.2 + 0.2) / 2, (0.5 + 0.5) / 2], abs=1e-9)


def pool_two(first: str, second: str, **settings):
    text = small().text.replace("30%", first).replace("70%", second)
    return Argument(text).pool(["ann", "bob"], "A", **settings)


def test_a_one_is_no_veto_in_a_geometric_pool():
    pool = pool_two("25%", "100%", method="geometric")
    assert (pool.low, pool.vetoes) == (pytest.approx(0.5), ())  # √(.25·1)
    pool = pool_two("0%", "100%", method="geometric")
    assert (pool.low, pool.high, pool.vetoes) == (0, 0, ("ann at the lower end", "ann at the upper end"))
    assert any("ann at the lower end" in line for line in describe_pool(pool))
    assert pool_two("25%", "100%", method="log").vetoes == ("bob at the lower end", "bob at the upper end")


def test_nobody_without_a_weight_has_a_veto_and_two_vetoes_make_no_pool():
    pool = pool_two("0%", "25%", method="log", weights=[0, 1])
    assert (pool.low, pool.vetoes) == (pytest.approx(0.25), ())
    pool = pool_two("0%", "100%", method="gmo")
    assert (pool.low, pool.high, pool.vetoes) == (None, None, ())
    assert any("no pool" in warning for warning in pool.warnings)


def test_voi_keeps_a_comparison_under_two_conditions():
    text = small().text.replace('event = "B", given = "A", value = "~50%"', 'event = "X", given = "!A", value = "60%"')
    text = text.replace("30%", "50%").partition("[bridges]")[0]
    more = 'a3 = { by = "ann", kind = "comparison", event = "X", given = "A", than = "X", than_given = "!A" }\n'
    free, bound = (Argument(t).voi("ann", "A", divergence="naive")[0] for t in (text, text + more))
    # A moves the belief from the mean of .6 and p = P(X | A) to either, by |p - .6|/2; the comparison says p >= .6
    assert (free.low, free.high) == pytest.approx((0, 0.3), abs=2e-3)
    assert (bound.low, bound.high) == pytest.approx((0, 0.2), abs=1e-6)


def test_the_column_of_triads_says_why_there_is_no_triad():
    thread = cruxes.load_thread()
    with_bridge = thread.read(bridges=["b1"])
    for values, shown in (
        (thread.voi("critic", "L"), "none: declined"),
        (thread.voi("critic", "L; !L"), "none: declined"),
        (thread.vod(crux="L"), "none: declined"),
        (thread.voi("lister", "C"), "a set"),
        (with_bridge.voi("lister", "T & C; T & !C; !T"), "none: 3 states"),
        (with_bridge.voi("lister", "T"), "0.9922, 0.9482, 0.15"),
    ):
        assert describe_values(values, "dits", "value")[1].endswith(f"  {shown}")
