"""Numbers that were made up come out as they must: intervals over seeds, within, met or not."""

from __future__ import annotations

import math

import pytest

from mesascope import catalogue
from mesascope.contracts import Verdict
from mesascope.errors import MesascopeError
from mesascope.reproduction.outcomes import (
    compare_with_expectation,
    describe_verdict,
    format_own_number,
    format_page,
    make_row,
)
from mesascope.reproduction.study_findings import find_values
from mesascope.reproduction.work import make_verdict_value
from mesascope.stats import compute_rate_interval


def told(by_seed, rate=False, **more):
    """A summary as `summarise` makes it, of numbers by seed."""
    held = [x for x in by_seed if x is not None]
    return {
        "ours": sum(held) / len(held) if held else None, "low": None, "high": None, "n": len(held),
        "by_seed": by_seed, "error": 0.2, "lifetimes": 70, "rate": rate, "texts": [], "why": "", **more,
    }  # fmt: skip


def expect(sign, size, value, than):
    numbers = {("q", "a"): told(value)}
    if isinstance(than, list):
        numbers["q", "b"] = told(than)
    sides = {"value": ["q", "a"], "than": ["q", "b"] if isinstance(than, list) else than}
    return compare_with_expectation({"says": "It is so.", "sign": sign, "size": size, **sides}, numbers)


def test_the_interval_of_a_difference_is_student_t_over_paired_seeds():
    got = expect("+", 1.0, [5.0, 7.0, 9.0], [2.0, 5.0, 5.0])  # differences 3, 2, 4
    half = 4.302652729911275 / math.sqrt(3)  # t(.975, 2 degrees) · sd 1 / √3
    assert got["difference"] == pytest.approx(3.0) and got["n"] == 3
    assert (got["low"], got["high"]) == pytest.approx((3.0 - half, 3.0 + half))
    assert got["met"] and not got["clear"] and "reaches across" in describe_verdict(got)


def test_an_interval_of_which_a_part_is_as_expected_reaches_across_though_the_mean_is_not():
    got = expect("+", 3.5, [5.0, 7.0, 9.0], [2.0, 5.0, 5.0])
    assert not got["met"] and describe_verdict(got) == "not met, but the interval reaches across"
    assert describe_verdict(expect("+", 6.0, [5.0, 7.0, 9.0], [2.0, 5.0, 5.0])) == "not met"
    assert "across" in describe_verdict(expect("0", 0.1, [1.0, -3.0, 4.0], 0.0))  # both ends beyond, the middle within
    assert describe_verdict(expect("0", 0.1, [1.0, 1.1, 1.2], 0.0)) == "not met"


def test_a_rate_has_the_exact_interval_in_an_expectation_too():
    numbers = {("q", "a"): told([1.0, 1.0, 1.0], rate=True), ("q", "b"): told([0.0, 0.0, 0.0], rate=True)}
    line = {"says": "All do.", "value": ["q", "a"], "than": 0.5, "sign": "+", "size": 0.5}
    got = compare_with_expectation(line, numbers)
    low, high = compute_rate_interval(3, 3)
    assert (got["low"], got["high"]) == pytest.approx((low - 0.5, high - 0.5))
    assert describe_verdict(got) == "met, but the interval reaches across"
    got = compare_with_expectation({**line, "than": ["q", "b"]}, numbers)
    assert got["met"] and got["low"] is None and got["clear"] is None


@pytest.mark.parametrize(
    ("sign", "size", "value", "met"),
    [
        ("+", 0.5, 1.5, True), ("+", 0.5, 1.49, False), ("+", 0.0, 0.9, False), ("-", 0.5, 0.5, True),
        ("-", 0.5, 0.51, False), ("-", 0.0, 1.0, True), ("0", 0.5, 1.5, True), ("0", 0.5, 0.49, False),
    ],
)  # fmt: skip
def test_sign_and_size_decide(sign, size, value, met):
    got = expect(sign, size, [value], 1.0)
    assert got["met"] is met and got["clear"] is None and got["low"] is None
    assert describe_verdict(got) == ("met" if met else "not met")


def test_what_was_not_run_or_gave_no_number_is_neither():
    assert (
        describe_verdict(compare_with_expectation({"value": ["q", "z"], "than": 0.0, "sign": "+", "size": 1.0}, {}))
        == "not run"
    )
    numbers = {("q", "a"): told([None, None], why="it gains nothing there")}
    got = compare_with_expectation({"says": "", "value": ["q", "a"], "than": 0.0, "sign": "+", "size": 0.0}, numbers)
    assert got["met"] is None and describe_verdict(got) == "it gains nothing there"
    got = expect("+", 0.0, [1.0, None, 2.0], [0.0, 5.0, 0.0])
    assert got["n"] == 2 and got["difference"] == 1.5 and "1 of 3 seeds" in describe_verdict(got)


def test_within_is_by_the_plans_tolerance_or_by_both_errors():
    numbers = {("q", "a"): told([10.0, 12.0, 14.0])}  # standard error 2 / √3
    line = {"quantity": "q", "subject": "a"}
    assert make_row({**line, "exact": 11.0, "tolerance": 1.0}, numbers)["within"] is True
    assert make_row({**line, "exact": 11.0, "tolerance": 0.9}, numbers)["within"] is False
    reach = 1.96 * math.hypot(0.5, 2 / math.sqrt(3))
    for away, within in ((0.99, True), (1.01, False)):
        got = make_row({**line, "published": 12.0 - away * reach, "published_error": 0.5, "source": "s"}, numbers)
        assert got["within"] is within
    assert make_row({**line, "published": 12.0, "source": "s"}, numbers)["within"] is None


def test_rates_are_counted_and_their_interval_is_exact():
    assert compute_rate_interval(5, 5) == pytest.approx((0.025 ** (1 / 5), 1.0))
    assert compute_rate_interval(0, 3) == pytest.approx((0.0, 1 - 0.025 ** (1 / 3)))
    low, high = compute_rate_interval(2, 7)
    at_least = sum(math.comb(7, k) * low**k * (1 - low) ** (7 - k) for k in range(2, 8))
    at_most = sum(math.comb(7, k) * high**k * (1 - high) ** (7 - k) for k in range(3))
    assert (at_least, at_most) == pytest.approx((0.025, 0.025))
    assert format_own_number(told([1.0, 0.0, 1.0], rate=True)) == "2 of 3"


def test_the_table_says_what_kind_of_run_it_was():
    found = {
        "study": "s", "says": "Is it?", "quick": True, "seeds": 1, "commit": "c", "versions": {"jax": "1"},
        "rows": [
            make_row({"quantity": "a|b", "subject": "x", "exact": 1.0, "tolerance": 1.0}, {("a|b", "x"): told([1.5])})
        ],
        "expects": [expect("-", 0.5, [1.0], 2.0)],
    }  # fmt: skip
    text = format_page(found)
    assert "QUICK: 1 training seed," in text and "a\\|b" in text and "| yes (exact ± 1) |" in text
    assert "| at most −0.5 from 2 | -1.000 | met |" in text
    assert "| 1 × 70 | yes" in text
    assert "QUICK: 1 seed of lifetimes," in format_page({**found, "trained": False})


def test_an_axis_counts_as_its_reading_says_and_not_where_it_does_not_arise():
    axis = catalogue.make("axes", "search")
    read = Verdict("control", {"search": 0.0, "control": 1.0, "undetermined": 0.0}, {}, "It is so.")
    assert [make_verdict_value(axis, r, read, 7).number for r in ("search", "control", "undetermined")] == [0, 1, 0]
    assert "100%" in make_verdict_value(axis, "control", read, 7).text
    nothing = make_verdict_value(axis, "search", None, 7)
    assert nothing.number is None and "does not apply" in nothing.reason
    with pytest.raises(MesascopeError, match="Did you mean 'search'"):
        make_verdict_value(axis, "serch", read, 7)


def test_values_are_found_for_any_iterable_of_subjects():
    values = [{"quantity": "gain", "subject": name, "ours": i} for i, name in enumerate(("a", "b", "c"))]
    document = {"study": "s", "values": values}
    assert find_values(document, "gain", (name for name in "ca")) == [values[2], values[0]]
    with pytest.raises(MesascopeError, match=r"has no 'gain' of 'd'\. Its subjects: a, b, c"):
        find_values(document, "gain", iter("ad"))
