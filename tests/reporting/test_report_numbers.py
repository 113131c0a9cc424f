"""What the pictures show: the same numbers as the findings, summed before they are divided."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from report_cases import log

from mesascope.questions.goal import axis as goal
from mesascope.questions.search import axis as search
from mesascope.questions.spectrum import ladder
from mesascope.reporting.figures import adaptation, bank, conditions, lifetimes, memory_span, spectrum, splits
from mesascope.reporting.grids import make_condition_grid, make_split_grid
from mesascope.reporting.headlines import describe_placement, find_measured_finding
from mesascope.reporting.provenance import list_constants, read_meanings
from mesascope.reporting.words import (
    describe_condition,
    describe_findings,
    format_interval,
    format_number,
    make_visible,
    shorten,
)


def test_splits_show_the_findings(examined):
    for e in examined:
        gained = {g.label: g for g in splits.compute_split_gains(e) if g.role == "subject"}
        assert set(gained) == {"seen", "fresh", "shifted:low", "horizon:longer"}
        for split, g in gained.items():
            finding = find_measured_finding(e, "performance", split)
            assert (g.estimate, g.low, g.high) == pytest.approx((finding.estimate, finding.low, finding.high))
    assert splits.sort_labels(splits.compute_split_gains(examined[0]))[-1] == "horizon:longer"
    grid = make_split_grid(examined)
    assert [name for name, _ in grid.rows][:2] == ["thompson", "locator"]
    assert "known learner, reference" in [name for name, _ in grid.rows]
    assert grid.units == "64 lifetimes"


def test_memory_span_and_conditions_show_the_findings(examined):
    for e in examined:
        one = memory_span.compute_span(e)
        assert one.windows == (1, 2, 4, 5, 6, 8)
        for w, estimate in zip(one.windows, one.gains.estimate, strict=False):
            assert estimate == pytest.approx(find_measured_finding(e, f"memory_span: knows {w}").estimate)
        assert one.gains.estimate[-1] == pytest.approx(find_measured_finding(e, "performance", "fresh").estimate)
        told = {g.label: g.estimate for g in conditions.compute_condition_gains(e)}
        assert next(iter(told)) == "intact"
        assert told["carry_reset"] == pytest.approx(
            find_measured_finding(e, "cost_of_reset: what a reflex on the last percept keeps").estimate
        )
        assert not any("exchanged_once" in label for label in told)
        assert len(conditions.select_drawn_gains(e)) < len(told)
    assert len(make_condition_grid(examined).columns) == len(told)


def test_curve_is_summed_before_it_is_divided(examined):
    lived = examined[0].trials["fresh"]
    made = adaptation.compute_curve(lived, "subject", "it")
    score = lived.score.sel(condition="intact").values.astype(float)
    by_hand = (score - lived.chance.values).sum(0) / (lived.best.values - lived.chance.values).sum(0)
    np.testing.assert_allclose(made.means.estimate, by_hand, atol=1e-5)
    np.testing.assert_array_equal(made.bin_centres, np.arange(1, 13))
    assert made.is_normalised
    assert (made.means.low < made.means.estimate).all()
    roles = [c.role for c in adaptation.collect_curves(examined[1])]
    assert roles == ["subject", "seen", "learner", "strongest"]  # it was trained on the bank


def test_curve_of_a_log_is_the_realised_pay_off():
    e = log(lifetimes=8, trials=60)
    made = adaptation.collect_curves(e)[0]
    paid = e.trials["logged"].feedback.values[0]
    assert not made.is_normalised
    assert len(made.bin_centres) == 20  # bins of three
    by_participant = paid[:, :3].mean(1).reshape(4, 2).mean(1)
    assert made.means.estimate[0] == pytest.approx(by_participant.mean())


def test_lifetimes_are_sorted_by_the_task(examined):
    one = lifetimes.compute_payoffs(examined[0])
    assert one.shares.shape == (64, 12)
    assert sum(one.best_action_counts) == 64
    lived = examined[0].trials["fresh"]
    best = lived.means.values[:, 0].argmax(-1)
    assert one.best_action_counts == tuple((best == k).sum() for k in range(3))
    hit = lived.action.sel(condition="intact").values == best[:, None]
    assert (one.shares == 1).sum() == hit.sum()
    long = lifetimes.shrink_image(np.arange(600.0 * 250).reshape(600, 250))
    assert long.shape == (200, 84)
    assert long[0, 0] == pytest.approx(np.mean([r * 250 + c for r in range(3) for c in range(3)]))
    assert np.isnan(lifetimes.shrink_image(np.full((3, 500), np.nan))).all()


def test_bank_shows_those_that_were_trained_on_one(examined):
    (one,) = bank.find_positions(examined)
    assert one.name == "locator"
    assert one.estimate == pytest.approx(0, abs=1e-6)
    wild = one._replace(estimate=9.0, low=-40.0, high=60.0)
    (axes,) = bank.draw_figure([one, wild]).axes
    assert axes.get_xlim() == bank.X_LIMITS


def test_spectrum_draws_both_ends_and_every_share(examined):
    shares = {"locating": 0.25, "acquiring": 0.6, "general": 0.05, "undetermined": 0.1}
    placed = dataclasses.replace(
        examined[0].placement, lowest="locating", highest="general", direction="against", probability=shares
    )
    e = dataclasses.replace(examined[0], placement=placed)
    rows = spectrum.find_placed_subjects([e, log()])
    assert rows == [(e, placed)]
    (axes,) = spectrum.draw_figure(rows).axes
    told = [t.get_text() for t in axes.texts]
    assert {"25 %", "60 %", "5 %", "10 %", "against", "thompson"} <= set(told)
    assert describe_placement(e) == "locating … general"


def test_sentences_say_what_was_seen(examined):
    e = examined[0]
    told = " ".join(describe_findings(e))
    before, lost = (
        find_measured_finding(e, "performance", "fresh").estimate,
        find_measured_finding(e, "cost_of_reset: every trial").estimate,
    )
    assert f"its gain fell from {before:.2f} to {before - lost:.2f}" in told
    still = [
        dataclasses.replace(f, estimate=0.0, low=0.0, high=0.0) if f.metric == "deletion" else f for f in e.answers
    ]
    assert "stayed exactly what it was" in " ".join(describe_findings(dataclasses.replace(e, answers=still)))
    assert "realised pay-off" in " ".join(describe_findings(log(lifetimes=8)))


def test_words():
    assert make_visible("a\nb\x00\x1b[31m\ud800") == "a b\ufffd\ufffd[31m\ufffd"
    assert shorten("abcdefghij", 7) == "abcd…ij"
    assert (format_number(-0.001), format_number(0.125), format_number(None), format_number(float("nan"))) == (
        "0.00",
        "0.12",
        "–",
        "–",
    )
    assert (format_interval(-0.001, 1.0), format_interval(None, None), format_interval(float("nan"), float("nan"))) == (
        "[0.00, 1.00]",
        "",
        "",
    )
    assert describe_condition("feedback_shuffled:older_than=4") == "feedback older than 4 trials from other lifetimes"
    assert describe_condition("feedback_shuffled:older_than=0,replicate=1") == "all feedback from other lifetimes"
    assert describe_condition("carry_reset:trial=50") == (
        "a fresh carry and a percept marked as first, once, at trial 50"
    )
    assert describe_condition("my_own:x=1") == "my_own:x=1"


def test_the_meaning_of_a_constant_is_whole_on_however_many_lines_it_stands():
    class Described:
        """Says something.

        Attributes:
            first: what stands on one line.
            second: what begins here, and
                note: continues on the next line,
                and ends on the third.
            third: the last. Two sentences.

        Returns nothing: this is no attribute.
        """

    assert read_meanings(Described) == {
        "first": "what stands on one line.",
        "second": "what begins here, and note: continues on the next line, and ends on the third.",
        "third": "the last. Two sentences.",
    }


@pytest.mark.parametrize("rule", [ladder.Rule, goal.Rule, search.Rule])
def test_every_constant_has_a_whole_meaning(rule):
    meanings = read_meanings(rule)
    assert list(meanings) == [field.name for field in dataclasses.fields(rule)]
    assert all(meaning.endswith((".", ")")) for meaning in meanings.values())


def test_the_page_gives_the_whole_meanings_of_the_constants(examined):
    meanings = {name: meaning for name, _, meaning in list_constants(examined)}
    assert meanings["max_locator_retention"] == (
        "if the ideal locator keeps at least this share on fresh tasks, the bank cannot distinguish locating from "
        "acquiring"
    )
    assert meanings["older_than"].endswith("rounded down, but at least 1")
