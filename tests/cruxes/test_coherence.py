"""Whether it hangs together: clashes, warnings, and how words and numbers are read."""

from __future__ import annotations

import re

import pytest

from mesascope import cruxes
from mesascope.cruxes import readings
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.coherence import find_clashes
from mesascope.cruxes.texts import describe_issues

from .fixtures import SMALL, small


def test_the_thread_has_warnings_and_no_contradiction():
    issues = cruxes.load_thread().check()
    assert not any(i.is_error for i in issues)
    assert {"ambiguous", "scope", "presupposition", "fraction", "word", "refused", "question"} <= {
        i.kind for i in issues
    }


def test_a_clash_is_named_with_its_bridge():
    argument = small(**{"a1 = {": 'a0 = { by = "ann", event = "X", value = "60%" }\na1 = {'})
    clashes = [i for i in argument.check() if i.is_error]
    assert clashes
    assert all(i.people == ("ann",) for i in clashes)
    assert {frozenset(i.claims) for i in clashes} == {frozenset({"a0", "a1"}), frozenset({"a0", "a2"})}
    assert clashes[0].bridges == ("r1",)
    assert "a0 alone to within [0" in clashes[0].remedy
    assert any(line.startswith("ERROR incoherent (ann)") for line in describe_issues(argument.check()))
    assert argument.answer("ann", "X").status == "incoherent"
    assert argument.answer("ann", "X").low is None


def test_shares_of_one_population_may_not_exceed_it():
    extra = """f1 = { by = "ann", kind = "fraction", of = "m", population = "all", value = "60-90%" }
f2 = { by = "ann", kind = "fraction", of = "p", population = "all", value = "50-80%" }
"""
    text = SMALL.replace("[bridges]", extra + "[bridges]")
    (issue,) = [i for i in Argument(text).check() if i.is_error]
    assert set(issue.claims) == {"f1", "f2"}
    assert "0.1" in issue.remedy
    sound = Argument(text.replace("60-90", "20-90"))
    assert not any(i.is_error for i in sound.check())
    assert sound.answer("ann", "X") == small().answer("ann", "X")  # shares enter no chain


def test_a_condition_that_cannot_happen_is_flagged_and_undefined():
    argument = small(**{'value = "30%"': 'value = "0%"'})
    assert [i.claims for i in argument.check() if i.kind == "impossible_given"] == [("a2",)]
    for engine in ("lp", "net"):
        assert argument.answer("ann", "B", "A", engine=engine).status == "undefined"


def test_number_and_word():
    fits = readings.compare_with_scales
    assert fits(readings.read_value("~10%"), "very unlikely") == {"ipcc": True, "icd": True}
    assert fits(readings.read_value("~90%"), "very likely") == {"ipcc": True, "icd": True}
    assert fits(readings.read_value("~15%"), "fairly unlikely") == {"ipcc": True, "icd": False}


def test_a_word_that_a_scale_lacks_is_read_by_the_union_and_told():
    argument = cruxes.load_thread(words="ipcc")
    told = {i.claims: i for i in argument.check() if "does not have" in i.problem}
    assert told.keys() == {("i1",), ("i2",), ("u2",), ("u3",), ("u5",)}
    assert "[0.55, 1]" in told["i1",].remedy
    assert argument.content.claims["i1"].value.select_interval() == (0.55, 1)
    assert argument.content.claims["d3c"].value.select_interval() == (0.66, 0.90)  # 'likely' by the scale itself
    assert not any("does not have" in i.problem for i in cruxes.load_thread().check())


@pytest.mark.parametrize(
    ("word", "span"),
    [
        ("likely", (0.55, 1)),
        ("unlikely", (0, 0.45)),
        ("very unlikely", (0, 0.20)),
        ("probably", (0.5, 1)),
        ("<10%", (0, 0.10)),
        ("~1-20%", (0.01, 0.20)),
        ("~10%", (0.05, 0.15)),
        ("10%", (0.10, 0.10)),
        ("~2%", (0.0095744681, 0.0313953488)),  # ± .05 would reach below 0
    ],
)
def test_words_and_numbers_as_sets(word, span):
    assert readings.read_value(word).select_interval("set") == pytest.approx(span)


def test_a_bound_has_no_distribution_unless_asked_for():
    assert readings.read_value("<10%").find_beta() is None
    assert readings.read_value("<10%", bound_distribution="uniform").mass == 1.0
    assert readings.read_value("likely").find_beta() is None


@pytest.mark.parametrize(
    ("said", "span"),
    [
        ("~zero evidence", (1 / 1.1, 1.1)),
        ("small amount", (1.1, 3)),
        ("significant", (3, 20)),
        ("2-5", (2, 5)),
        (4, (4, 4)),
    ],
)
def test_evidence_words_are_sets(said, span):
    assert readings.read_ratio(said) == pytest.approx(span)


def nine_premises(overall: str = "1%", chances: tuple[int, ...] = (90, 85, 80, 90, 75, 95, 85, 80, 90)) -> str:
    """A chain of nine premises, each given the ones before, and an overall number that contradicts them."""
    names = [f"P{i}" for i in range(9)]
    text = 'format = "mesascope-crux/1"\nquery = { target = "P8" }\n[atoms]\n'
    text += "".join(f'{n} = "{n}"\n' for n in names) + '[people]\nann = { name = "Ann" }\n[claims]\n'
    for i, (n, p) in enumerate(zip(names, chances, strict=True)):
        given = f'given = "{" & ".join(names[:i])}", ' if i else ""
        text += f'c{i} = {{ by = "ann", event = "{n}", {given}value = "{p}%" }}\n'
    return text + f'all = {{ by = "ann", event = "{" & ".join(names)}", value = "{overall}" }}\n'


@pytest.mark.parametrize(
    ("overall", "other"), [("1%", ""), ("60%", ""), ("1%", 'n = { by = "ann", event = "!P0", value = "50%" }\n')]
)
def test_advice_that_is_followed_leaves_no_contradiction(overall, other):
    argument = Argument(nine_premises(overall) + other)
    clashes = find_clashes(argument.build_polytope("ann"))
    assert clashes
    advised = [{name: span} for clash in clashes for name, span in clash.single_changes.items()]
    advised += [clash.joint_changes for clash in clashes if clash.joint_changes]
    assert advised
    for changes in advised:
        text = argument.text
        for name, (low, high) in changes.items():
            (line,) = [x for x in text.splitlines() if x.startswith(f"{name} =")]
            new = re.sub(r'value = "[^"]*"', f'value = "{low:.12g}-{high:.12g}"', line)
            text = text.replace(line, new)
        assert not any(i.is_error for i in Argument(text).check()), changes
    if other:
        assert not any(clash.single_changes for clash in clashes)  # two contradictions: no claim alone settles both
        assert len(clashes[0].joint_changes) > 1
