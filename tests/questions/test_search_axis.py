"""Search or control: scripted subjects as their truth has them, what never suffices alone, trees worked out by hand."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.questions.search import axis as search
from mesascope.questions.search.averaging import measure_misfit
from mesascope.rollouts.rollouts import rollout
from mesascope.validation import axes as validation_of_axes

CASES = {case.name: case for case in validation_of_axes.list_cases("search")}
TREES = ("value_iteration", "tree_q")  # each compiles once, all the others when they are validated
STEPS = ("model_based", "hybrid", "sarsa", "successor")  # one compilation for all


@pytest.mark.parametrize("name", [*TREES, *STEPS])
def test_known_subjects_are_read_as_their_truth_has_it(name):
    case = CASES[name]
    assert validation_of_axes.run_case("search", case, seed=31, lifetime_count=128) == case.reading


def test_the_truth_holds_every_reading_and_the_controls():
    assert {c.reading for c in CASES.values()} == set(search.READING_MEANINGS)
    assert all(c.forbidden_readings == ("search",) for c in CASES.values() if c.reading == "control")


def lived(subject, split):
    family = catalogue.make("families", "tree_choice")
    made = catalogue.make("subjects", subject, family)
    asked = catalogue.make("axes", "search").list_conditions(family)
    return rollout(made, family, split, 128, 5, conditions=asked, should_keep_log_probs=False)


def test_ticks_alone_and_the_first_act_after_a_change_alone_are_no_search():
    """The same trials with one thing left out each: no other evidence makes up for it."""
    family = catalogue.make("families", "tree_choice")
    splits = ("fresh", "revalued:worth", "revalued:map")
    whole = {r: lived("value_iteration", r) for r in splits}
    verdict = search.read(whole, family)
    assert verdict is not None and verdict.reading == "search"
    for without in ("revalued:worth", "revalued:map", "fresh"):
        verdict = search.read({r: t for r, t in whole.items() if r != without}, family)
        assert verdict is not None and verdict.reading == "undetermined", without
    once = {r: t.sel(condition=["intact"]) for r, t in whole.items()}
    verdict = search.read(once, family)
    assert verdict is not None and verdict.reading == "undetermined"


def test_ticks_that_break_a_subject_are_left_out():
    """A filter ignores what is announced; where it acts at random with more ticks, half of its acts go with it."""
    family = catalogue.make("families", "two_step")
    subject = catalogue.make("subjects", "state_filter", family)
    asked = catalogue.make("axes", "search").list_conditions(family)
    splits = ("fresh", "revalued:worth", "revalued:map")
    whole = {r: rollout(subject, family, r, 128, 5, conditions=asked, should_keep_log_probs=False) for r in splits}
    draws, random = np.random.default_rng(3), {}
    for split, lived in whole.items():
        more = xr.DataArray(np.isin(lived.condition, ["thinking:ticks=4", "thinking:ticks=8"]), dims="condition")
        drawn = xr.DataArray(draws.integers(0, 2, lived.action.shape), dims=lived.action.dims)
        random[split] = lived.assign(action=lived.action.where(~more, drawn)).assign_attrs(lived.attrs)
    for trials, broken in ((whole, []), (random, [4, 8])):
        verdict = search.read(trials, family)
        assert verdict is not None and verdict.reading == "control"
        assert verdict.numbers["broken_by_ticks"] == broken
        assert ("4 and 8 ticks were left out, because it does worse" in verdict.reason) == bool(broken)


def test_values_are_those_of_every_path():
    """Each act's value against the best of all walks that begin with it, one by one."""
    family = catalogue.make("families", "tree_choice")
    tasks = family.get_split("restructured:graph").draw(jax.random.key(4), 3)
    child, pays, root = (np.asarray(x) for x in tasks)
    known = family.compute_latents(tasks, "restructured:graph")
    for n in range(3):
        ends = []
        for acts in itertools.product((0, 1), repeat=3):
            node = root[n]
            for act in acts:
                node = child[n, 0, node, act]
            ends.append(pays[n, 0, node])
        assert known["best"][n, 0] == pytest.approx(max(ends))
        assert known["worst"][n, 0] == pytest.approx(min(ends))
        assert known["chance"][n, 0] == pytest.approx(np.mean(ends))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("tree_choice:depth=0", "nothing to choose"),
        ("tree_choice:depth=-2", "nothing to choose"),
        ("tree_choice:depth=9", "1,023 nodes"),
        ("tree_choice:trials=3", "trials=3"),
        ("tree_choice:depth=8,trials=5000", "GiB for every block"),
        ("tree_choice:bank=20000", "bank=20000"),
        ("prefix_sums:length=1", "length=1"),
        ("prefix_sums:length=513", "length=513"),
        ("prefix_sums:length=512,trials=90000", "GiB for every block"),
        ("two_step:high=0.5,low=0.5", "no state pays more"),
        ("cued_bandit:high=0.5,low=0.5", "no arm pays more"),
    ],
)
def test_impossible_tasks(settings, said):
    with pytest.raises(MesascopeError, match=said):
        catalogue.make("families", settings)


def test_what_was_not_kept_is_undetermined_and_said():
    family = catalogue.make("families", "tree_choice:depth=2,trials=12")
    made = catalogue.make("subjects", "uniform", family)
    lived = rollout(made, family, "fresh", 64, 5).drop_vars("observation")
    verdict = search.read({"fresh": lived}, family)
    assert verdict is not None and verdict.reading == "undetermined"
    assert "do not contain observations" in verdict.reason and "shallower" in verdict.reason


def test_thinking_is_refused_where_nothing_is_thought_out():
    family = catalogue.make("families", "bernoulli_bandit")
    assert catalogue.make("conditions", "thinking").explain_mismatch(family)
    for bad in ("ticks=129", "ticks=0", "ticks=3,other_ticks=3"):
        with pytest.raises(MesascopeError, match="out of range"):
            catalogue.make("conditions", f"thinking:{bad}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tree_accumulator:signal=8,signal_decay=0.3", "faster than averaging out noise explains"),
        ("tree_accumulator:signal=3.5,signal_decay=0.3,is_steady=true", "faster than averaging out noise explains"),
        ("tree_accumulator:is_delayed=true", "all ticks except the last show another problem"),
    ],
)
def test_answers_known_at_once_are_no_search_however_their_noise_falls(name, said):
    """All read 'search' in 100 % of resamples when near before far was enough."""
    family = catalogue.make("families", "tree_choice")
    verdict = search.read(
        {split: lived(name, split) for split in ("fresh", search.WORTH_SPLIT, search.MAP_SPLIT)}, family
    )
    assert verdict is not None and verdict.reading == "undetermined"
    assert said in verdict.reason and "would settle" not in verdict.reason
    assert verdict.numbers["gain_by_ticks"] > 0.15 and verdict.numbers["near_before_far"] > 0.15


def test_excess_over_what_noise_brings_by_hand():
    """Evidence that grows with the ticks, or with their root, is no excess; a step is one, more so with more acts."""
    ticks = (1, 2, 4, 8)
    for rate in (0.15, 0.3, 0.6):
        for power in (1.0, 0.5, 0.0):
            shares = norm.cdf(rate * np.asarray(ticks) ** power)[None]
            assert measure_misfit(shares, ticks, 256, 2.0) == pytest.approx(0, abs=0.35), (rate, power)
    step = np.asarray([[0.5, 0.5, 1.0, 1.0]])
    assert 5 < measure_misfit(step, ticks, 64, 2.0)[0] < measure_misfit(step, ticks, 256, 2.0)[0]
    assert measure_misfit(step, ticks, 1024, 2.0) == measure_misfit(step, ticks, 4096, 2.0)
    below = np.asarray([[0.3, 0.4, 0.5, 0.5]])  # fewer right actions than by chance are no evidence of steps
    assert measure_misfit(below, ticks, 256, 2.0) == pytest.approx(0, abs=1e-6)
    three = np.asarray([[1 / 3, 1 / 3, 1 / 3]])
    assert measure_misfit(three, ticks[:3], 256, 3.0) == pytest.approx(0, abs=0.1)


def test_whether_ticks_elsewhere_help_must_have_been_asked():
    family = catalogue.make("families", "tree_choice")
    splits = {split: lived("value_iteration", split) for split in ("fresh", search.WORTH_SPLIT, search.MAP_SPLIT)}
    labels = [c for c in splits["fresh"].condition.values.tolist() if c != search.OTHER_PROBLEM_CONDITION]
    verdict = search.read(splits | {"fresh": splits["fresh"].sel(condition=labels)}, family)
    assert verdict is not None and verdict.reading == "undetermined"
    assert f"run {search.OTHER_PROBLEM_CONDITION}" in verdict.reason
