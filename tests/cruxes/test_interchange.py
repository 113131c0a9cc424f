"""Triads as CSV and networks as BIF, out and in."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesascope import cruxes
from mesascope.cruxes import exchange, triads
from mesascope.cruxes.commands import app
from mesascope.cruxes.options import EXAMPLES
from mesascope.errors import MesascopeError

from .fixtures import small


def test_fri_columns_out_and_in():
    rows, left_out = triads.read_triads(small().to_fri_csv())
    assert not left_out
    assert {(r.person, r.crux) for r in rows} >= {("ann", "A"), ("bob", "A")} - {("bob", "A")}
    ann = next(r for r in rows if (r.person, r.crux) == ("ann", "A"))
    assert (ann.pu, ann.pc, ann.puc) == pytest.approx((0.15, 0.3, 0.5))
    text = "person,Camp,ID,PU,Pc,PUc\na,x,c1,.005,.035,.05\nb,y,c1,.09,.12,.25\n"
    values = {(v.crux, *v.people): v.value for v in triads.compute_triad_values(triads.read_triads(text)[0])}
    assert values["c1", "a", "b"] == pytest.approx(0.0185876582054, rel=1e-10)
    for bad in ("a,b\n1,2\n", "person,Camp,ID,PU,Pc,PUc\n", "person,Camp,ID,PU,Pc,PUc\na,x,c,1.5,.1,.1\n", ""):
        with pytest.raises(MesascopeError):
            triads.read_triads(bad)


ROWS = """person,Camp,ID,PU,Pc,PUc
a,x,c1,.05,.1,.2
b,x,c1,.1,.2,.1
c,x,c1,.3,.5,.2
d,x,c1,.05,.2,.04
e,y,c1,.2,.1,.5
f,y,c1,NA,.1,.5
g,y,c1,.2,,.5
h,y,c1,.01,.5,.9
i,y,c1,.1,.5,.2
"""


def test_rows_with_gaps_and_contradictions_are_left_out_and_counted(tmp_path):
    rows, left_out = triads.read_triads(ROWS)
    assert [r.person for r in rows] == ["a", "b", "c", "d", "e", "i"]
    assert [(x.line, x.reason) for x in left_out] == [
        (7, "a number is missing"),
        (8, "a number is missing"),
        (9, "the numbers contradict each other"),
    ]
    values = triads.compute_triad_values(rows)
    medians = triads.find_camp_medians(values)["c1"]
    own = sorted(v.value for v in values if v.camps == ("x",))
    assert medians["x"] == own[1]  # of four values the second, not the mean of the second and the third
    assert medians["x / y"] == sorted(v.value for v in values if set(v.camps) == {"x", "y"})[3]
    kept, more = triads.read_triads(ROWS, should_keep_decisive_rows=False)
    assert "i" not in {r.person for r in kept}  # P(U | not C) is 0
    assert more[-1].reason == "an outcome makes the target certain"
    (tmp_path / "rows.csv").write_text(ROWS)
    result = CliRunner().invoke(app, ["import", str(tmp_path / "rows.csv")])
    assert result.exit_code == 0, result.exception
    assert "left out: 2 rows where a number is missing (line 7, 8)" in result.stdout
    assert "left out: 1 row where the numbers contradict each other (line 9)" in result.stdout


FOLDER = Path(os.environ.get("MESASCOPE_FRI", "/nowhere"))


@pytest.mark.skipif(not (FOLDER / "FORECASTS.csv").exists(), reason="MESASCOPE_FRI names no copy of FRI's repository")
def test_the_published_medians_of_the_fri_are_matched():
    text = (FOLDER / "FORECASTS.csv").read_text().replace("Luke policies", "Muehlhauser policies")
    rows, left_out = triads.read_triads(text, should_keep_decisive_rows=False)
    assert len(rows) + len(left_out) == 651
    reasons = [x.reason for x in left_out]
    assert (reasons.count("a number is missing"), reasons.count("the numbers contradict each other")) == (4, 6)
    medians = triads.find_camp_medians(triads.compute_triad_values(rows))

    def published(name):
        return {line["ID"]: line for line in csv.DictReader((FOLDER / name).read_text().splitlines())}

    information = {
        (crux, camp): float(line[f"medianVOI_{camp}"])
        for crux, line in published("VOI_medians.csv").items()
        for camp in ("Concerned", "Skeptical")
    }
    assert len(information) == 74
    for (crux, camp), value in information.items():
        assert medians[crux][camp] == pytest.approx(value, rel=1e-8, abs=1e-15)
    discrimination = published("P8_results_df_cross_camp_VoD_agg.csv")
    assert len(discrimination) == 37
    for crux, line in discrimination.items():
        assert medians[crux]["Concerned / Skeptical"] == pytest.approx(float(line["median_VoD"]), rel=1e-8, abs=1e-15)


def test_a_persons_network_as_bif_answers_the_same():
    argument = cruxes.load_thread(bridges=["b1"])
    text = argument.to_bif("lister")
    assert "not stated" in text
    net = cruxes.read_bif(text)
    joint = net.compute_posterior(["X", "P"])
    assert joint[1, 1] / joint[:, 1].sum() == pytest.approx(0.9922375, abs=1e-12)


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "network x {",
        "variable a { type discrete [2] { y, n }; }",
        "hello",
        "probability ( a ) { table 1; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table 0.7, 0.7; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table x, y; }",
        "variable a { type discrete [2] { y, n }; } probability ( a ) { table 0.5; }",
        "variable a { type discrete [2] { y, n }; } probability ( a | b ) { table 0.5, 0.5; }",
        "variable a { type discrete [2] { y, y }; } probability ( a ) { table 0.5, 0.5; }",
    ],
)
def test_bif_that_is_none(bad):
    with pytest.raises(MesascopeError):
        cruxes.read_bif(bad)


BAYESDOWN = """// a map of two causes
[Flood]: the town floods {"instantiations": ["Flood_TRUE", "Flood_FALSE"], "priors": {"p(Flood_TRUE)": "0.2", "p(Flood_FALSE)": "0.8"}, "posteriors": {"p(Flood_TRUE|Rain_TRUE,Dam_FALSE)": "0.9", "p(Flood_TRUE|Rain_FALSE,Dam_TRUE)": "1%"}}
 + [Rain]: it rains for a week {"priors": {"p(Rain_TRUE)": "0.3"}}
 - [Dam]: the dam holds
   - [Dam Check]: the dam was checked
"""  # noqa: E501


def test_bayesdown_becomes_claims_and_what_has_no_number_stays_open(tmp_path):
    argument = cruxes.Argument(exchange.read_argdown(BAYESDOWN, "map").write())
    claims = {(str(c.event), str(c.condition)): argument.pick_value(c).centre for c in argument.list_claims("source")}
    assert claims == {
        ("Flood", "anything"): 0.2,
        ("Flood", "Rain & !Dam"): 0.9,
        ("Flood", "!Rain & Dam"): 0.01,
        ("Rain", "anything"): 0.3,
    }
    assert argument.answer("source", "Dam_Check").status == "unstated"
    bare = cruxes.Argument(exchange.read_argdown("[A]: a\n  - [B]: b\n").write())
    assert (bare.answer("source", "A").low, bare.answer("source", "A").high) == (0, 1)
    (tmp_path / "map.argdown").write_text(BAYESDOWN)
    result = CliRunner().invoke(app, ["import", str(tmp_path / "map.argdown"), "--out", str(tmp_path / "map.toml")])
    assert result.exit_code == 0, result.exception
    assert cruxes.load_argument(tmp_path / "map.toml").answer("source").point == pytest.approx(0.2)
    for bad in (
        "",
        "nothing here",
        '[A]: a {"priors": {',
        '[A]: a {"priors": {"p(B_TRUE)": "1"}}',
        '[A]: a {"priors": {"A": 1}}',
    ):
        with pytest.raises(MesascopeError) as caught:
            exchange.read_argdown(bad)
        assert "indent" not in str(caught.value)
    flat, nested = (exchange.read_argdown(f"[A]: a\n{indent}[B]: b\n").write() for indent in ("", "   - "))
    assert flat == nested  # indentation connects nothing, so no message may ask for it


def test_forecasts_of_metaculus_and_manifold(tmp_path):
    manifold = '[{"question": "Will it rain?", "probability": 0.3}, {"question": "No number", "probability": null}]'
    metaculus = '{"results": [{"title": "Will it rain?", "community_prediction": {"full": {"q2": 0.4}}}]}'
    table = (
        "Question Title,Forecaster Username,Probability Yes\nWill it rain?,ann,0.25\nWill it rain?,bob,60%\n,cy,0.5\n"
    )
    for text, is_json, chances in (
        (manifold, True, {"crowd": 0.3}),
        (metaculus, True, {"crowd": 0.4}),
        (table, False, {"ann": 0.25, "bob": 0.6}),
    ):
        argument = cruxes.Argument(exchange.read_forecasts(text, is_json).write())
        assert {p: argument.answer(p).point for p in argument.content.people} == pytest.approx(chances)
        assert argument.content.atoms["Q1"] == "Will it rain?"
    for bad, is_json in (
        ("{", True),
        ("[]", True),
        ("a,b\n1,2\n", False),
        ('[{"question": "x", "probability": 7}]', True),
    ):
        with pytest.raises(MesascopeError):
            exchange.read_forecasts(bad, is_json)


@pytest.mark.parametrize("name", ["thread", "chain", "dispute", "decision"])
def test_json_out_and_in_is_the_same_argument(name, tmp_path):
    argument = cruxes.load_thread() if name == "thread" else cruxes.load_argument(EXAMPLES / f"{name}.toml")
    words = ["export", *([] if name == "thread" else [name]), "--format", "json", "--out", str(tmp_path / "x.json")]
    assert CliRunner().invoke(app, words).exit_code == 0
    result = CliRunner().invoke(app, ["import", str(tmp_path / "x.json"), "--out", str(tmp_path / "x.toml")])
    assert result.exit_code == 0, result.exception
    again = cruxes.load_argument(tmp_path / "x.toml")
    for person in argument.content.people:
        assert again.answer(person).interval == argument.answer(person).interval
    assert {c.id: c.quote for c in again.content.claims.values()} == {
        c.id: c.quote for c in argument.content.claims.values()
    }


def test_squiggle_holds_every_number_of_a_person():
    argument = cruxes.load_argument(EXAMPLES / "decision.toml")
    text = argument.to_squiggle("mia")
    assert "search = 0.459959 to 6\n" in text
    lister = cruxes.load_thread().to_squiggle("lister")
    betas = {name: (float(a), float(b)) for name, a, b in re.findall(r"^(\w+) = beta\((.+), (.+)\)$", lister, re.M)}
    for claim in cruxes.load_thread().list_claims("lister"):
        beta = cruxes.load_thread().pick_value(claim).find_beta()
        if beta:
            assert betas[claim.id] == pytest.approx(beta, rel=1e-5)
    assert "d3c = uniform(0.55, 1) // a set: no distribution was stated" in lister
    result = CliRunner().invoke(app, ["export", "--format", "squiggle"])
    assert isinstance(result.exception, MesascopeError)


JUNK = {
    "list.json": '["mesascope-crux/1"]',
    "broken.json": '{"format": "mesascope-crux/1", ',
    "null.json": '{"format": "mesascope-crux/1", "atoms": null}',
    "deep.json": "[" * 5000,
    "numbers.json": "[1, 2, 3]",
    "nan.json": '[{"question": "x", "probability": NaN}]',
    "control.json": '[{"question": "x\\u0000y", "probability": 0.5}]',
    "empty.csv": "",
    "huge.csv": "question,probability\n" + "x" * 200_000 + ",0.5\n",
    "null.csv": "question,probability\nx\0y,0.5\n",
    "words.csv": "question,probability\nx,often\n",
    "empty.argdown": "",
    "prose.md": "Once upon a time",
    "state.argdown": '[A]: a {"priors": {"p(A_MAYBE)": "1"}}',
    "over.argdown": '[A]: a {"priors": {"p(A_TRUE)": "7"}}',
    "text.argdown": '[A]: a {"priors": {"p(A_TRUE)": "often"}}',
    "many.argdown": "".join(f"[N{i}]: n\n" for i in range(900)),
    "letters.argdown": "[…]: dots\n[!!]: marks\n",
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_refused_in_a_sentence(name, tmp_path):
    (tmp_path / name).write_text(JUNK[name])
    error = CliRunner().invoke(app, ["import", str(tmp_path / name), "--out", str(tmp_path / "x.toml")]).exception
    assert error is None or isinstance(error, MesascopeError), error
    if error is not None:
        assert error.remedy
        assert len(str(error)) < 900
    assert (error is None) == (tmp_path / "x.toml").exists()


def test_a_network_names_the_comparisons_that_it_leaves_out():
    text = cruxes.load_thread().to_bif("author")
    assert "// left out: u7 compares two chances, which BIF cannot state" in text
    assert cruxes.read_bif(text).order == ("I",)
