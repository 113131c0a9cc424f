"""What ships loads, names only what there is, and was expected before it was run; mistakes are told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small import EXPECTS, PLAN, small

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.reproduction.measures import find_measure
from mesascope.reproduction.plans import load_study
from mesascope.reproduction.run import load_measures
from mesascope.reproduction.units import fill_seed, list_cells, list_units
from mesascope.reproduction.work import PLACEMENT_QUANTITIES

ROOT = Path(__file__).parents[2]
STUDIES = catalogue.list_names("studies")


def made_of(kind, spec):
    """The factory that a text names takes its settings."""
    name, given = catalogue.parse_spec(spec)
    catalogue.convert_settings(catalogue.get_factory(kind, name), given, spec)


def test_settings_of_a_plugin_of_ones_own_keep_their_names(tmp_path, monkeypatch):
    """Our recipes' settings 'entropy' and 'told' have other names today; this recipe has an 'entropy' of its own."""
    mine = PLAN.replace("ppo_recurrent:width=7", "mine:entropy=1,told=2")
    real = catalogue.get_factory
    monkeypatch.setattr(
        catalogue, "get_factory", lambda kind, name: (lambda entropy=0: None) if name == "mine" else real(kind, name)
    )
    cells = load_study(small(tmp_path, mine, EXPECTS)).subjects
    assert next(c.recipe for c in cells if c.recipe).startswith("mine:entropy=1,observes=2,updates=3")


@pytest.mark.parametrize("name", STUDIES)
def test_the_longest_training_is_begun_first(name):
    plan = list_units(load_study(name))
    cells = list_cells(plan)
    assert sorted(i for cell in cells for i in cell) == list(range(len(plan)))
    order = [i for cell in cells for i in cell[:1] if plan[i].kind == "train"]
    assert sorted(order) == [i for i, u in enumerate(plan) if u.kind == "train"]
    if name == "rl2_bandits":  # 3,500 updates of 100 trials, and 1,500 of 10
        told = [plan[i].subject.name for i in order]
        assert told[:3] == ["GRU (100, 10)"] * 3 and told[-3:] == ["GRU (10, 5)"] * 3


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_names_only_what_there_is(name, quick):
    study = load_study(name, quick)
    assert study.is_bundled and study.question.endswith("?") and study.expectations
    assert (study.folder / "README.md").is_file()
    assert study.n_seeds == 1 if quick else study.n_seeds >= 3
    assert study.minutes <= {"rl2_bandits": 150, "thinking_time": 75}.get(name, 60)
    for cell in study.subjects:
        made_of("families", fill_seed(cell.family, 3))
        made_of("recipes" if cell.recipe else "subjects", fill_seed(cell.recipe or cell.subject, 3))
    for q in study.quantities:
        if q.kind == "measure":
            find_measure(q.spec, load_measures(study, trust=False))
        elif q.kind == "metric":
            made_of("metrics", q.spec)
        elif q.kind == "axis":
            assert q.label in catalogue.make("axes", q.spec).reading_meanings
        else:
            assert q.spec in PLACEMENT_QUANTITIES
        if q.family:
            made_of("families", fill_seed(q.family, 3))
    done = list_units(study)
    assert len({(u.kind, u.subject.name, u.seed, u.family, u.split, u.lifetimes) for u in done}) == len(done)


def git(*arguments):
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", STUDIES)
def test_results_are_of_the_plan_that_stands_and_younger_than_what_was_expected(name):
    results = ROOT / "studies" / name / "results" / "results.json"
    if not results.is_file():
        pytest.skip("not run yet")
    found, study = json.loads(results.read_text()), load_study(name)
    assert not found["quick"] and found["seeds"] >= 3
    assert found["plan"] == study.digest
    assert [e["says"] for e in found["expects"]] == [e["says"] for e in study.expectations]
    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("no history here")
    expects = f"studies/{name}/expects.toml"
    changed = git("log", "-1", "--format=%H", "--", expects).stdout.strip()
    runs = git("log", "--format=%H", "--", f"studies/{name}/results/results.json").stdout.split()
    if not runs:
        pytest.skip("not committed yet")
    assert changed not in runs
    assert git("merge-base", "--is-ancestor", changed, runs[0]).returncode == 0
    since = git("diff", runs[-1], "HEAD", "--", expects).stdout.splitlines()  # more may be expected of a later run
    assert not [line for line in since if line.startswith("-") and not line.startswith("---")]


def test_names_are_grids():
    study = load_study("task_diversity")
    names = [c.name for c in study.subjects]
    assert names[:2] == ["network, M=1", "network, M=4"] and "network, M=unlimited" in names
    bank = next(c for c in study.subjects if c.name == "locator, M=64")
    assert fill_seed(bank.family, 5).endswith("bank=64,bank_seed=5")
    assert {q.split for q in study.quantities if q.name.startswith("share")} == {"seen", "fresh", "shifted:low"}
    assert (
        len(load_study("task_diversity", seeds=7).subjects) == len(names)
        and load_study("task_diversity", seeds=7).n_seeds == 7
    )


WRONG = {
    "unknown key": ("minutes = 1", "minuets = 1", "no key", "Did you mean 'minutes'"),
    "no value": ('[subjects."{kept}"]', '[subjects."{keep}"]', "no value", "'kept'"),
    "open brace": ('[subjects."{kept}"]', '[subjects."{kept"]', "'{kept'", "Close every brace"),
    "two kinds": ('subject = "{kept}"\nfamily', 'subject = "x"\nrecipe = "y"\nfamily', "or a subject", "two"),
    "no subject": ('of = ["{kept}"]', 'of = ["{kept}s"]', "no subject", "Did you mean"),
    "panel": ('quantities = ["total reward"]', 'quantities = ["total rewards"]', "no quantity in a panel", "Did"),
    "no list": ('quantities = ["total reward"]', "", "no list 'quantities'", "Write quantities"),
    "no source": ('source = "nobody 1900"', "", "no source", "Name it"),
    "drawing": ('draw = "bars"', 'draw = "bras"', "no way to draw", "'bars'"),
    "not measured": ('subject = "second arm"', 'subject = "third arm"', "no quantity", "second arm"),
    "no reading": (
        'measure = "part_of_choice:choice=1"',
        'axis = "goal"',
        "no label, the reading of the axis",
        "label",
    ),
    "lifetimes": ("lifetimes = 70", "lifetimes = 1", "lifetimes=1", "number"),
    "no TOML": ("minutes =", "minutes", "not TOML", "Correct"),
    "not in its name": ('subject = "{kept}"', 'subject = "{M}"', "does not have", "Put {M}"),
    "quick": ("[quick]\nseeds = 1", "[quick]\nseeds = 1\nkeep = 2", "no value in [quick]", "'kept'"),
    "sign": ('sign = "+"', "", "no sign", "'+', '-' or '0'"),
    "size": ("smallest = 0.1", "", "no smallest size", "a number"),
    "compared": ("than = 1.0", 'than = "one"', "what is compared", "value ="),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told(case, tmp_path):
    old, new, problem, remedy = WRONG[case]
    assert (old in PLAN) != (old in EXPECTS)
    where = small(tmp_path, PLAN.replace(old, new), EXPECTS.replace(old, new))
    with pytest.raises(MesascopeError) as told:
        load_study(str(where), quick=case == "quick")
    assert problem in told.value.problem and remedy in told.value.remedy, str(told.value)


def test_an_unknown_study_is_told_the_nearest_name():
    with pytest.raises(MesascopeError, match=r"There is no study 'task_diversty'.*'task_diversity'"):
        load_study("task_diversty")
