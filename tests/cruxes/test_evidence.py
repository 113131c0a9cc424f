"""What an observation should do to each person, and how findings are counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mesascope import cruxes
from mesascope.cruxes import evidence, findings
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.entries import OLDER_RUNGS, RUNGS
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.ladder import LADDER, OLDER_LADDER

from .fixtures import SMALL, small

COUNTED = """[evidence]
e = { text = "runs", about = "A", hypotheses = { ann = { if_true = [8, 2], if_false = [2, 8] } } }
s = { text = "one sight", about = "A", lr = { ann = "3" }, lr_against = { ann = "1-2" } }
[measures]
m = { feeds = "e", placement = "acquiring", measured = "small networks", claimed = "large ones" }
[measures.p]
kinds = ["unstated", "trained"]
feeds = "s"
metric = "acquired_late"
above = 0.05
counts = "subject"
measured = "s"
claimed = "l"
"""


def test_k_of_n_moves_only_whoever_gave_hypotheses():
    updates = {u.person: u for u in small(COUNTED).update("e", k=7, n=10)}
    ratio = evidence.find_count_ratio(7, 10, (8, 2), (2, 8))
    assert updates["ann"].ratio == (ratio, ratio)
    odds = 0.3 / 0.7 * ratio
    assert updates["ann"].posterior == pytest.approx((odds / (1 + odds),) * 2)
    assert updates["ann"].shift[0] == pytest.approx(np.log(ratio))
    before, after = updates["ann"].target
    assert after[0] > before[0]
    for other in ("bob", "cy"):
        assert updates[other].status == "asked"
        assert updates[other].posterior is None
        assert "hypotheses" in updates[other].reason


def test_the_target_moves_by_exact_bounds():
    (moved,) = [u for u in small(COUNTED).update("s") if u.person == "ann"]
    posterior = 0.3 * 3 / (0.3 * 3 + 0.7)
    assert moved.posterior == pytest.approx((posterior, posterior))
    assert moved.target[1] == pytest.approx((posterior * 0.5, posterior * 0.5), abs=1e-9)


def test_an_open_question_asks_for_what_only_that_person_can_say():
    (asked,) = cruxes.load_thread().update("q1")
    assert (asked.person, asked.status) == ("author", "asked")
    assert "P(M | I)" in asked.reason
    text = cruxes.load_thread().text.replace(
        "u3 = {",
        'j1 = { by = "author", event = "M", given = "I", value = "80%" }\n'
        'j2 = { by = "author", event = "M", given = "!I", value = "30%" }\nu3 = {',
    )
    (moved,) = Argument(text).update("q1", to="60%")
    assert moved.posterior == pytest.approx((0.6, 0.6))
    assert moved.prior == pytest.approx((0.3, 0.4))  # under P(I) in [0, .20]
    assert "valid only if" in moved.reason


def finding(subject: str, fingerprint: str, low: float = 0.2, status: str = "measured") -> dict:
    return {
        "format": "mesascope-finding/2",
        "metric": "acquired_late",
        "question": "q?",
        "subject": subject,
        "fingerprint": fingerprint,
        "family": "bernoulli_bandit",
        "split": "fresh",
        "settings": {},
        "estimate": low + 0.1,
        "low": low,
        "high": low + 0.2,
        "confidence": 0.95,
        "n": 64,
        "unit": "lifetime",
        "null": 0.0,
        "status": status,
        "reason": "",
        "controls": {},
        "made": {"commit": "c", "versions": {}, "key": 1, "when": "2026"},
    }


def subject(name: str, fingerprint: str, lowest: str, highest: str, low: float = 0.2) -> dict:
    level = lowest if lowest == highest else "undetermined"
    return {
        "subject": name,
        "kind": "trained",
        "family": "bernoulli_bandit",
        "findings": [finding(name, fingerprint, low)],
        "placement": {
            "level": level,
            "lowest": lowest,
            "highest": highest,
            "direction": "for",
            "probability": {lowest: 1.0},
            "numbers": {},
            "reason": "r",
        },
    }


def write_findings(folder: Path, data: object) -> Path:
    (folder / "findings.json").write_text(json.dumps(data))
    return folder


def test_findings_are_counted_by_the_rule(tmp_path):
    data = {
        "subjects": [
            subject("s1", "f1", "acquiring", "acquiring"),
            subject("s2", "f2", "general", "general"),
            subject("s3", "f3", "acquiring", "general"),
            subject("s4", "f4", "locating", "locating", -0.3),
            subject("s5", "f5", "locating", "general", 0.0),
            subject("again", "f1", "acquiring", "acquiring"),
        ]
    }
    tally, metric = small(COUNTED).update_from(write_findings(tmp_path, data))
    assert (tally.k, tally.n) == (3, 4)  # f5 undetermined and left out, f1 counted once
    assert {u.name: u.verdict for u in tally.units}["f5"] == "undetermined"
    assert [u.name for u in tally.units if "older rule" in u.reason] == ["f2", "f3", "f5"]
    assert tally.gap == "measured: small networks; claimed: large ones"
    (ann,) = [u for u in tally.updates if u.person == "ann"]
    assert ann.ratio[0] == pytest.approx(evidence.find_count_ratio(3, 4, (8, 2), (2, 8)))
    assert (metric.k, metric.n, metric.updates) == (4, 5, ())  # mixed: a single observation has no ratio
    strict = COUNTED.replace('placement = "acquiring",', 'placement = "acquiring", undetermined = "count as not",')
    assert small(strict).update_from(tmp_path)[0].n == 5


def test_a_measure_asks_for_a_rung_of_the_present_ladder():
    assert (RUNGS, OLDER_RUNGS) == (LADDER, OLDER_LADDER)
    for rung in RUNGS:
        assert small(COUNTED.replace("acquiring", rung)).content.measures["m"].rung == rung
    with pytest.raises(MesascopeError, match=r"no longer has the rung 'general'\. Write placement = .acquiring."):
        small(COUNTED.replace("acquiring", "general"))
    with pytest.raises(MesascopeError, match=r"There is no rung 'generl'.*There are: acquiring, inert"):
        small(COUNTED.replace("acquiring", "generl"))


def controls_and_networks() -> dict:
    """Three networks, of which one acquires, and five controls, of which two acquire: as the demo has them."""
    networks = [("net:1", "acquiring"), ("net:2", "locating"), ("net:3", "reactive")]
    controls = [("thompson", "acquiring"), ("thompson:discount=.9", "acquiring"), ("locator", "locating")]
    controls += [("reflex", "tracking"), ("uniform", "inert")]
    subjects = [subject(name, name, level, level) for name, level in networks]
    subjects += [subject(name, name, level, level) | {"kind": "scripted"} for name, level in controls]
    for one in subjects:
        one |= {"trained_on": "bank:4@14" if one["subject"] == "net:2" else "unlimited", "recipe": "ppo"}
    return {"subjects": subjects}


@pytest.mark.parametrize(
    ("extra", "k", "n"),
    [
        ("", 1, 3),
        ('kinds = ["scripted"],', 2, 5),
        ('kinds = ["trained", "scripted"],', 3, 8),
        ('trained_on = "unlimited",', 1, 2),
        ('trained_on = "bank",', 0, 1),
        ('family = "bernoulli_bandit", recipe = "ppo",', 1, 3),
        ('recipe = "a2c",', None, None),
    ],
)
def test_controls_are_not_evidence(extra, k, n, tmp_path):
    rule = COUNTED.replace('feeds = "e",', f'feeds = "e", {extra}')
    tally = small(rule).update_from(write_findings(tmp_path, controls_and_networks()), "m")[0]
    assert (tally.k, tally.n) == (k, n)
    assert len(tally.units) == 8
    if not extra:
        assert [u.verdict for u in tally.units].count("does not count") == 5
        assert "label 'unlimited'" in tally.units[0].reason
        (ann,) = [u for u in tally.updates if u.person == "ann"]
        assert ann.posterior[0] == pytest.approx(
            3 / 7 * (q := evidence.find_count_ratio(1, 3, (8, 2), (2, 8))) / (1 + 3 / 7 * q)
        )


@pytest.mark.parametrize(("kinds", "after"), [("", 0.3), ('kinds = ["trained", "scripted"],', 0.1895)])
def test_our_own_controls_would_have_moved_a_belief_to_a_fifth(kinds, after, tmp_path):
    rule = COUNTED.replace('feeds = "e",', f'feeds = "e", {kinds}').replace("if_false = [2, 8]", "if_false = [3, 7]")
    argument = Argument(SMALL.replace('event = "A", value = "30%"', 'event = "A", value = "60%"') + rule)
    tally = argument.update_from(write_findings(tmp_path, controls_and_networks()), "m")[0]
    (ann,) = [u for u in tally.updates if u.person == "ann"]
    assert ann.prior == (0.6, 0.6)
    assert ann.posterior == pytest.approx((after, after), abs=5e-4)


def test_subjects_without_weights_are_not_one_subject(tmp_path):
    data = {"subjects": [subject(f"s{i}", "not available", "acquiring", "acquiring") for i in range(3)]}
    tally = small(COUNTED).update_from(write_findings(tmp_path, data))[0]
    assert (tally.k, tally.n) == (3, 3)
    assert [u.name for u in tally.units] == ["s0", "s1", "s2"]


# a run of the instrument itself

RULES = """[evidence]
carried = { text = "carry matters", about = "A", hypotheses = { ann = { if_true = [8, 2], if_false = [2, 8] } } }
seen = { text = "one network's does", about = "A", lr = { ann = "3", bob = "small amount" } }
above = { text = "placed at acquiring or above", about = "A", lr = { ann = "9" } }
[measures.placed]
feeds = "carried"
kinds = ["scripted"]
placement = "tracking"
measured = "a rule on bandits"
claimed = "large networks"
[measures.probed]
feeds = "seen"
kinds = ["scripted"]
metric = "dependence_on_carry: another lifetime's carry"
above = 0.05
measured = "a rule on bandits"
claimed = "large networks"
[measures.open]
feeds = "above"
kinds = ["scripted"]
placement = "acquiring"
measured = "a rule on bandits"
claimed = "large networks"
"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """What `mesascope examine` writes, less the page."""
    from mesascope.examination import runs
    from mesascope.examination.examination import examine

    found = examine(
        ["greedy"], "bernoulli_bandit:arms=2,trials=7", splits="fresh", metrics="dependence_on_carry", lifetimes=16
    )
    return runs.write_run(found, tmp_path_factory.mktemp("run"), "a test")


def test_a_real_run_moves_whoever_gave_a_ratio_and_nobody_else(run_folder):
    placed, probed, still = small(RULES).update_from(run_folder)
    assert (placed.k, placed.n, probed.k, probed.n) == (1, 1, 1, 1)
    assert (still.k, still.n, still.updates) == (None, None, ())  # so short a run leaves that rung open
    assert [u.status for u in placed.updates] == ["moved", "asked", "asked"]
    odds = 3 / 7 * evidence.find_count_ratio(1, 1, (8, 2), (2, 8))
    assert odds == pytest.approx(3 / 7 * 4)
    assert placed.updates[0].posterior == pytest.approx((odds / (1 + odds),) * 2)
    ann, bob, cy = probed.updates
    assert ann.posterior == pytest.approx((9 / 16, 9 / 16))
    assert ann.target[1] == pytest.approx((9 / 32, 9 / 32))  # through the claim on B given A
    assert bob.ratio == pytest.approx((1.1, 3))
    assert bob.posterior == pytest.approx((0.77 / 1.07, 7 / 8))
    assert (cy.status, cy.posterior) == ("asked", None)
    assert all("claimed: large networks" in t.gap for t in (placed, probed, still))


def test_a_real_run_by_the_command(run_folder, tmp_path):
    from typer.testing import CliRunner

    from mesascope.cruxes.commands import app

    (tmp_path / "own.toml").write_text(SMALL + RULES)
    result = CliRunner().invoke(app, ["update", str(tmp_path / "own.toml"), "--findings", str(run_folder)])
    assert result.exit_code == 0, result.exception
    assert "probed → seen: 1 of 1" in result.stdout
    assert "open → above: no unit counts" in result.stdout
    assert "ann: moved, P(A) 0.3 → 0.5625, likelihood ratio 3, log-odds +1.099\n" in result.stdout
    assert "    and the target: 0.15 → 0.2812\n" in result.stdout
    assert "cy: asked, P(A) (now [0, 1]). the file gives cy no likelihood ratio for seen" in result.stdout
    page = CliRunner().invoke(
        app, ["report", str(tmp_path / "own.toml"), "--findings", str(run_folder), "--out", str(tmp_path / "p.html")]
    )
    assert page.exit_code == 0, page.exception
    assert "seen (1 of 1), ann" in (tmp_path / "p.html").read_text()


def test_a_bare_list_of_findings_and_what_does_not_count(tmp_path):
    data = [finding("s1", "f1"), finding("s2", "f2", 0.3), finding("s3", "f3", status="failed")]
    placement, metric = small(COUNTED).update_from(write_findings(tmp_path, data))
    assert (placement.k, placement.n, placement.updates) == (None, None, ())
    assert (metric.k, metric.n) == (2, 2)
    assert [u.status for u in metric.updates] == ["moved", "asked", "asked"]
    (only,) = small(COUNTED).update_from(tmp_path / "findings.json", "p")
    assert only.measure == "p"


def test_the_thread_asks_everybody_for_their_ratio(tmp_path):
    data = {"subjects": [subject(f"s{i}", f"f{i}", "acquiring", "acquiring") for i in range(3)]}
    argument = cruxes.load_thread()
    tally, carried = argument.update_from(write_findings(tmp_path, data))
    assert (tally.k, tally.n) == (3, 3)
    assert (carried.k, carried.n) == (None, None)  # no finding of the metric
    assert {u.status for u in tally.updates} == {"asked"}
    assert "large networks" in tally.gap
    assert "large networks" in argument.html(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[1]",
        '{"subjects": 3}',
        '{"subjects": [{"subject": "s"}]}',
        "[{}]",
        "null",
        '[{"format": "mesascope-finding/9"}]',
        "[" * 3000,
    ],
)
def test_findings_that_are_none(data, tmp_path):
    (tmp_path / "findings.json").write_text(data)
    with pytest.raises(MesascopeError):
        small(COUNTED).update_from(tmp_path)
    with pytest.raises(MesascopeError):
        findings.read_findings(tmp_path / "nowhere")
