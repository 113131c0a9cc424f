"""Hierarchical fits: the likelihoods against independent computations, and the fits where NumPyro is installed."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from test_logs_participants import simulate

from mesascope.cli.main import run_command
from mesascope.errors import MesascopeError
from mesascope.examination import hierarchical
from mesascope.logs import read_log
from mesascope.questions.procedures import learning_parameters
from mesascope.questions.procedures.histories import read_history


def test_the_likelihood_of_one_stage_is_that_of_the_grid():
    frame = simulate(np.full(4, 0.4), np.full(4, 3.0), np.full(4, 0.5), trials=30)
    frame.loc[::11, "reward"] = np.nan
    frame["forced"] = (frame.trial < 3).astype(int)
    trials, _ = read_log(frame)
    grid = learning_parameters.list_grid_values()
    has_feedback = np.isfinite(trials.feedback.values[0])
    expected = learning_parameters.compute_log_likelihood(read_history(trials), has_feedback)
    expected = expected.reshape(4, *learning_parameters.GRID_SIZES)[:, 5, 9, 7].sum()
    rate, beta, kappa = (np.full(4, values[i]) for values, i in zip(grid.values(), (5, 9, 7), strict=True))
    sticky, stay = (np.asarray(x) for x in hierarchical._make_choice_likelihood(trials, "sticky")([rate, beta, kappa]))
    history = read_history(trials)
    repeats = (history.choice_made * history.last_choice).sum(-1).T
    own = np.where(repeats, stay, 1 - stay)[1:]  # with two choices, the likelihood follows from the probability to stay
    np.testing.assert_allclose(np.log(own)[history.is_present.T[1:]], sticky[1:][history.is_present.T[1:]], rtol=1e-3)
    assert sticky.sum() == pytest.approx(expected, rel=1e-4)
    both = hierarchical._make_choice_likelihood(trials, "two_rates")([rate, rate, beta, kappa])[0].sum()
    assert float(both) == pytest.approx(expected, rel=1e-4)
    plain = hierarchical._make_choice_likelihood(trials, "rescorla_wagner")([rate, beta])[0].sum()
    without = hierarchical._make_choice_likelihood(trials, "sticky")([rate, beta, 0 * kappa])[0].sum()
    assert float(plain) == pytest.approx(float(without))
    other = hierarchical._make_choice_likelihood(trials, "two_rates")([rate, rate / 2, beta, kappa])[0].sum()
    assert float(other) != pytest.approx(expected, rel=1e-3)


def two_step(people=3, trials=25) -> pd.DataFrame:
    rng = np.random.default_rng(9)
    n = people * trials
    frame = pd.DataFrame({"subject": np.repeat(np.arange(people), trials), "choice1": rng.integers(1, 3, n)})
    state = np.where(rng.random(n) < 0.7, frame.choice1, 3 - frame.choice1)
    return frame.assign(choice2=2 * state - rng.integers(0, 2, n), reward=rng.integers(0, 2, n))


def test_the_likelihood_of_two_steps_is_that_of_the_equations():
    frame = two_step()
    trials, _ = read_log(frame)
    rate, trace, weight, beta, second_beta, kappa = 0.3, 0.6, 0.4, 4.0, 3.0, 0.7
    common = float(trials.transition.values.mean())
    total = 0.0
    for _, person in frame.groupby("subject"):  # as Daw et al. 2011 write it
        free, second, last = np.full(2, 0.5), np.full((2, 2), 0.5), None
        for row in person.itertuples():
            a, s, b = row.choice1 - 1, (row.choice2 - 1) // 2, (row.choice2 - 1) % 2
            planned = [common * second[k].max() + (1 - common) * second[1 - k].max() for k in (0, 1)]
            logits = beta * (weight * np.array(planned) + (1 - weight) * free)
            if last is not None:
                logits[last] += kappa
            total += logits[a] - np.log(np.exp(logits).sum())
            total += second_beta * second[s, b] - np.log(np.exp(second_beta * second[s]).sum())
            error = row.reward - second[s, b]
            free[a] += rate * (second[s, b] - free[a]) + rate * trace * error
            second[s, b] += rate * error
            last = a
    values = [np.full(3, x) for x in (rate, trace, weight, beta, second_beta, kappa)]
    assert float(hierarchical._make_two_step_likelihood(trials)(values)[0].sum()) == pytest.approx(total, rel=1e-4)


def test_what_cannot_be_fitted_is_refused(monkeypatch, tmp_path, capsys):
    frame = simulate(np.full(4, 0.4), np.full(4, 3.0), np.zeros(4), trials=10)
    trials, _ = read_log(frame)
    with pytest.raises(MesascopeError, match="no model 'stickie'"):
        hierarchical.fit_hierarchical(trials, "stickie")
    monkeypatch.setitem(sys.modules, "numpyro", None)
    frame.to_csv(tmp_path / "log.csv", index=False)
    assert run_command(["data", "fit", str(tmp_path / "log.csv"), "--out", str(tmp_path / "fit.csv")]) == 2
    assert "pip install 'mesascope[bayes]'" in capsys.readouterr().err


@pytest.mark.slow  # compiles and samples for half a minute
def test_participants_and_populations_are_recovered(tmp_path, capsys):
    pytest.importorskip("numpyro", reason="NumPyro, the extra 'bayes', is not installed")
    rng, people = np.random.default_rng(11), 40
    kappa = rng.normal(np.repeat([0.0, 1.5], 20), 0.4)
    rate, beta = 1 / (1 + np.exp(-rng.normal(-0.4, 0.7, people))), np.exp(rng.normal(1.2, 0.4, people))
    frame = simulate(rate, beta, kappa, trials=100, seed=12)
    frame.assign(group=np.repeat(["a", "b"], 20)[frame.subject]).to_csv(tmp_path / "log.csv", index=False)
    out = tmp_path / "fit.csv"
    assert run_command(["data", "fit", str(tmp_path / "log.csv"), "--draws", "300", "--out", str(out)]) == 0
    assert "b minus a perseveration" in capsys.readouterr().out
    table = pd.read_csv(out)
    assert (table.rhat.dropna() < 1.05).all()
    for pay_off in ("high", "low"):
        observed, predicted = (
            table[table.parameter == f"stay after a {pay_off} pay-off: {kind}"].iloc[0]
            for kind in ("observed", "predicted")
        )
        assert predicted.low < observed.estimate < predicted.high  # the model is the true one
    own = table[table.participant.notna()]
    true = {"learning rate": rate, "inverse temperature": beta, "perseveration": kappa}
    covered = [
        ((rows.low <= v) & (v <= rows.high)).mean() for name, v in true.items() for rows in [own[own.parameter == name]]
    ]
    assert min(covered) > 0.85 and np.mean(covered) > 0.9, covered
    difference = table[(table.group == "b minus a") & (table.parameter == "perseveration")].iloc[0]
    assert difference.low > 0.5 and difference.low < 1.5 < difference.high + 0.5
