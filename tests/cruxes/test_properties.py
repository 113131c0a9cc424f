"""What must not matter does not, and what must flip flips: generated models (hypothesis)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mesascope import cruxes
from mesascope.cruxes import information, pooling
from mesascope.cruxes.answers import answer_question
from mesascope.cruxes.bounds import Constraint, Polytope, Rule
from mesascope.cruxes.coherence import find_clashes
from mesascope.cruxes.disagreement import compute_owen_values, compute_product, compute_shapley_values, decompose_gap
from mesascope.cruxes.evidence import apply_jeffrey_rule, find_count_ratio, update_interval
from mesascope.cruxes.language import SURE_EVENT, Event, are_equivalent, enumerate_worlds, negate, parse_event

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
chance = st.floats(0.02, 0.98)


@st.composite
def events(draw, atoms="ABCD", depth=3):
    if depth == 0 or draw(st.booleans()):
        return Event("atom", name=draw(st.sampled_from(atoms)))
    operator = draw(st.sampled_from(["!", "&", "|", "->", "<->"]))
    count = 1 if operator == "!" else 2
    return Event(operator, tuple(draw(events(atoms, depth - 1)) for _ in range(count)))


@st.composite
def polytopes(draw):
    """Coherent by construction: every claim is read off one joint distribution, then widened."""
    joint = np.array(draw(st.lists(st.floats(0.02, 1), min_size=8, max_size=8)))
    joint, worlds = joint / joint.sum(), enumerate_worlds("ABC")
    claims = []
    for i in range(draw(st.integers(1, 4))):
        event, condition = draw(events("ABC", 2)), draw(st.one_of(st.just(SURE_EVENT), events("ABC", 1)))
        base = joint[condition.evaluate(worlds)].sum()
        if base < 1e-6:
            continue
        value = joint[event.evaluate(worlds) & condition.evaluate(worlds)].sum() / base
        half = draw(st.sampled_from([0.02, 0.1]))
        claims.append(Constraint(f"c{i}", event, condition, max(0.0, value - half), min(1.0, value + half)))
    return Polytope(claims)


@given(events())
@QUICK
def test_an_event_reads_back_as_it_prints(event):
    assert are_equivalent(parse_event(str(event)), event)


@given(events())
@QUICK
def test_precedence_is_that_of_the_brackets(event):
    def bracket(e):
        if e.operator == "atom":
            return e.name
        inner = [f"({bracket(p)})" for p in e.parts]
        return f"!{inner[0]}" if e.operator == "!" else f" {e.operator} ".join(inner)

    assert are_equivalent(parse_event(bracket(event)), event)


def test_precedence_known_answers():
    assert str(parse_event("!A & B | C -> D <-> A")) == "(((!A & B) | C) -> D) <-> A"
    assert are_equivalent(parse_event("A -> B -> C"), parse_event("A -> (B -> C)"))
    assert not are_equivalent(parse_event("A -> B -> C"), parse_event("(A -> B) -> C"))


@given(polytopes(), events("ABC", 2), st.one_of(st.just(SURE_EVENT), events("ABC", 1)))
@QUICK
def test_negating_the_question_mirrors_its_bounds(polytope, event, condition):
    plain, other = polytope.bound(event, condition), polytope.bound(negate(event), condition)
    assert plain.status == other.status
    if plain.low is not None:
        assert (1 - plain.high, 1 - plain.low) == pytest.approx((other.low, other.high), abs=2e-6)


@given(polytopes(), events("ABC", 2))
@QUICK
def test_negating_a_claim_changes_nothing(polytope, event):
    flipped = Polytope(
        [Constraint(c.id, negate(c.event), c.condition, 1 - c.high, 1 - c.low) for c in polytope.constraints]
    )
    one, other = polytope.bound(event), flipped.bound(event)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=2e-6)


@given(polytopes(), events("ABC", 2), st.permutations(["zeta", "A", "k9"]))
@QUICK
def test_renaming_atoms_changes_nothing(polytope, event, names):
    new = {old: Event("atom", name=name) for old, name in zip("ABC", names, strict=True)}
    renamed = Polytope(
        [Constraint(c.id, c.event.expand(new), c.condition.expand(new), c.low, c.high) for c in polytope.constraints]
    )
    one, other = polytope.bound(event), renamed.bound(event.expand(new))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=2e-6)


@given(polytopes(), events("ABC", 2), chance)
@QUICK
def test_an_irrelevant_claim_changes_nothing(polytope, event, p):
    more = Polytope(
        [
            *polytope.constraints,
            Constraint("other", parse_event("Q"), SURE_EVENT, p, p),
            Constraint("more", parse_event("R"), parse_event("Q"), 0.0, p),
        ]
    )
    assert more.bound(event) == polytope.bound(event)
    assert more.is_feasible


@given(polytopes(), events("ABC", 2))
@QUICK
def test_splitting_a_claim_on_what_is_sure_changes_nothing(polytope, event):
    """P(E | G) in [l, u] said twice, or as an event with an atom that equals E, is the same claim."""
    first = polytope.constraints[:1]
    assume(first)
    twin = Constraint("twin", parse_event("T"), first[0].condition, first[0].low, first[0].high)
    rule = Rule("r", Event("<->", (parse_event("T"), first[0].event)))
    one, other = polytope.bound(event), Polytope([*polytope.constraints[1:], twin], [rule]).bound(event)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=2e-6)


@given(polytopes(), events("ABC", 2))
@QUICK
def test_more_claims_never_widen(polytope, event):
    assume(polytope.constraints)
    wide, narrow = polytope.drop("c0").bound(event), polytope.bound(event)
    assert wide.low - 1e-7 <= narrow.low <= narrow.high <= wide.high + 1e-7


@given(polytopes())
@QUICK
def test_a_person_who_agrees_with_a_joint_is_never_accused(polytope):
    assert polytope.is_feasible
    assert polytope.find_repair() == pytest.approx({}, abs=1e-9)
    assert polytope.find_conflict() == ()
    assert find_clashes(polytope) == []


@given(chance, chance, chance)
@QUICK
def test_every_clash_is_irreducible_and_its_repair_repairs(pu, puc, pc):
    claims = [
        Constraint("pu", parse_event("U"), SURE_EVENT, pu, pu),
        Constraint("puc", parse_event("U"), parse_event("C"), puc, puc),
        Constraint("pc", parse_event("C"), SURE_EVENT, pc, pc),
        Constraint("other", parse_event("Z"), SURE_EVENT, 0.5, 0.5),
    ]
    polytope, sound = Polytope(claims), pc * puc <= pu <= 1 - pc * (1 - puc)
    excess = max(pc * puc - pu, pu - 1 + pc * (1 - puc))
    assume(abs(excess) > 1e-6)
    assert polytope.is_feasible == sound
    if not sound:
        (clash,) = find_clashes(polytope)
        assert set(clash.claims) == {"pu", "puc", "pc"}
        assert sum(clash.repair.values()) == pytest.approx(excess, abs=1e-7)
        for name, (low, high) in clash.single_changes.items():
            fixed = [Constraint(c.id, c.event, c.condition, low, high) if c.id == name else c for c in claims]
            assert Polytope(fixed).is_feasible


@given(polytopes(), events("ABC", 1), st.floats(0.05, 20))
@QUICK
def test_evidence_on_an_event_agrees_with_odds_times_ratio(polytope, event, ratio):
    prior = polytope.bound(event)
    assume(prior.low is not None)
    tilted = polytope.bound(event, SURE_EVENT, (event, ratio))
    assert (tilted.low, tilted.high) == pytest.approx(
        update_interval((prior.low, prior.high), (ratio, ratio)), abs=1e-6
    )


numbers = st.lists(chance, min_size=2, max_size=5)


@given(
    st.integers(2, 5).flatmap(lambda n: st.tuples(*[st.lists(chance, min_size=n, max_size=n)] * 2)),
    st.sampled_from(["prob", "log", "logodds"]),
    st.sampled_from(["shapley", "owen", "path"]),
)
@QUICK
def test_shares_add_up_and_swap_sign(pair, scale, method):
    from mesascope.cruxes.disagreement import convert_to_scale

    a, b = (np.array(x) for x in pair)
    groups = [[0, 1], *([i] for i in range(2, len(a)))]
    there = decompose_gap(compute_product, a, b, method, scale, groups=groups)
    back = decompose_gap(compute_product, b, a, method, scale, groups=groups)
    gap = float(np.diff(convert_to_scale(np.array([a.prod(), b.prod()]), scale))[0])
    assert there.sum() == pytest.approx(gap, abs=1e-5)
    np.testing.assert_allclose(there, -back, atol=1e-5)


@given(numbers, numbers, chance, chance)
@QUICK
def test_owen_totals_are_stable_when_a_part_is_split(a, b, cut_a, cut_b):
    n = min(len(a), len(b))
    a, b = np.array(a[:n]), np.array(b[:n])
    whole = decompose_gap(compute_product, a, b, "shapley")
    finer_a, finer_b = np.array([*a, 1.0]), np.array([*b, 1.0])
    finer_a[0], finer_a[-1] = a[0] ** cut_a, a[0] ** (1 - cut_a)
    finer_b[0], finer_b[-1] = b[0] ** cut_b, b[0] ** (1 - cut_b)
    groups = [[0, n], *([i] for i in range(1, n))]
    cut = decompose_gap(compute_product, finer_a, finer_b, "owen", groups=groups)
    assert cut[0] + cut[-1] == pytest.approx(whole[0], abs=1e-9)
    np.testing.assert_allclose(cut[1:n], whole[1:], atol=1e-9)


@given(st.lists(st.floats(-3, 3), min_size=16, max_size=16))
@QUICK
def test_owen_with_trivial_groups_is_shapley_on_any_game(values):
    values = np.array(values)
    want = compute_shapley_values(values)
    np.testing.assert_allclose(compute_owen_values(values, [[0], [1], [2], [3]]), want, atol=1e-12)
    np.testing.assert_allclose(compute_owen_values(values, [[0, 1, 2, 3]]), want, atol=1e-12)


@given(numbers, st.floats(0.05, 20))
@QUICK
def test_log_pool_commutes_with_a_common_ratio_and_linear_with_marginals(p, ratio):
    p = np.array(p)
    tilted = p * ratio / (1 - p + p * ratio)
    pooled = pooling.pool_log(p)
    assert pooling.pool_log(tilted) == pytest.approx(pooled * ratio / (1 - pooled + pooled * ratio), abs=1e-12)
    assert pooling.pool_linear(p) + pooling.pool_linear(1 - p) == pytest.approx(1, abs=1e-12)
    assert pooling.pool_log(p) == pytest.approx(1 - pooling.pool_log(1 - p), abs=1e-12)
    if np.ptp(p) > 0.2 and not 0.8 < ratio < 1.25:
        linear = pooling.pool_linear(p)
        assert pooling.pool_linear(tilted) != pytest.approx(linear * ratio / (1 - linear + linear * ratio), abs=1e-9)
        assert pooling.pool_geometric(p) + pooling.pool_geometric(1 - p) < 1


@given(chance, chance, chance)
@QUICK
def test_information_is_symmetric_in_target_and_crux(puc, pun, pc):
    pu = pc * puc + (1 - pc) * pun
    value = information.compute_information_value(pu, puc, pc)
    assert -1e-12 <= value <= information.measure_entropy(pu) + 1e-12
    assert value == pytest.approx(information.compute_information_value(pc, pc * puc / pu, pu), abs=1e-10)
    quadratic = information.compute_information_value(pu, puc, pc, divergence="quadratic")
    assert quadratic == pytest.approx(pc * (1 - pc) * (puc - pun) ** 2, abs=1e-12)
    bits = information.compute_information_value(pu, puc, pc, base=2)
    assert bits == pytest.approx(value / np.log10(2), rel=1e-9, abs=1e-14)


@given(chance, chance, chance, chance, chance, chance)
@QUICK
def test_discrimination_is_symmetric_and_at_most_the_disagreement(a1, a0, ac, b1, b0, bc):
    a, b = (ac * a1 + (1 - ac) * a0, a1, ac), (bc * b1 + (1 - bc) * b0, b1, bc)
    value = information.compute_discrimination_value(a, b)
    assert value == pytest.approx(information.compute_discrimination_value(b, a), abs=1e-10)
    assert value <= information.measure_symmetric_kl(a[0], b[0]) + 1e-12


def test_certain_forecasts_keep_their_value():
    assert information.compute_information_value(0.2, 1.0, 0.2) == pytest.approx(
        information.measure_entropy(0.2), abs=1e-15
    )
    assert information.compute_information_value(0.3, 0.3, 0.0) == 0
    assert information.compute_discrimination_value((0.0, 0.0, 0.3), (0.0, 0.0, 0.6)) == 0


@given(st.integers(0, 12), st.integers(1, 12), st.floats(0.5, 9), st.floats(0.5, 9))
@QUICK
def test_counting_one_by_one_is_counting_at_once(k, n, a, b):
    assume(k <= n)
    true, false, ratio = (a, b), (2.0, 5.0), 1.0
    for i in range(n):
        hit = int(i < k)
        ratio *= find_count_ratio(hit, 1, true, false)
        true, false = ((a + hit, b + 1 - hit) for a, b in (true, false))
    assert ratio == pytest.approx(find_count_ratio(k, n, (a, b), (2.0, 5.0)), rel=1e-8)


def test_jeffrey_known_answer():
    assert apply_jeffrey_rule((0.8, 0.8), (0.1, 0.1), (0.6, 0.6)) == pytest.approx((0.52, 0.52))
    assert apply_jeffrey_rule((0.8, 0.9), (0.1, 0.2), (0.3, 0.6)) == pytest.approx((0.31, 0.62))


@pytest.mark.parametrize("method", ["shapley", "oat"])
def test_swapping_the_two_people_of_the_thread(method):
    argument = cruxes.load_thread()
    for cut in argument.content.cuts:
        there = argument.gap("lister", "critic", cut=cut)
        back = argument.gap("critic", "lister", cut=cut)
        assert there.ends == back.ends[::-1]
        assert [p.share for p in there.parts] == pytest.approx([-p.share for p in back.parts], abs=1e-12)
    forward = argument.gap("lister", "critic", cut="lister", method="oat")
    backward = argument.gap("critic", "lister", cut="lister", method="oat-back")
    assert [p.share for p in forward.parts] == pytest.approx([-p.share for p in backward.parts], abs=1e-12)


def test_a_seed_acts_and_a_global_seed_does_not():
    argument = cruxes.load_thread(reading="beta", bridges=["b1"])
    ask = {"engine": "sample", "draws": 999, "should_add_variants": False}
    np.random.seed(1)  # noqa: NPY002
    one = argument.answer("lister", seed=5, **ask)
    np.random.seed(2)  # noqa: NPY002
    assert argument.answer("lister", seed=5, **ask) == one
    assert argument.answer("lister", seed=6, **ask).low != one.low


def test_solve_refuses_an_unknown_engine():
    from mesascope.errors import MesascopeError

    with pytest.raises(MesascopeError, match="engine"):
        answer_question("ann", Polytope([]), parse_event("A"), engine="magic")
