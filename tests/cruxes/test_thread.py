"""The rows of section 1c and fixture 4.11: what follows from the thread for each person."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import betaincc, roots_jacobi

from mesascope import cruxes
from mesascope.cruxes.answers import compute_log_odds
from mesascope.cruxes.disagreement import compute_product, decompose_gap
from mesascope.cruxes.readings import fit_beta

from .references import fit_beta_equal_tail


def test_4_11_thread_lister():
    argument = cruxes.load_thread()
    certain = argument.read(bridges=["b1"])
    assert certain.answer("lister", engine="net").point == pytest.approx(0.9922375, abs=5e-6)
    bounds = certain.answer("lister")
    assert (bounds.low, bounds.high) == pytest.approx((0.9865, 0.994), abs=1e-9)
    # nobody said that no fix means catastrophe for certain: by default the bridge is off, and shown beside
    for engine, high in (("lp", 0.994), ("net", 0.9922375)):
        answer = argument.answer("lister", engine=engine)
        assert (answer.low, answer.high) == pytest.approx((0, high), abs=1e-9)
        assert answer.bridges == ("b0",)
        assert answer.bridged["with b1"].high == pytest.approx(high, abs=1e-9)
    assert bounds.bridged["without b1"].low == 0
    outright = argument.answer("lister", "X")
    assert (outright.low, outright.high) == pytest.approx((0, 0.994), abs=1e-9)


def test_4_11_thread_lister_other_interpretation():
    argument = cruxes.load_thread(bridges=["b1"])
    answer = argument.answer("lister", engine="net").interpretations["not conditional on a fix"]
    assert answer.point == pytest.approx(0.94825, abs=1e-9)
    chosen = argument.read(interpretations=["not conditional on a fix"]).answer("lister", "C", "P & T", engine="net")
    assert chosen.point == pytest.approx(0.667, abs=5e-4)


def test_4_11_thread_lister_sets():
    credal = cruxes.load_thread(reading="set", bridges=["b1"]).answer(
        "lister", engine="credal", should_add_variants=False
    )
    assert (credal.low, credal.high) == pytest.approx((0.98176, 0.99785), abs=5e-6)


PRINTED, DRAWS = {"mean": 0.99216, 0.05: 0.98662, 0.95: 0.99624}, 10**6  # as many as section 6 draws
ENDS = [(0.80, 0.90), (0.05, 0.15), (0.85, 0.95), (0.45, 0.55), (0.10, 0.20)]  # !T, C, L, S, G: ~p ± .05
MAX_ENTROPY = [fit_beta(*ends) for ends in ENDS]
FROM_4_8 = [(114.51, 20.288), (9.277, 82.76), (82.76, 9.277), fit_beta(0.45, 0.55), (20.288, 114.51)]


class Exact:
    """P(X | P) = 1 - (1-t)·c·l·(1 - (1-s)·(1-g)) over independent Betas (or points), without a draw.

    By Gauss-Jacobi quadrature over all but c, whose distribution function is known: quantiles are exact too.
    """

    def __init__(self, t, c, li, s, g):
        (t, tw), (li, lw), (s, sw), (g, gw) = (self.place(b, n) for b, n in ((t, 9), (li, 6), (s, 4), (g, 4)))
        self.rest = np.einsum("i,j,kl->ijkl", 1 - t, li, 1 - np.multiply.outer(1 - s, 1 - g)).ravel()
        self.weights = np.einsum("i,j,k,l->ijkl", tw, lw, sw, gw).ravel()
        self.c, (a, b) = c, c
        self.mean = 1 - a / (a + b) * self.weights @ self.rest
        square = a * (a + 1) / (a + b) / (a + b + 1) * self.weights @ self.rest**2
        self.spread = np.sqrt(square - (1 - self.mean) ** 2)

    @staticmethod
    def place(beta, nodes):
        if isinstance(beta, float):
            return np.array([beta]), np.ones(1)
        x, w = roots_jacobi(nodes, beta[1] - 1, beta[0] - 1)
        return (1 + x) / 2, w / w.sum()

    def below(self, x):
        return self.weights @ betaincc(*self.c, np.minimum((1 - x) / self.rest, 1))

    def value(self, what):
        return self.mean if what == "mean" else brentq(lambda x: self.below(x) - what, 0.9, 0.9999, xtol=1e-11)

    def error(self, what, draws):
        """The standard error of a sampled mean or quantile, √(p(1-p)/n) over the density there."""
        if what == "mean":
            return self.spread / np.sqrt(draws)
        x, h = self.value(what), 1e-5
        return np.sqrt(what * (1 - what) / draws) / ((self.below(x + h) - self.below(x - h)) / (2 * h))

    def allows(self, what):
        """Whether the printed number is within half a unit and three standard errors of its sampling."""
        return abs(PRINTED[what] - self.value(what)) <= 5e-6 + 3 * self.error(what, DRAWS)


def test_4_11_the_second_order_mean_of_the_lister_in_two_ways():
    t, c, li, s, g = (a / (a + b) for a, b in MAX_ENTROPY)
    exact = Exact(*MAX_ENTROPY)
    assert exact.mean == pytest.approx(0.9921531, abs=1e-7)
    assert exact.mean == pytest.approx(1 - (1 - t) * c * li * (1 - (1 - s) * (1 - g)), abs=1e-13)
    assert Exact(*FROM_4_8).mean == pytest.approx(exact.mean, abs=5e-7)  # printed to five digits


@pytest.mark.parametrize("what", PRINTED)
def test_4_11_second_order_as_printed(what):
    # The exact values (.9921531, .9866124, .9962430) would print as .99215, .98661, .99624: the row was sampled,
    # so it is held to half a unit plus three standard errors of a million draws, not to half a unit alone.
    assert Exact(*MAX_ENTROPY).allows(what)


@pytest.mark.parametrize(
    "betas",
    [
        [fit_beta_equal_tail(*ends) for ends in ENDS],
        [(p * k, (1 - p) * k) for p, k in zip((0.85, 0.1, 0.9, 0.5, 0.15), (137, 97, 97, 270, 137), strict=True)],
        [*MAX_ENTROPY[:3], 0.5, MAX_ENTROPY[4]],
    ],
    ids=["equal tails", "mean at the centre", "S a point"],
)
def test_4_11_other_readings_do_not_fit_what_is_printed(betas):
    assert not all(Exact(*betas).allows(what) for what in PRINTED)


def test_4_11_second_order_as_drawn():
    exact, n = Exact(*MAX_ENTROPY), 100_000
    drawn = cruxes.load_thread(reading="beta", bridges=["b1"]).answer(
        "lister", engine="sample", draws=n, should_add_variants=False
    )
    assert drawn.mean[0] == drawn.mean[1] == pytest.approx(exact.mean, abs=3 * exact.error("mean", n))
    for level, found in zip((0.05, 0.95), drawn.quantiles, strict=True):
        assert found == pytest.approx(exact.value(level), abs=3 * exact.error(level, n))


@pytest.mark.parametrize(
    ("changes", "bounds"),
    [({}, (0, 0.30)), ({"reflective": True}, (0, 0.21)), ({"reflective": True, "bridges": ["b3"]}, (0.10, 0.21))],
)
def test_4_11_thread_critic(changes, bounds):
    answer = cruxes.load_thread().read(**changes).answer("critic")
    assert (answer.low, answer.high) == pytest.approx(bounds, abs=1e-9)


def test_1c_same_word_two_vocabularies():
    argument = cruxes.load_thread()
    own = argument.translate("fix_cheap", person="lister", condition="P")
    assert (own.low, own.high) == pytest.approx((0.015, 0.015), abs=1e-9)
    naive = 1 - 0.85
    assert compute_log_odds(0.90) - compute_log_odds(naive) == pytest.approx(3.93, abs=5e-3)
    assert compute_log_odds(0.90) - compute_log_odds(own.point) == pytest.approx(6.38, abs=5e-3)


def split(a, b):
    """The Shapley shares of 1 - x·y between two points, by hand."""
    first = -(b[0] - a[0]) * (a[1] + b[1]) / 2
    return [first, -(b[1] - a[1]) * (a[0] + b[0]) / 2]


def test_1c_gap_of_the_two_numbers_that_answer_different_questions():
    # .9922 is P(X|P) and .155 the middle of P(X): the arithmetic of the table holds, but the model no longer makes it
    shares = [
        ([0.15, 0.05175], (0.9, 0.845 / 0.9), [-0.37149, -0.46575]),
        ([0.015, 0.5175], (0.9, 0.845 / 0.9), [-0.64445, -0.19279]),
    ]
    for lister, critic, printed in shares:
        found = -decompose_gap(compute_product, np.array(lister), np.array(critic))
        assert found == pytest.approx(printed, abs=6e-6)
        assert found == pytest.approx(split(lister, critic), abs=1e-12)
    logs = decompose_gap(compute_product, np.array([0.15, 0.05175]), np.array([0.9, 0.845 / 0.9]), scale="log")
    assert logs / logs.sum() == pytest.approx([0.38, 0.62], abs=5e-3)


def test_a_gap_is_drawn_between_answers_to_one_question_as_sets():
    report = cruxes.load_thread().cuts()
    outright, given_problems = report.questions
    assert (outright.target, outright.given) == ("X", "anything")
    assert [a.interval for a in outright.answers] == [pytest.approx((0, 0.994)), pytest.approx((0, 0.3))]
    assert outright.overlap == pytest.approx((0, 0.3))
    assert outright.difference == pytest.approx((-0.994, 0.3))
    assert given_problems.given == "P"
    assert given_problems.answers[1].status == "unstated"
    assert report.gaps == ()
    for question in report.questions:
        assert {(a.event, a.given) for a in question.answers} == {(question.target, question.given)}
    reflective = cruxes.load_thread(reflective=True, bridges=["b3"]).answer("critic", "X", "P")
    assert (reflective.low, reflective.high) == pytest.approx((0.1, 1))


def test_points_are_asked_for_and_say_so():
    report = cruxes.load_thread().cuts(should_use_points=True)
    lister, critic = report.gaps
    assert lister.ends == critic.ends == pytest.approx((0.9922375, 0.55), abs=1e-9)  # both given P
    assert [p.share for p in lister.parts] == pytest.approx(split((0.15, 0.05175), (0.9, 0.5)), abs=1e-9)
    assert [p.share for p in critic.parts] == pytest.approx(split((0.015, 0.5175), (0.9, 0.5)), abs=1e-9)
    assert any("depends on the cut" in w for w in report.warnings)
    assert any("read as the chance of a fix given problems" in a for a in critic.assumptions)
    assert any("middle of [0.1, 1], with b3 switched on, on reflection" in a for a in critic.assumptions)
    assert any("with b1 switched on" in a for a in critic.assumptions)
    page = cruxes.load_thread().html()
    assert "From lister to critic by the cut" not in page


def test_pools_and_discrimination_ask_everybody_the_same_question():
    argument = cruxes.load_thread()
    pool = argument.pool(["lister", "critic"], method="linear")
    assert (pool.given, pool.members["lister"]) == ("anything", pytest.approx((0, 0.994)))
    assert all(v.low is None or v.triads[0] is None for v in argument.vod())  # the lister states no P(P)


def test_1c_most_of_my_cruxes_are_under_the_second_implication():
    filings = {label: share for _, label, share in cruxes.load_thread().cuts(should_use_points=True).filings}
    assert filings["with d1 filed under it"] == pytest.approx(1.0, abs=1e-9)
    rest = split((0.15, 0.05175), (0.9, 0.5))
    assert filings["with d1 outside"] == pytest.approx(rest[1] / sum(rest), abs=1e-9)


def test_what_was_withdrawn_enters_no_answer_and_agreements_add_no_number():
    argument = cruxes.load_thread()
    assert argument.content.claims["u6"].event_text == "Improves"
    assert "u6" not in {c.id for c in argument.list_claims("critic")}
    assert argument.answer("critic", "Improves").status == "unstated"
    kept = argument.text.replace('by = "critic"\nof = ["u6"]', 'by = "critic"\nof = ["u5"]')
    assert cruxes.Argument(kept).answer("critic", "Improves").high == pytest.approx(0.45)
    kinds = [(r.kind, r.person, r.claims) for r in argument.content.replies]
    assert kinds == [
        ("retraction", "critic", ("u6",)),
        ("agreement", "critic", ("c1",)),
        ("agreement", "unknown", ("c1",)),
    ]
    assert {"retraction", "agreement"} <= {i.kind for i in argument.check()}


def test_readings_are_named_and_each_is_shown():
    argument = cruxes.load_thread()
    says = [i.problem for i in argument.check() if i.kind == "ambiguous"]
    assert any("d3a" in s and "'easy is taken for granted', or 'as written: easy and cheap'" in s for s in says)
    assert not any("as written," in s and "d3" in s for s in says)
    assert any("r1" in s and "reachable" in s for s in says)
    critic = argument.answer("critic")
    assert critic.interpretations["'could fix' means that a fix is reachable"].high == 1.0
    assert any("d3a is read as: easy is taken for granted" in a for a in argument.answer("lister").assumptions)
    assert str(argument.content.claims["r4"].condition) == "O"
    assert str(argument.content.claims["d4a"].condition) == "!G"
    assert (critic.low, critic.high) == pytest.approx((0, 0.3))
    assert all(
        c.quote for c in argument.content.claims.values() if c.kind in ("prob", "prior", "posterior", "fraction")
    )


def test_an_ordering_of_two_chances_is_held():
    text = cruxes.load_thread().text.replace(
        "u8 = {",
        'z = { by = "author", event = "Misaligned", given = "Locating", value = "40-60%" }\n'
        'zz = { by = "author", event = "Locating", value = "30%" }\nu8 = {',
    )
    found = cruxes.Argument(text).answer("author", "Misaligned", "OnTheFly")
    assert found.low == pytest.approx(0.4, abs=2e-4)
    assert "u7" in found.claims
