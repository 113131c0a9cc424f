"""The thread, measured: fourteen claims from committed results, and what they do to whom."""

from __future__ import annotations

import html
import json
import time

import pytest
from typer.testing import CliRunner

from mesascope import catalogue, cruxes, findings
from mesascope.cli.main import app
from mesascope.cruxes.findings import count_units, read_findings
from mesascope.errors import MesascopeError
from mesascope.reproduction.plans import load_study
from mesascope.reproduction.study_findings import export_study
from mesascope.thread.report import STATUSES, make_thread_report, render_thread


def test_fourteen_rows_in_little_time():
    start = time.process_time()
    report = make_thread_report()
    page = render_thread(report)
    assert time.process_time() - start < 10
    assert [row.id for row in report.rows] == [f"P{i}" for i in range(1, 15)]
    for row in report.rows:
        assert row.status in STATUSES
        assert bool(row.measurements) == (row.status == "measured") == (row.ratio is not None)
        assert row.shown
        assert row.not_shown
        assert f'id="{row.id}"' in page
    assert len(report.summary) == 3
    assert page.index(report.summary[0][:40]) < page.index("<table")
    atoms = cruxes.load_thread().content
    assert all(row.event in (*atoms.atoms, "") for row in report.rows)
    assert {c for entry in report.unmeasurable_claims for c in entry["claims"]} <= set(atoms.claims)


def test_every_number_is_read_from_the_results():
    for row in make_thread_report().rows:
        for m in row.measurements:
            document = json.loads((catalogue.STUDIES_FOLDER / m.study / "results" / "results.json").read_text())
            (value,) = [v for v in document["values"] if (v["quantity"], v["subject"]) == (m.quantity, m.subject)]
            assert (m.value, m.low, m.high, m.n) == (value["ours"], value["low"], value["high"], value["n"])
            assert not document["quick"]


def test_the_page_says_who_believes_what_and_where_they_differ():
    report, content = make_thread_report(), cruxes.load_thread().content
    page = html.unescape(render_thread(report))
    assert page.index("Who says what") < page.index("Where they differ") < page.index('id="P1"')
    assert [speaker.person for speaker in report.speakers] == list(content.people)
    for speaker in report.speakers:
        assert all(statement in page for statement in speaker.statements)
    (critic,) = [speaker for speaker in report.speakers if speaker.person == "critic"]
    assert [statement for statement in critic.statements if statement.endswith("(unlikely, withdrawn later)")]
    for entry in report.differences:
        assert entry["says"] in page
        assert set(entry["claims"]) <= set(content.claims)
    for entry in report.words:
        assert f"<b>{entry['word']}</b>" in page


def test_a_ratio_names_the_event_that_it_is_about():
    by_id = {row.id: row for row in make_thread_report().rows}
    page = html.unescape(render_thread(make_thread_report()))
    # the claim P10 is about evidence, but its ratio and the beliefs are about the search itself
    assert by_id["P10"].subject == "the weights hold a search"
    assert "Proposed likelihood ratio for “the weights hold a search”" in page
    assert "how likely is it that the weights hold a search, for the systems that you have in mind?" in page
    assert by_id["P3"].subject == by_id["P3"].claim


def test_no_level_on_the_page_is_by_the_older_rule():
    for row in make_thread_report().rows:
        for m in row.measurements:
            study = load_study(m.study)
            is_level = next(
                q.kind for q in study.quantities if q.name == m.quantity
            ) == "placed" and m.quantity not in (
                "share on seen",
                "share on fresh",
            )
            assert study.rule == "carried" or not is_level, (row.id, m)
            assert m.is_trained == any(subject.recipe for subject in study.subjects)
            assert ("seeds of lifetimes" in m.describe()) != m.is_trained
    (p8,) = [row for row in make_thread_report().rows if row.id == "P8"]
    assert "older rule" in p8.shown  # generality in this study was not measured again


def test_a_number_that_is_gone_is_an_error(monkeypatch):
    from mesascope.thread import report

    monkeypatch.setattr(report, "_read_study", lambda name: {"study": name, "values": []})
    with pytest.raises(MesascopeError, match="has no 'rise of success within a lifetime'"):
        make_thread_report()


def test_a_readers_ratio_and_belief_move_the_reader_alone():
    plain, own = make_thread_report(), make_thread_report({"P1": "3:1"}, {"P1": "60%", "P3": "~50%"})
    assert not any(b.person == "you" for row in plain.rows for b in row.beliefs)
    row = own.rows[0]
    assert (row.ratio, row.is_readers_ratio) == ((3, 3), True)
    you = row.beliefs[-1]
    assert you.after == pytest.approx((1.8 / 2.2, 1.8 / 2.2))
    low, high = own.rows[2].ratio
    assert own.rows[2].beliefs[-1].after == pytest.approx((low / (1 + low), high / (1 + high)))
    for person in (b for row in own.rows for b in row.beliefs if b.person != "you"):
        assert person.before == (0, 1) == person.after or person.after is None or person.before != (0, 1)
    for bad in ({"P99": "3"}, {"P14": "3"}, {"P1": "often"}):
        with pytest.raises(MesascopeError):
            make_thread_report(bad)


def test_everybodys_model_moves_only_through_own_claims(monkeypatch):
    lister, critic = make_thread_report().target_answers
    assert (lister.person, lister.before, lister.connected_claims) == ("lister", lister.after, ())
    assert critic.before == pytest.approx((0, 0.3))
    text = cruxes.load_thread().text.replace(
        "r0 = {",
        'z1 = { by = "critic", event = "K", given = "Improves", value = "8%" }\n'
        'z2 = { by = "critic", event = "Improves", value = "50%" }\nr0 = {',
    )
    monkeypatch.setattr(cruxes, "load_thread", lambda: cruxes.Argument(text))
    critic = make_thread_report({"P1": "3"}).target_answers[1]
    assert critic.connected_claims == ("P1",)
    assert critic.after is not None
    assert critic.after != critic.before


def test_own_ratios_are_those_of_the_thread():
    by_id = {row.id: row for row in make_thread_report().rows}
    author = next(b for b in by_id["P9"].beliefs if b.person == "author")
    critic = next(b for b in by_id["P10"].beliefs if b.person == "critic")
    assert author.own_ratio == (1.1, 3.0)
    assert critic.own_ratio == (1 / 1.1, 1.1)
    assert all(b.own_ratio is None for b in by_id["P1"].beliefs)


def test_the_command_writes_a_page_and_findings(tmp_path):
    result = CliRunner().invoke(app, ["thread", "--out", str(tmp_path / "t.html"), "--findings", str(tmp_path / "f")])
    assert result.exit_code == 0, result.exception
    page = (tmp_path / "t.html").read_text()
    for outside in ("http://", "https://", "src=", "@import", "<link"):
        assert outside not in page
    assert {f.stem for f in (tmp_path / "f").glob("*.json")} == set(catalogue.list_names("studies"))
    for words in (["--ratio", "P1"], ["--belief", "=3"], ["--ratio", "P9=3"]):
        assert isinstance(CliRunner().invoke(app, ["thread", *words]).exception, MesascopeError)
    document = json.loads(CliRunner().invoke(app, ["thread", "--json"]).stdout)
    assert len(document["rows"]) == 14


@pytest.mark.parametrize("name", catalogue.list_names("studies"))
def test_every_study_is_findings_with_unit_kind_and_recipe(name, tmp_path):
    document = export_study(name)
    (tmp_path / "findings.json").write_text(json.dumps(document))
    assert read_findings(tmp_path) == document["subjects"]
    for subject in document["subjects"]:
        assert subject["kind"] in ("trained", "scripted")
        assert (subject["kind"] == "trained") == (subject["recipe"] != "none")
        for row in subject["findings"]:
            finding = findings.from_dict(row)
            assert (finding.format, finding.unit) == ("mesascope-finding/2", "training seed")
            assert len(finding.settings["by_seed"]) >= finding.n
            if finding.status == "measured":
                numbers = [x for x in finding.settings["by_seed"]]
                assert min(numbers) - 1e-9 <= finding.estimate <= max(numbers) + 1e-9


def test_the_seeds_of_a_study_are_the_units_of_a_measure():
    text = cruxes.load_thread().text + (
        '[measures.seeds]\nfeeds = "e5"\nkinds = ["trained"]\nmetric = "shown by transplant"\nabove = 0.05\n'
        'counts = "seed"\n'
        'measured = "small networks"\nclaimed = "large ones"\n'
    )
    measure = cruxes.Argument(text).content.measures["seeds"]
    k, n, units = count_units(measure, export_study("memory_needed")["subjects"])
    assert (k, n) == (5, 40)  # five seeds of one of eight networks
    assert {u.verdict for u in units} == {"observed", "not observed"}
