"""What was committed before still loads: runs, studies, networks and logs of the first formats, as they were."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mesascope import catalogue, formats
from mesascope.agents.networks import recurrent
from mesascope.agents.networks.network_files import read_header
from mesascope.cli.main import run_command
from mesascope.cruxes.findings import read_findings as read_crux_findings
from mesascope.errors import MesascopeError
from mesascope.examination.logged import measure
from mesascope.examination.runs import read_run, write_run
from mesascope.findings import read_findings
from mesascope.logs import read_log
from mesascope.reproduction.plans import load_study
from mesascope.rollouts.rollouts import rollout
from mesascope.trials import check_trials

DATA = Path(__file__).parent / "data"
ROOT = DATA.parents[1]
OLD_RUN = DATA / "run_v1"  # examine thompson on two arms, four lifetimes, at commit fecbdf0


@pytest.mark.parametrize("listed", ["studies", "networks"])
def test_what_was_committed_is_as_it_was(listed):
    for line in (DATA / f"{listed}.sha256").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((ROOT / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("study", catalogue.list_names("studies"))
def test_every_plan_loads_with_words_of_today(study):
    plan = load_study(study, False, 0)
    assert plan.subjects and plan.quantities
    assert all(q.kind != "probe" for q in plan.quantities)
    assert not any("told=" in cell.recipe for cell in plan.subjects)


def test_a_plan_in_old_words_measures_what_it_asked_for():
    asked = {q.name: q for q in load_study("generality_and_goal", False, 0).quantities}
    kinds = {(q.kind, q.spec.partition(":")[0], q.split) for q in asked.values()}
    assert ("measure", "goal_return", "apart:mark") in kinds, kinds


def test_an_old_run_opens_and_is_written_in_new_words(tmp_path):
    (found,), command = read_run(OLD_RUN)
    assert command.startswith("mesascope examine thompson")
    assert {f.metric for f in found.answers} >= {"benefit", "performance"}
    assert found.trials["fresh"].attrs["split"] == "fresh"
    folder = write_run([found], tmp_path / "new", command)
    assert '"mesascope-finding/2"' in (folder / "findings.json").read_text()
    (again,), _ = read_run(folder)
    assert again.answers == found.answers
    assert again.trials["fresh"].identical(found.trials["fresh"])


def test_old_findings_are_evidence_and_old_trials_are_measured():
    assert [f.metric for f in read_findings(OLD_RUN)] == [
        f["probe"] for f in read_crux_findings(OLD_RUN)[0]["findings"]
    ]
    found = measure(OLD_RUN / "trials.nc", "performance")
    assert found.answers[0].split == "fresh" and found.answers[0].status == "measured"


def test_the_page_of_an_old_run_is_made(tmp_path, capsys):
    assert run_command(["report", str(OLD_RUN), "--out", str(tmp_path / "page.html")]) == 0
    assert "thompson" in (tmp_path / "page.html").read_text()


def test_a_log_is_trials_of_today():
    trials, _ = read_log(DATA / "log_v1.csv")
    assert trials.attrs["format"] == formats.TRIALS_FORMAT and trials.attrs["split"] == "logged"


def test_a_network_of_the_first_format_opens():
    path = recurrent.list_shipped_networks()["memoryless"]
    assert read_header(path)[0]["format"] == "mesascope-network/1"
    told = recurrent.read_metadata(path)
    assert told["observes"] == ["action", "feedback"] and "told" not in told


def test_old_words_are_told_apart_from_values():
    assert formats.rename_old_keys({"ring": "fresh", "of": ["ring"]}) == {"split": "fresh", "of": ["ring"]}
    assert formats.rename_old_settings("ppo_recurrent:told=action,width=3") == "ppo_recurrent:observes=action,width=3"
    assert formats.rename_old_settings("sb3:path=told=1.zip") == "sb3:path=told=1.zip"
    assert formats.rename_old_settings("mine:slow=1,told=2", {"slow"}) == "mine:slow=1,observes=2"
    assert formats.rename_old_settings("cued_bandit:arms=3,rho=1") == "cued_bandit:arms=3,cue_validity=1"
    assert formats.rename_old_settings("coin_grid:rho=1") == "coin_grid:corner_share=1"
    assert formats.rename_old_settings("mine:rho=1") == "mine:rho=1"
    assert not formats.is_old_format("mesascope-trials/3", formats.TRIALS_FORMAT)


ATTRIBUTES = {
    **{"subject": 3, "family": [1], "split": {}, "steps": "two", "parts": 2.5, "changes": True, "counted": "no"},
    **{"digits": "ab", "trained_on": 7, "actions": 3},
}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_of_another_type_is_named_with_what_it_needs_to_be(name):
    trials = rollout("uniform", "bernoulli_bandit:arms=2,trials=4", lifetimes=64)
    with pytest.raises(MesascopeError, match=f"The attribute '{name}' of the trials is .*"):
        check_trials(trials.assign_attrs({name: ATTRIBUTES[name]}))


def test_trials_without_the_name_of_their_subject_are_measured():
    trials = rollout("uniform", "bernoulli_bandit:arms=2,trials=4", lifetimes=64)
    del trials.attrs["subject"]
    found = measure(trials, "performance")
    assert found.subject == "unknown" and found.get_finding("performance").status == "measured"
