import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from mesascope import stats


def test_interval_is_scipys_t_interval_row_by_row():
    rows = np.random.default_rng(1).normal(2, 3, (4, 11))
    got = stats.compute_intervals(rows, null=1.5)
    for i, row in enumerate(rows):
        told = scipy_stats.ttest_1samp(row, 1.5)
        low, high = told.confidence_interval(0.95)
        assert (got.estimate[i], got.low[i], got.high[i]) == pytest.approx((row.mean(), low, high))
        assert got.p[i] == pytest.approx(told.pvalue)


def test_a_standard_error_is_scipys_without_the_missing_numbers():
    values = np.random.default_rng(2).normal(size=9)
    assert stats.compute_standard_error(np.append(values, np.nan)) == pytest.approx(scipy_stats.sem(values))
    assert np.isnan(stats.compute_standard_error(values[:1]))


def test_missing_units_are_left_out_and_two_units_make_no_claim():
    rows = np.array([[1.0, 2.0, np.nan, 4.0], [1.0, np.nan, np.nan, 3.0], [np.nan] * 4])
    got = stats.compute_intervals(rows)
    assert got.n.tolist() == [3, 2, 0]
    assert got.estimate[0] == pytest.approx(7 / 3)
    assert np.isnan(got.low[1:]).all() and np.isnan(got.p[1:]).all()
    assert np.isnan(got.estimate[2])


def test_equal_numbers_have_an_interval_of_width_nought():
    got = stats.compute_intervals(np.array([[0.3] * 5]), null=0.3)
    assert got.low[0] == got.high[0] == got.estimate[0]
    assert got.p[0] == 1.0


@pytest.mark.parametrize("n", [64, 256])
def test_intervals_of_a_skewed_mean_cover_as_often_as_they_say(n):
    rows = np.random.default_rng(3).beta(0.7, 2.0, (4000, n))
    got = stats.compute_intervals(rows)
    assert ((got.low <= 0.7 / 2.7) & (got.high >= 0.7 / 2.7)).mean() == pytest.approx(0.95, abs=0.012)


def test_ratio_is_the_ratio_of_sums_with_the_delta_methods_error():
    rng = np.random.default_rng(5)
    below = rng.uniform(1, 3, 400)
    above = 0.4 * below + rng.normal(0, 0.2, 400)
    values = stats.compute_ratio(above, below)
    assert values.mean() == pytest.approx(above.sum() / below.sum())
    resampled = [(above[i].sum() / below[i].sum()) for i in rng.integers(0, 400, (4000, 400))]
    assert stats.compute_standard_error(values) == pytest.approx(np.std(resampled), rel=0.06)


def test_linearised_values_leave_incomplete_units_out():
    values = stats.compute_ratio(np.array([1.0, np.nan, 3.0]), np.array([2.0, 5.0, 2.0]))
    assert np.isnan(values[1]) and np.nanmean(values) == pytest.approx(1.0)


def test_by_unit_averages_within_each():
    got = stats.average_by_unit(np.array([1.0, 3.0, np.nan, 7.0, np.nan]), np.array([2, 2, 0, 0, 1]))
    assert got.tolist()[0] == 7.0 and np.isnan(got[1]) and got[2] == 2.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p):
    p = np.asarray(p)
    got = stats.adjust_holm(p)
    assert (got >= p - 1e-12).all() and (got <= 1).all()
    assert (np.diff(got[np.argsort(p, kind="stable")]) >= -1e-12).all()
    assert got[np.argmin(p)] == pytest.approx(min(1, p.min() * len(p)))


def test_resampling_draws_n_units_each_time_and_acts_on_its_seed():
    one, again, other = (
        stats.draw_bootstrap_counts(7, 300, 1),
        stats.draw_bootstrap_counts(7, 300, 1),
        stats.draw_bootstrap_counts(7, 300, 2),
    )
    assert (one.sum(1) == 7).all() and (one == again).all() and (one != other).any()
    assert one.mean() == pytest.approx(1) and one.var() == pytest.approx(1 - 1 / 7, abs=0.08)


def test_percentile_ends_give_the_t_interval_of_a_normal_mean():
    rows = np.random.default_rng(5).normal(size=(1, 12))
    low, high = stats.find_percentile_ends(12)
    spread = np.sqrt((rows**2).mean() - rows.mean() ** 2) / np.sqrt(12)  # the bootstrap's standard error of a mean
    got = stats.compute_intervals(rows)
    ends = [rows.mean() + spread * scipy_stats.norm.ppf(q) for q in (low, high)]
    assert ends == pytest.approx([got.low[0], got.high[0]])


@pytest.mark.parametrize("hits, enough", [(960, False), (961, False), (962, True), (1000, True)])
def test_a_share_of_resamples_must_pass_its_bar_beyond_the_monte_carlo_error(hits, enough):
    assert stats.is_share_at_least(np.arange(1000) < hits, 0.95) == enough
    bound = scipy_stats.binomtest(hits, 1000, 0.95, alternative="greater").pvalue <= 0.05
    assert enough == bound
