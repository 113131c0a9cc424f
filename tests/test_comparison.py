"""Two subjects on the same tasks: paired differences, equivalence, training seeds, and what a level rests on."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

import mesascope
from mesascope.examination.comparison import compare, compare_examinations
from mesascope.examination.examination import examine
from mesascope.stats import compute_contrast, compute_group_contrast
from mesascope.trials import measure_gain

FAMILY = "bernoulli_bandit:arms=3,trials=20"
METRICS = ["performance", "deletion", "transplant"]


@pytest.fixture(scope="module")
def found():
    names = ["thompson", "greedy", "uniform"]
    return examine(names, FAMILY, splits="fresh", metrics=METRICS, lifetimes=64)


def test_a_difference_is_that_of_the_lifetimes_own_gains_and_is_antisymmetric(found):
    thompson, greedy, _ = found
    row = compare(thompson, greedy).get_difference("performance")
    rows = []
    for e in (thompson, greedy):
        gained, possible = measure_gain(e.trials["fresh"])
        ratio = gained.sum() / possible.sum()
        rows.append(ratio + (gained - ratio * possible) / possible.mean())
    want = scipy_stats.ttest_rel(*rows)
    low, high = want.confidence_interval(0.95)
    assert (row.difference, row.low, row.high, row.p) == pytest.approx(
        (rows[0].mean() - rows[1].mean(), low, high, want.pvalue), abs=1e-6
    )
    assert (row.n, row.unit, row.is_paired) == (64, "lifetime", True)
    assert row.correlation == pytest.approx(np.corrcoef(*rows)[0, 1], abs=1e-6)
    back = compare(greedy, thompson).get_difference("performance")
    assert (back.difference, back.low, back.high) == pytest.approx((-row.difference, -row.high, -row.low))


def test_the_difference_between_levels_is_traced_to_the_numbers_that_decide_it(found):
    thompson, _, uniform = found
    result = compare(thompson, uniform)
    assert result.get_difference("deletion").verdict == "higher"
    assert "the second inert" in result.level_explanation
    assert "deletion" in result.level_explanation and "transplant" in result.level_explanation
    assert compare(thompson, thompson).level_explanation.startswith("both are ")


def test_a_level_without_a_shown_difference_is_said_to_rest_on_none(found):
    thompson = found[0]
    other = dataclasses.replace(
        thompson,
        placement=dataclasses.replace(thompson.placement, level="locating", lowest="locating", highest="locating"),
    )
    text = compare(thompson, other).level_explanation
    assert "no number that decides levels was shown to differ" in text


def test_the_same_subject_is_equivalent_to_itself_and_a_small_margin_is_undetermined(found):
    thompson, greedy, _ = found
    same = compare(thompson, thompson).get_difference("performance")
    assert (same.difference, same.low, same.high, same.verdict, same.is_within_margin) == (0, 0, 0, "equivalent", True)
    wide, narrow = (compare(thompson, greedy, margin=m).get_difference("performance") for m in (1.0, 1e-4))
    assert wide.is_within_margin and not narrow.is_within_margin
    if narrow.low < 0 < narrow.high:
        assert (wide.verdict, narrow.verdict) == ("equivalent", "not determined")


def test_other_tasks_are_not_paired(found):
    thompson = found[0]
    other = examine("greedy", FAMILY, splits="fresh", metrics="performance", lifetimes=64, seed=1)
    row = compare(thompson, other).get_difference("performance")
    values = [np.asarray(e.readings[0][1][0].values) for e in (thompson, other)]
    want = scipy_stats.ttest_ind(*values, equal_var=False).confidence_interval(0.95)
    assert not row.is_paired and row.n == 128
    assert (row.low, row.high) == pytest.approx(tuple(want))


def test_a_stored_run_gives_the_same_differences(found, tmp_path):
    from mesascope.examination import runs

    runs.write_run(found, tmp_path, "mesascope examine …")
    stored = mesascope.open_run(tmp_path)
    want, got = (compare(*pair[:2]).get_difference("deletion") for pair in (found, stored))
    assert (got.difference, got.low, got.high) == pytest.approx((want.difference, want.low, want.high))


def test_intervals_of_recipes_cover_the_truth_whatever_their_seeds_have_in_common():
    rng, covered = np.random.default_rng(3), 0
    for _ in range(1000):  # tasks that both recipes feel alike, seeds that differ by .1, and noise of each lifetime
        tasks = rng.normal(0, 0.5, 40)
        sides = [tasks + rng.normal(0, 0.1, (4, 1)) + rng.normal(0, 0.3, (4, 40)) for _ in range(2)]
        row = compute_group_contrast(*sides, is_paired=True)
        covered += row.low[0] <= 0 <= row.high[0]
    assert 0.93 <= covered / 1000 <= 0.985
    one = [side[:1] for side in sides]
    assert compute_group_contrast(*one, is_paired=True) == compute_contrast(one[0][0], one[1][0], True)


def test_training_seeds_that_differ_are_no_difference_between_recipes():
    rng = np.random.default_rng(4)
    seeds = [np.array([[0.2], [0.5], [0.8]]) + rng.normal(0, 0.01, (3, 200)) for _ in range(2)]
    by_seeds = compute_group_contrast(*seeds, is_paired=True)
    by_lifetimes = compute_contrast(seeds[0].mean(0), seeds[1].mean(0), True)
    assert by_seeds.high[0] - by_seeds.low[0] > 100 * (by_lifetimes.high[0] - by_lifetimes.low[0])
    assert by_seeds.n[0] == 6


def test_seeds_are_units_in_a_comparison(found):
    thompson, greedy, uniform = found
    result = compare_examinations([thompson, greedy], [uniform, uniform])
    row = result.get_difference("performance")
    assert (row.unit, row.n) == ("training seed", 4)
    assert result.first == "thompson (2 training seeds)"


@pytest.mark.parametrize(
    ("sides", "options", "says"),
    [
        (("thompson", ["greedy", "uniform"]), {}, "at least two training seeds of each"),
        (("thompson", "greedy"), {"margin": 0}, "The margin is 0"),
        (("thompsn", "greedy"), {}, "thompsn"),
        (("thompson", []), {}, "There are 1 and 0 subjects"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(sides, options, says):
    with pytest.raises(mesascope.MesascopeError, match=says):
        compare(*sides, FAMILY, splits="fresh", metrics="performance", lifetimes=64, **options)


def test_runs_and_subjects_or_two_families_are_not_mixed(found):
    with pytest.raises(mesascope.MesascopeError, match="cannot be compared with a run"):
        compare(found[0], "greedy", FAMILY)
    other = examine("greedy", "bernoulli_bandit:arms=2,trials=20", splits="fresh", metrics="performance", lifetimes=64)
    with pytest.raises(mesascope.MesascopeError, match="different families"):
        compare(found[0], other)


def test_the_command_writes_a_table_a_figure_and_one_document(tmp_path):
    words = f"compare thompson greedy --family {FAMILY} --lifetimes 64 --splits fresh --metrics performance,deletion"
    command = [sys.executable, "-m", "mesascope", *words.split(), "--out", str(tmp_path / "run"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    document = json.loads(done.stdout)
    table = pd.read_csv(tmp_path / "run" / "comparison.csv").set_index("metric")
    row = next(d for d in document["differences"] if d["metric"] == "performance")
    assert table.loc["performance", "difference"] == pytest.approx(row["difference"])
    assert (tmp_path / "run" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "run" / "comparison.json").read_text()) == document
    assert {"low", "high", "holm", "verdict", "unit"} <= row.keys()


def test_three_subjects_without_sides_are_refused(tmp_path):
    command = [sys.executable, "-m", "mesascope", "compare", "thompson", "greedy", "uniform", "--family", FAMILY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("mesascope: There are 3 subjects to compare.")
    assert not (tmp_path / "runs").exists()
