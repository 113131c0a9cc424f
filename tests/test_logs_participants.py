"""What is found of every participant and of groups: values, intervals, contrasts, files and the page."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mesascope import open_run
from mesascope.cli.main import run_command
from mesascope.examination.logged import measure

TRUE = {"learning rate": 0.4, "inverse temperature": 5.0, "perseveration": 0.5}


def simulate(rates, betas, kappas, trials=150, seed=0) -> pd.DataFrame:
    """Choices of Rescorla-Wagner learners between two arms that pay 1 with probabilities .7 and .3."""
    rng, people = np.random.default_rng(seed), len(rates)
    value, last, rows = np.full((people, 2), 0.5), np.zeros((people, 2)), []
    best = rng.integers(0, 2, people)
    everyone = np.arange(people)
    for t in range(trials):
        best = 1 - best if t == trials // 2 else best
        logits = betas[:, None] * value + kappas[:, None] * last
        p = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        choice = (rng.random(people) < p).astype(int)
        paid = (rng.random(people) < np.where(choice == best, 0.7, 0.3)).astype(int)
        value[everyone, choice] += rates * (paid - value[everyone, choice])
        last = np.eye(2)[choice]
        rows += [(i, t, int(choice[i]), int(paid[i])) for i in everyone]
    return pd.DataFrame(rows, columns=["subject", "trial", "choice", "reward"])


def values_of(examination, metric):
    return pd.DataFrame([v for v in examination.participants if v.metric == metric])


def test_parameters_of_participants_are_recovered_with_intervals_that_cover():
    rng, people = np.random.default_rng(4), 100
    true = {
        "learning rate": stats.beta(1.1, 1.1).rvs(people, random_state=rng),
        "inverse temperature": stats.gamma(1.2, scale=5).rvs(people, random_state=rng),
        "perseveration": stats.norm().rvs(people, random_state=rng),
    }
    found = measure(simulate(*true.values(), trials=100, seed=5), "learning_parameters")
    covered = []
    for name, values in true.items():
        rows = values_of(found, f"learning_parameters: {name}")
        assert rows.participant.tolist() == list(range(people))
        covered.append((rows.low <= values) & (values <= rows.high))
        assert np.corrcoef(rows.estimate, values)[0, 1] > 0.6, name
    rates = np.mean(covered, 1)
    assert (rates > 0.90).all() and 0.92 < np.mean(rates) < 0.98, rates
    group = found.get_finding("learning_parameters: learning rate")
    assert (group.n, group.unit) == (people, "participant")


def test_intervals_of_participants_cover_their_own_rates():
    rng, people, trials = np.random.default_rng(6), 120, 100
    stay = rng.uniform(0.2, 0.8, people)  # after a win; after a loss, one half
    rows = []
    for i in range(people):
        choice, paid = 0, 1
        for t in range(trials):
            choice = choice if rng.random() < (stay[i] if paid else 0.5) else 1 - choice
            paid = int(rng.random() < 0.5)
            rows.append((i, t, choice, paid))
    frame = pd.DataFrame(rows, columns=["subject", "trial", "choice", "reward"])
    own = values_of(measure(frame, "stay_by_feedback"), "stay_by_feedback")
    assert own.estimate.mean() == pytest.approx((stay - 0.5).mean(), abs=0.02)
    covered = ((own.low <= stay - 0.5) & (stay - 0.5 <= own.high)).mean()
    assert 0.91 < covered < 0.995, covered


def test_groups_are_contrasted_with_participants_as_units():
    people = 24
    groups = np.repeat(["control", "patient"], people // 2)
    kappas = np.where(groups == "patient", 1.5, 0.0)
    frame = simulate(np.full(people, 0.4), np.full(people, 3.0), kappas, trials=80)
    found = measure(frame.assign(group=groups[frame.subject]), ["learning_parameters", "stay_by_feedback"])
    contrast = found.get_finding("learning_parameters: perseveration, patient minus control")
    assert contrast.low > 0.5 and contrast.high < 2.5
    assert (contrast.n, contrast.unit) == (people, "participant")
    assert contrast.reason == "12 and 12 participants, Welch"
    own = values_of(found, "learning_parameters: perseveration").groupby("group").estimate.mean()
    assert contrast.estimate == pytest.approx(own["patient"] - own["control"])
    assert found.get_finding("stay_by_feedback: patient minus control").status == "measured"
    drug = frame[frame.subject < 6].assign(session=lambda f: f.trial // 40, trial=lambda f: f.trial % 40)
    drug["group"] = np.where(drug.session == 0, "placebo", "drug")
    paired = measure(drug, "stay_by_feedback").get_finding("stay_by_feedback: placebo minus drug")
    assert (paired.n, paired.reason) == (6, "paired participants")


def test_equal_groups_are_told_apart_in_one_of_twenty():
    from mesascope.stats import compute_contrast

    rng = np.random.default_rng(8)
    p = [compute_contrast(rng.normal(0, 1, 12), rng.normal(0, 2, 20), False).p[0] for _ in range(1500)]
    assert 0.04 < np.mean(np.array(p) < 0.05) < 0.06
    power = np.mean(
        [compute_contrast(rng.normal(1, 1, 20), rng.normal(0, 1, 20), False).p[0] < 0.05 for _ in range(400)]
    )
    assert 0.82 < power < 0.91  # .87 by the noncentral t distribution


def test_the_files_and_the_page_have_a_row_for_every_participant(tmp_path, capsys):
    frame = simulate(np.full(6, 0.4), np.full(6, 4.0), np.zeros(6), trials=40)
    frame.assign(group=np.repeat(["a", "b"], 3)[frame.subject]).to_csv(tmp_path / "log.csv", index=False)
    out = tmp_path / "run"
    metrics = "acts_like,learning_parameters,stay_by_feedback,adaptation"
    assert run_command(["measure", str(tmp_path / "log.csv"), "--metrics", metrics, "--out", str(out)]) == 0
    with (out / "findings.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["participant"]]
    stays = [row for row in rows if row["metric"] == "stay_by_feedback"]
    assert [(row["participant"], row["group"]) for row in stays] == [(str(i), "ab"[i // 3]) for i in range(6)]
    assert all(float(row["low"]) <= float(row["estimate"]) <= float(row["high"]) for row in stays)
    names = {row["metric"] for row in rows}
    assert {"adaptation", "acts_like: nearest procedure, above chance", "learning_parameters: learning rate"} <= names
    back = open_run(out)
    assert len(back.participants) == len(rows)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Values of each participant" in page
    assert f"{float(stays[0]['estimate']):.3f} <small>[{float(stays[0]['low']):.3f}" in page
    assert run_command(["report", str(out), "--json"]) == 0


# errors of exploration and of exploitation

EXPLORATION = "exploration_errors: not found (exploration)"
EXPLOITATION = "exploration_errors: found and not taken (exploitation)"


def scripted(choices) -> pd.DataFrame:
    """Three lifetimes with the same choices between arms that pay .2 and .8 every time."""
    rows = [(i, t, c, (0.2, 0.8)[c], 0.2, 0.8) for i in range(3) for t, c in enumerate(choices)]
    return pd.DataFrame(rows, columns=["subject", "trial", "choice", "reward", "mean_0", "mean_1"])


def test_errors_of_exploration_are_told_from_those_of_exploitation():
    late = measure(scripted([0] * 9 + [1] * 11), ["exploration_errors", "regret"])  # finds the better arm late
    lax = measure(scripted([1] + [0] * 9 + [1] * 10), ["exploration_errors", "regret"])  # knows it and leaves it
    for found in (late, lax):  # nothing else differs
        assert found.get_finding("regret: against the best choice").estimate == pytest.approx(9 * 0.6, abs=1e-5)
        realised = "regret: realised, the best choice's expected pay-off minus the feedback"
        assert found.get_finding(realised).estimate == pytest.approx(9 * 0.6, abs=1e-5)
    assert 20 * late.get_finding(EXPLORATION).estimate == pytest.approx(0.3 + 8 * 0.6 + 0.6, abs=1e-5)
    assert 20 * late.get_finding(EXPLOITATION).estimate == pytest.approx(0.3 - 0.6, abs=1e-5)
    assert 20 * lax.get_finding(EXPLORATION).estimate == pytest.approx(0.3, abs=1e-5)
    assert 20 * lax.get_finding(EXPLOITATION).estimate == pytest.approx(-0.3 + 9 * 0.6, abs=1e-5)


def test_the_halves_of_the_cross_validation_share_no_participant():
    from mesascope.logs import read_log
    from mesascope.questions.procedures.acts_like import order_by_participant

    frame = simulate(np.full(7, 0.4), np.full(7, 4.0), np.zeros(7), trials=60)
    one, _ = read_log(frame)
    assert order_by_participant(one).tolist() == list(range(7))
    trials, _ = read_log(frame.assign(block=frame.trial // 10))
    order = order_by_participant(trials)
    owner = trials.participant.values[order]
    assert len(set(order.tolist())) == len(order) == 37  # of 42: four participants against three
    assert not set(owner[::2]) & set(owner[1::2])
    assert len(set(owner[:7])) == 7  # the first lifetimes are those of all participants
    found = measure(frame.assign(block=frame.trial // 10), "acts_like")
    nearest = found.get_finding("acts_like: nearest procedure, above chance")
    assert (nearest.n, nearest.unit) == (7, "participant")
