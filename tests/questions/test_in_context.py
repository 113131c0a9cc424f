"""Metrics of in-context prediction on procedures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from mesascope.catalogue import make
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.in_context.context_phase import describe_phase
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout

METRICS = ("error_by_context", "distance_to_procedures", "between_procedures", "context_phase")


def asked(who, spec="linear_regression:dimension=3,trials=11,bank=5", trained_on=None):
    home = make("families", spec)
    subject = make("subjects", who, home)
    splits = {r: rollout(subject, home, r, 64, 1) for r in ("seen", "fresh", "shifted:scaled_x")}
    for lived in splits.values():
        lived.attrs["trained_on"] = trained_on or subject.trained_on
    found = apply_metrics([make("metrics", p) for p in METRICS], splits, replay=Replays(subject))
    return {(f.metric, f.split): f for f in found}


def test_the_locator_is_at_the_locator():
    found = asked("dmmse")
    for split in ("seen", "fresh", "shifted:scaled_x"):
        assert found["distance_to_procedures: dmmse", split].estimate == pytest.approx(0, abs=1e-6)
        assert found["between_procedures", split].estimate == pytest.approx(0, abs=1e-4)
    assert "dmmse, on shifted inputs too" in found["distance_to_procedures: dmmse", "fresh"].reason
    half = "between_procedures: 0.5 of the way between two tasks of its bank"
    assert found[half, "seen"].estimate == pytest.approx(0, abs=1e-4)
    assert found[f"{half}, distance to ridge", "seen"].estimate > 0.1
    assert found["context_phase: fall of the error", "seen"].reason.startswith("identifies")


def test_ridge_is_at_the_learner_and_errs_less_with_every_pair():
    found = asked("ridge", trained_on="bank:5@0")
    for split in ("seen", "fresh", "shifted:scaled_x"):
        assert found["between_procedures", split].estimate == pytest.approx(1, abs=1e-4)
    left = [found[f"error_by_context: after {k}", "fresh"].estimate for k in (0, 1, 2, 4, 10)]
    assert left[0] == pytest.approx(1) and (np.diff(left) < 0).all()
    assert found["context_phase: fall of the error", "fresh"].low > 0.8
    assert found["context_phase: fall of the error", "fresh"].reason.startswith("acquires")


def test_metrics_do_not_apply_where_nothing_says_what_was_right():
    home = make("families", "bernoulli_bandit:arms=3,trials=12,bank=2")
    splits = {"fresh": rollout(make("subjects", "thompson", home), home, "fresh", 64, 1)}
    for finding in apply_metrics([make("metrics", p) for p in METRICS], splits):
        assert finding.status == "does not apply"


def test_the_phases_by_their_signs():
    up, none, born = np.full(9, 0.8), np.zeros(9), np.full(9, 0.3)
    assert describe_phase({"seen": none, "fresh": none}, {"seen": born}).startswith("memorises")
    assert describe_phase({"seen": up, "fresh": none}, {"seen": born}).startswith("identifies")
    assert describe_phase({"seen": up, "fresh": up}, {"seen": born}).startswith("acquires")
    assert describe_phase({"seen": none, "fresh": none}, {"seen": np.ones(9)}).startswith("none of these")
