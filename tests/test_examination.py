"""Runs are told apart by what acts, and a run that is measured again reads the same."""

import os
import re

import numpy as np
import pytest

from mesascope.agents.function import wrap
from mesascope.contracts import identify
from mesascope.errors import MesascopeError
from mesascope.examination import runs
from mesascope.examination.bench import RolloutCache, measure_free_memory
from mesascope.examination.examination import examine
from mesascope.examination.logged import measure
from mesascope.files import limit_folder_size
from mesascope.reporting import headlines, page
from mesascope.rollouts.rollouts import rollout

FAMILY = "bernoulli_bandit:arms=3,trials=12"


def make(arm):
    def agent(percept, state, rng):
        return np.full(len(percept["trial"]), arm), None

    return agent


def test_two_functions_of_one_name_are_two_subjects():
    one, two = examine([make(0), make(1)], FAMILY, splits=["fresh"], metrics=["exploration"], lifetimes=64)
    assert (one.trials["fresh"].action.values == 0).all()
    assert (two.trials["fresh"].action.values == 1).all()


def test_what_makes_a_subject_act_changes_its_essence_and_nothing_else_does():
    from mesascope import catalogue

    family = catalogue.make("families", FAMILY)
    assert identify(wrap(make(0), family)) == identify(wrap(make(0), family))
    assert identify(wrap(make(0), family)) != identify(wrap(make(2), family))
    slow, fast = (catalogue.make("subjects", f"rescorla_wagner:rate={r}", family) for r in (0.1, 0.2))
    assert identify(slow) != identify(fast)


def test_a_subject_that_was_changed_does_not_get_what_its_former_self_lived(tmp_path):
    from mesascope import catalogue

    family = catalogue.make("families", FAMILY)
    bench = [RolloutCache(family, ("intact",), ["fresh"], 64, 0, out=tmp_path) for _ in range(2)]
    former = bench[0].run_subject(wrap(make(0), family, "mine"), family)
    changed = bench[1].run_subject(wrap(make(1), family, "mine"), family)
    assert (former["fresh"].action.values == 0).all()
    assert (changed["fresh"].action.values == 1).all()


def test_references_and_controls_run_once_for_all_examinations(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    ran = []
    monkeypatch.setattr(
        "mesascope.examination.bench.rollout", lambda *a, **k: ran.append(a[0].name) or rollout(*a, **k)
    )

    def look(subject):
        ran.clear()
        found = examine(subject, FAMILY, splits="fresh", metrics="benefit", lifetimes=64)
        return set(ran), found.references["learner"]["fresh"]

    first, trials = look("epsilon_greedy")
    assert first == {"epsilon_greedy", "thompson", "two_loss_reflex", "uniform", "thompson:discount=0.93", "gittins"}
    second, same_trials = look("satisficer")
    assert second == {"satisficer"}
    assert same_trials.identical(trials)
    kept_files = sorted((tmp_path / "mesascope" / "rollouts").iterdir())
    kept_files[0].write_bytes(kept_files[0].read_bytes()[:1000])
    assert len(look("satisficer")[0]) == 2  # the broken one ran again


def test_quick_gives_a_provisional_level_from_few_lifetimes():
    quick = examine("thompson", FAMILY, quick=True)
    assert list(quick.trials) == ["fresh"] and quick.trials["fresh"].sizes["lifetime"] == 64
    metrics = {f.metric.partition(":")[0] for f in quick.answers}
    assert metrics == {"performance", "deletion", "transplant", "share_of_reference"}
    assert quick.placement is not None and quick.placement.level == "acquiring"
    assert quick.placement.reason.startswith("provisional (64 lifetimes on fresh tasks; ")
    same = examine("thompson", FAMILY, splits="fresh", metrics="deletion", lifetimes=64).placement
    assert same is not None and quick.placement.reason.endswith(f": {same.reason}")
    few = examine("thompson", FAMILY, quick=True, lifetimes=8, metrics="deletion")
    assert few.trials["fresh"].sizes["lifetime"] == 8 and {f.metric for f in few.answers} == {"deletion"}


def test_the_cache_has_a_bound(tmp_path):
    for i in range(4):
        (tmp_path / str(i)).write_bytes(b"0" * 100)
        os.utime(tmp_path / str(i), (i, i))
    limit_folder_size(tmp_path, 250)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2", "3"]


@pytest.mark.slow  # twenty seconds; CI runs it
def test_a_run_measured_again_reads_the_same_against_the_pay_off_too(tmp_path):
    family = "bernoulli_bandit:arms=3,trials=40"
    splits = ("fresh", "shifted:low")  # every split more is read twice
    found = examine(
        "thompson:should_minimise=True", family, metrics=["benefit", "regret"], splits=splits, lifetimes=192
    )
    runs.write_run([found], tmp_path / "run", "again")
    path = tmp_path / "run" / "trials.nc"
    assert found.placement.direction == "against"
    for alone in (False, True):
        again = measure(path.rename(tmp_path / "alone.nc") if alone else path)
        assert again.subject == "thompson:should_minimise=True"
        assert again.placement == found.placement


@pytest.mark.slow  # tests/questions/test_search_axis.py reads the axis in each run
def test_what_an_axis_asks_for_is_lived_on_its_splits_and_read(tmp_path):
    """The axis search reads nothing without its conditions on the splits on which something changes."""
    splits = ["fresh", "revalued:worth", "revalued:map"]
    found = examine(
        "value_iteration", "tree_choice:depth=2,trials=12", splits=splits, metrics="performance", lifetimes=128
    )
    ticks = ["intact", "thinking:ticks=2", "thinking:ticks=4", "thinking:ticks=8"]
    assert all(found.trials[split].condition.values.tolist() == ticks for split in splits[1:])
    assert set(ticks) < set(found.trials["fresh"].condition.values.tolist())
    verdict = found.placement.axes["search"]
    assert verdict["reading"] == "search" and verdict["probability"]["search"] >= 0.95
    runs.write_run([found], tmp_path / "run", "again")
    again, _ = runs.read_run(tmp_path / "run")
    assert headlines.list_axis_readings(again[0]) == headlines.list_axis_readings(found)
    (told,) = headlines.list_axis_readings(found)
    assert told[0] == "search" and "near choices before far ones" in told[2]
    assert "Beside the spectrum" in page.render_page(again, "mesascope examine value_iteration")


def test_more_lifetimes_than_fit_into_memory_are_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr("mesascope.examination.bench.measure_free_memory", lambda: 1e8)
    with pytest.raises(MesascopeError, match=r"1,000,000 lifetimes would need about .* GB") as refused:
        examine("thompson", FAMILY, lifetimes=1_000_000, splits="fresh")
    fit = int(re.search("at most ([0-9,]+) lifetimes", refused.value.remedy)[1].replace(",", ""))
    with pytest.raises(MesascopeError, match="lifetimes would need"):
        examine("thompson", FAMILY, lifetimes=fit + 64, splits="fresh")
    found = examine("thompson", FAMILY, lifetimes=64, metrics="performance", splits="fresh")
    stored = sum(d.nbytes for d in found.trials.values()) / 64
    # the estimate is for the subject, three controls and three references, within a factor of two of what is kept
    assert 0.5 < 1e8 / fit / 7 / stored < 2


def test_free_memory_is_measured():
    assert 1e7 < measure_free_memory() < 1e14 or measure_free_memory() == float("inf")
