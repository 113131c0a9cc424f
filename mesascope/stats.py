"""Computes the intervals and p-values of findings with SciPy, and draws bootstrap resamples."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import special  # scipy.stats takes half a second to import

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """The estimates and intervals of P rows of numbers.

    Attributes:
        estimate: [P] the estimate of each row, such as its mean; NaN if all its numbers are NaN.
        low: [P] the lower ends of the intervals.
        high: [P] the upper ends of the intervals.
        n: [P] the number of units in each row whose number is not NaN.
        p: [P] the two-sided p-values against the null hypothesis.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray
    p: np.ndarray


def compute_intervals(values: np.ndarray, null: np.ndarray | float = 0.0, confidence: float = CONFIDENCE) -> Interval:
    """Computes Student t intervals for the means of many rows; NaN entries are missing units.

    Args:
        values: [P, N] the numbers of N units in P rows.
        null: the mean under the null hypothesis, for the p-values; one number for all rows, or an array [P].
        confidence: the confidence level of the intervals.

    Returns:
        The estimates and intervals. In rows with fewer than three units, low, high and p are NaN. The interval of a
        row of equal numbers has width 0.
    """
    values = np.asarray(values, float)
    n = np.isfinite(values).sum(-1)
    safe = np.maximum(n, 1)
    centre = np.nansum(values, -1) / safe
    deviation = np.where(np.isfinite(values), values - centre[:, None], 0.0)
    error = np.sqrt((deviation**2).sum(-1) / np.maximum(n - 1, 1) / safe)
    error = np.where(error < 1e-12, 0.0, error)
    enough = n >= 3
    df = np.maximum(n - 1, 1)
    half = special.stdtrit(df, (1 + confidence) / 2) * error
    away = np.abs(centre - null)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(error > 0, 2 * special.stdtr(df, -away / error), np.where(away > 1e-12, 0.0, 1.0))
    blank = np.where(enough, 0.0, np.nan)
    estimate = np.where(n > 0, centre, np.nan)
    return Interval(estimate, centre - half + blank, centre + half + blank, n, p + blank)


def compute_contrast(
    first_group: np.ndarray, second_group: np.ndarray, is_paired: bool, confidence: float = CONFIDENCE
) -> Interval:
    """Computes the difference of two groups' means, with Welch's interval or the interval of the paired differences.

    The result has one row. Its n is the number of pairs or, if the groups are not paired, of the units of both groups.

    Args:
        first_group: [N] the numbers of one group's N units, at least two and without NaN.
        second_group: [M] the numbers of the other group's M units, whose mean is subtracted; if the groups are paired,
            the units stand in the same order as in `first_group`.
        is_paired: whether both groups consist of the same units.
        confidence: the confidence level of the interval.
    """
    if is_paired:
        return compute_intervals((first_group - second_group)[None], confidence=confidence)
    estimate, n = float(first_group.mean() - second_group.mean()), len(first_group) + len(second_group)
    if max(np.ptp(first_group), np.ptp(second_group)) < 1e-12:
        low, high, p = estimate, estimate, float(abs(estimate) < 1e-12)
    else:
        from scipy import stats

        test_result: Any = stats.ttest_ind(first_group, second_group, equal_var=False)
        (low, high), p = test_result.confidence_interval(confidence), test_result.pvalue
    return Interval(*(np.array([x]) for x in (estimate, low, high, n, p)))


def compute_group_contrast(
    first_group: np.ndarray, second_group: np.ndarray, is_paired: bool, confidence: float = CONFIDENCE
) -> Interval:
    """Computes the difference of the means of two groups of members, such as networks with several training seeds.

    With one member on each side, this is `compute_contrast` over their units. With more, the members are random too.
    If the groups are paired, all members have the same units, and the variances of the two crossed factors are added:
    that of the members' means, and that of the differences on the same units, less the variance of the residuals, which
    both contain (Cameron, Gelbach & Miller 2011, equation 2.7). The degrees of freedom are those of Satterthwaite. The
    result has one row; its n is the number of members of both groups, or with one member the number of units.

    Args:
        first_group: [S, N] the numbers of one group's S members and N units, without NaN.
        second_group: [R, N] the numbers of the other group, whose mean is subtracted. If the groups are not paired, the
            numbers of units may differ; with several members, only the members' means are then used.
        is_paired: whether the units of all members are the same.
        confidence: the confidence level of the interval.
    """
    groups = first_group, second_group
    means = [group.mean(1) for group in groups]
    if len(first_group) == len(second_group) == 1:
        return compute_contrast(first_group[0], second_group[0], is_paired, confidence)
    parts = [(row.var(ddof=1) / len(row), len(row) - 1.0) for row in means]
    if is_paired and (n := first_group.shape[1]) > 1:
        by_unit = (first_group.mean(0) - second_group.mean(0)).var(ddof=1) / n
        residual = 0.0
        for group, row in zip(groups, means, strict=True):
            rest = group - row[:, None] - group.mean(0) + group.mean()
            residual += (rest**2).sum() / (len(group) - 1) / (n - 1) / group.size
        parts.append((max(by_unit - residual, 0.0), n - 1.0))
    estimate, variance = means[0].mean() - means[1].mean(), sum(v for v, _ in parts)
    df = variance**2 / max(sum(v**2 / d for v, d in parts), 1e-300)
    error = np.sqrt(variance) if variance > 1e-24 else 0.0
    half = special.stdtrit(max(df, 1.0), (1 + confidence) / 2) * error
    p = 2 * special.stdtr(max(df, 1.0), -abs(estimate) / error) if error else float(abs(estimate) < 1e-12)
    count = len(first_group) + len(second_group)
    return Interval(*(np.array([float(x)]) for x in (estimate, estimate - half, estimate + half, count, p)))


def compute_rate_interval(hits: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Computes the exact interval of a rate, from `hits` among `n` independent units (Clopper and Pearson 1934)."""
    tail = (1 - confidence) / 2
    low = special.betaincinv(hits, n - hits + 1, tail) if hits > 0 else 0.0
    high = special.betaincinv(hits + 1, n - hits, 1 - tail) if hits < n else 1.0
    return float(low), float(high)


def compute_standard_error(values: np.ndarray) -> float:
    """Computes the standard error of the mean of numbers, leaving out NaN entries; NaN for fewer than two numbers."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def average_valid(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Computes the means along an axis, leaving out NaN entries; a mean is NaN if all its entries are NaN."""
    valid = np.isfinite(values)
    count = valid.sum(axis)
    return np.where(count > 0, np.where(valid, values, 0.0).sum(axis) / np.maximum(count, 1), np.nan)


def linearise(function: Callable[[np.ndarray], Any], parts: np.ndarray) -> np.ndarray:
    """Computes one number for each of N units [N], for intervals of function(means) by the delta method.

    The mean of the numbers is function(means), and the standard error of their mean approximates that of
    function(means).

    Args:
        function: a smooth function of the means [M] of M parts, such as the ratio of two means.
        parts: [M, N] the M parts of each unit; a unit with a NaN part gives NaN. A column may combine parts from splits
            that were drawn independently, because the expected covariance of these parts is 0.
    """
    parts = np.asarray(parts, float)
    valid = np.isfinite(parts).all(0)
    if not valid.any():
        return np.full(parts.shape[1], np.nan)
    means = parts[:, valid].mean(1)
    step = 1e-5 * np.maximum(np.abs(means), 1e-3)
    slope = [(function(means + h) - function(means - h)) / (2 * s) for h, s in zip(np.diag(step), step, strict=True)]
    return np.where(valid, function(means) + np.asarray(slope) @ (parts - means[:, None]), np.nan)


def compute_ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Computes one number for each of N units [N]; the mean of these numbers is Σ numerator / Σ denominator."""
    return linearise(lambda m: m[0] / m[1], np.stack([numerator, denominator]))


def average_by_unit(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Averages N values within each unit, leaving out NaN entries; returns one mean per unit, sorted by unit."""
    names, index = np.unique(unit, return_inverse=True)
    valid = np.isfinite(values)
    count = np.bincount(index, valid, len(names))
    total = np.bincount(index, np.where(valid, values, 0.0), len(names))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@functools.lru_cache(maxsize=32)
def draw_bootstrap_counts(n: int, resamples: int, seed: int) -> np.ndarray:
    """Draws counts [resamples, n] of how often each bootstrap resample contains each of n units; a row sums to n."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)
    counts.flags.writeable = False
    return counts


def is_share_at_least(holds: np.ndarray, share: float) -> bool:
    """Checks whether something holds in at least `share` of all possible resamples, beyond the Monte-Carlo error.

    The lower end of the exact one-sided 95 % interval of the share must reach `share`.

    Args:
        holds: [resamples] whether it holds in each resample that was drawn.
        share: the share, from 0 to 1.
    """
    return compute_rate_interval(int(np.sum(holds)), len(holds), 0.9)[0] >= share


def find_percentile_ends(n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Finds the probabilities of the two quantiles of bootstrap results that are the ends of an interval, for n units.

    For an interval of 95 %, they are further apart than (0.025, 0.975), because the plain percentile interval is too
    narrow for few units: these are the expanded percentiles of Hesterberg (2014, arXiv 1411.5279).
    """
    distance = np.sqrt(n / (n - 1)) * special.stdtrit(n - 1, (1 + confidence) / 2)
    return float(special.ndtr(-distance)), float(special.ndtr(distance))


def adjust_holm(p: np.ndarray) -> np.ndarray:
    """Adjusts p-values by the method of Holm (1979); NaN entries stay NaN and do not count as tests."""
    p = np.asarray(p, float)
    result, valid = np.full(len(p), np.nan), np.flatnonzero(np.isfinite(p))
    order = valid[np.argsort(p[valid], kind="stable")]
    stepped = np.maximum.accumulate(p[order] * (len(order) - np.arange(len(order))))
    result[order] = np.minimum(stepped, 1.0)
    return result
