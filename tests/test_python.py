"""The Python API takes what the command line takes, and names what it does not have."""

import ast
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mesascope
from mesascope import MesascopeError, contracts, make
from mesascope.agents.networks import recurrent
from mesascope.agents.opening import open_subjects

HOME = "bernoulli_bandit:arms=3,trials=20"
PUBLIC = {
    *("examine", "Examination", "rollout", "replay", "measure", "place", "Placement", "Rule", "Finding", "open_run"),
    *("Family", "FamilyEnv", "Percept", "observe", "Subject", "Response", "Condition", "Metric", "read_log", "make"),
    *("wrap", "from_class", "plot", "write_report", "MesascopeError", "compare", "Comparison"),
}


def act(percept, state, rng):
    return np.zeros(len(percept["action"]), int), None


@pytest.fixture(scope="module")
def found():
    return mesascope.examine("thompson", HOME, splits="fresh", metrics="benefit", lifetimes=64)


def test_the_public_names_are_these_and_each_says_what_it_is():
    assert set(mesascope.__all__) == PUBLIC and set(dir(mesascope)) == {*PUBLIC, "__version__"}
    for name in PUBLIC:
        assert getattr(mesascope, name).__doc__, name
    shown = mesascope.__doc__
    assert all(
        word in shown for word in ("examine", "rollout", "measure", "place", "make", "open_run", "docs/python.md")
    )


def test_what_plugins_need_is_listed_and_there():
    stub = (Path(contracts.__file__).parent / "__init__.pyi").read_text()
    imported = {a.name for n in ast.parse(stub).body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert imported == set(contracts.__all__) and all(hasattr(contracts, name) for name in imported)
    with pytest.raises(AttributeError, match=r"has no 'Familly'; it has .*Family"):
        contracts.Familly  # noqa: B018


def test_importing_and_asking_for_help_load_nothing_slow():
    slow = ("jax", "pandas", "xarray", "torch", "matplotlib")
    code = f"import sys, mesascope, mesascope.cli.main; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "mesascope", "--help"], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0  # CPU seconds; .2 if idle


def test_names_and_texts_do_where_objects_and_lists_do():
    by_name = mesascope.rollout("thompson", HOME, lifetimes=64, conditions="carry_reset")
    family = mesascope.make("families", HOME)
    conditions = [mesascope.make("conditions", "carry_reset")]
    by_object = mesascope.rollout(
        mesascope.make("subjects", "thompson", family), family, lifetimes=64, conditions=conditions
    )
    assert by_name.identical(by_object)
    assert mesascope.rollout(act, family, lifetimes=7).action.values.max() == 0


def test_trials_are_measured_as_rollout_returns_them(found):
    trials = mesascope.rollout("thompson", HOME, lifetimes=64)
    for given in (trials, {"fresh": trials}, found):
        measured = mesascope.measure(given, "performance")
        assert measured.get_finding("performance").describe() == "0.684 [0.612, 0.757] (n = 64 lifetimes)"
    metric = mesascope.make("metrics", "performance")
    assert mesascope.measure(trials, [metric]).findings.status.tolist() == ["measured"]


def test_an_examination_has_a_table_figures_and_a_page(found, tmp_path):
    table = found.findings
    assert table.loc[0, ["subject", "metric", "split", "status"]].tolist() == [
        "thompson",
        "benefit",
        "fresh",
        "measured",
    ]
    assert found.plot("lifetimes").axes and found.plot().axes
    page = found.report(tmp_path / "page.html").read_text()
    assert page.startswith("<!") and "repeats the run" not in page
    assert "repeats the run" in found.report(tmp_path / "page.html", "mesascope demo").read_text()
    assert "acquiring" in repr(found) and mesascope.place(found).lowest == found.placement.lowest
    with pytest.raises(MesascopeError, match=r"no figure 'curve'.*adaptation"):
        found.plot("curve")
    with pytest.raises(MesascopeError, match=r"no finding on 'fresh' called 'benfit'. Did you mean 'benefit'"):
        found.get_finding("benfit")


def test_a_run_that_was_written_is_opened(tmp_path):
    from mesascope.examination import runs

    both = mesascope.examine({"mine": act, "theirs": "greedy"}, HOME, splits="fresh", metrics="benefit", lifetimes=64)
    assert [e.subject for e in both] == ["mine", "theirs"]
    runs.write_run(both, tmp_path, "a test")
    again = mesascope.open_run(tmp_path)
    assert [e.placement for e in again] == [e.placement for e in both]
    assert mesascope.measure(tmp_path, "benefit")[1].subject == "theirs"


def test_subjects_of_one_name_are_told_apart_and_can_be_named():
    def other():
        def act(percept, state, rng):
            return np.ones(len(percept["action"]), int), None

        return act

    one, two, three = mesascope.examine(
        [act, other(), "thompson:name=slow,discount=0.9"], HOME, splits="fresh", metrics="exploration", lifetimes=64
    )
    assert [one.subject, two.subject, three.subject] == ["act", "act-2", "slow"]
    names = ["thompson", "thompson", "greedy:name=thompson-2"]
    assert [s.name for s in open_subjects(names, make("families", HOME))] == ["thompson", "thompson-3", "thompson-2"]
    assert make("subjects", "thompson", HOME, discount=0.9).name == "thompson:discount=0.9"
    assert (two.trials["fresh"].action == 1).all()


def test_files_are_opened_by_make_and_missing_ones_named(tmp_path):
    from mesascope.agents.networks import network_files

    path = next(iter(__import__("pathlib").Path(network_files.__file__).parent.glob("shipped/*unlimited*.safetensors")))
    subject = mesascope.make("subjects", str(path))
    assert recurrent.read_family(str(path)) and subject.name
    for missing in ("gone.safetensors", "gone.pt", "gone.onnx", str(tmp_path / "gone.zip")):
        with pytest.raises(MesascopeError, match="There is no file"):
            mesascope.make("subjects", missing, HOME)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mesascope.rollout("thompsn", HOME), "There is no subject 'thompsn'"),
        (lambda: mesascope.rollout("thompson", "bandit"), "There is no family 'bandit'"),
        (lambda: mesascope.rollout("thompson", HOME, conditions="reset"), "There is no condition 'reset'"),
        (lambda: mesascope.rollout(3, HOME), "int is not a subject"),
        (lambda: mesascope.rollout("thompson", 3), "int is not a family"),
        (lambda: mesascope.examine([], HOME), "There is no subject"),
        (lambda: mesascope.examine("thompson", HOME, splits="frsh"), "There is no split 'frsh'"),
        (lambda: mesascope.examine("thompson", HOME, metrics="benfit"), "There is no metric 'benfit'"),
        (lambda: mesascope.examine(act), "No subject's file names a family"),
        (lambda: mesascope.examine("thompson"), "No subject's file names a family"),
        (lambda: mesascope.measure(3), "int"),
        (lambda: mesascope.place("nothing.csv"), "cannot be placed"),
        (lambda: mesascope.make("subject", "thompson", HOME), "There is no kind of plug-in 'subject'"),
        (lambda: mesascope.make("subjects", "thompson:name=,discount=.9", HOME), "cannot be the name"),
        (lambda: mesascope.open_run("nowhere"), "There is no findings.json"),
    ],
)
def test_a_mistake_is_one_sentence(call, message):
    with pytest.raises(MesascopeError, match=message):
        call()


def test_a_metric_that_failed_is_shown_in_the_terminal(found):
    import dataclasses
    import io

    from rich.console import Console

    from mesascope.reporting.terminal import summarise

    broken = dataclasses.replace(found.answers[0], status="failed", reason="KeyError: 'x'", estimate=None)
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(summarise([dataclasses.replace(found, answers=[broken])]))
    assert "benefit failed: KeyError: 'x'" in console.export_text()


def test_changed_splits_without_a_reference_learner_are_said_to_lack_it():
    from mesascope.questions.spectrum.first_rule import Rule, _explain

    numbers = {"lifetimes": 64, "held": [], "retention": {}, "benefit": 0.3, "benefit_error": 0.01}
    reason = _explain(4, 5, numbers, None, ["shifted", "exchanged"], rule=Rule(), is_unlimited=True)
    assert "no reference learner" in reason and "was run" not in reason
    reason = _explain(4, 5, numbers | {"efficiency": 1.0}, None, ["shifted"], rule=Rule(), is_unlimited=True)
    assert "no split of kind shifted was run" in reason


@pytest.mark.parametrize(
    ("older_than", "remedy"),
    [
        (8, "from 1 to 4, a fifth of a lifetime"),
        (0, "from 1 to 4"),
        (2, r"examine with rule=mesascope\.Rule\(older_than=2\)"),
    ],
)
def test_a_window_that_the_trials_do_not_allow_is_named_with_what_to_type(older_than, remedy):
    trials = mesascope.examine("greedy", HOME.replace("12", "20"), splits="fresh", metrics="benefit", lifetimes=64)
    with pytest.raises(mesascope.MesascopeError, match=remedy):
        mesascope.place(trials, rule=mesascope.Rule(older_than=older_than))
