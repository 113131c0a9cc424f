"""Lifetimes of families that are not what most are, against the same ones lived another way."""

from __future__ import annotations

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_kinds import Aim, Untraced

from mesascope import catalogue, examine, rollout, trials
from mesascope.errors import MesascopeError
from mesascope.measurement import measure
from mesascope.replays import refuse_leaks, replay
from mesascope.subjects import Response, Scripted
from mesascope.subjects.function import wrap

CONDITIONS = (
    "intact",
    "feedback_shuffled:older_than=0",
    "feedback_shuffled:older_than=2",
    "carry_reset",
    "carry_reset:at=5",
    "carry_frozen:at=4",
    "carry_swapped:at=5",
    "percept_masked",
    "percept_exchanged_once:action=0",
    "carry_exchanged_once:fresh=0",
    "carry_exchanged_once:fresh=1",
)
AIM = Aim("aim", None, 11)


def labelled(labels):
    return [catalogue.make("conditions", label) for label in labels]


class Climber(Scripted):
    """Moves at random from the best action so far."""

    name: str
    step: float

    trained_on: ClassVar = "unlimited"

    def fresh(self, n):
        return {"best": jnp.zeros(n), "paid": jnp.full(n, -jnp.inf)}

    def respond(self, key, carry, percept):
        better = (percept.feedback > carry["paid"]) & ~percept.first
        best = jnp.where(better, percept.action, carry["best"])
        paid = jnp.where(better, percept.feedback, carry["paid"])
        tried = best + self.step * jax.random.normal(key, best.shape)
        return {"best": best, "paid": paid}, Response(tried, None)


def climber(percept, state, rng):
    """The same rule as a function of NumPy arrays."""
    n = len(percept["action"])
    state = {"best": np.zeros(n), "paid": np.full(n, -np.inf)} if state is None else state
    better = (percept["feedback"] > state["paid"]) & ~percept["first"]
    best = np.where(better, percept["action"], state["best"])
    paid = np.where(better, percept["feedback"], state["paid"])
    return best + 0.7 * rng.standard_normal(n), {"best": best, "paid": paid}


def test_real_actions_are_lived_recorded_and_measured(tmp_path):
    lived = rollout(Climber("climber", 0.7), AIM, "fresh", 71, 3, labelled(CONDITIONS))
    assert lived.action.dtype == np.float32 and lived.attrs["actions"] == "real" and "log_probs" not in lived
    score = -((lived.action - lived.target) ** 2)
    at = lived.condition.isin(["intact", "carry_reset"])
    np.testing.assert_allclose(lived.score.sel(condition=at), score.sel(condition=at), atol=1e-5)
    again = trials.open_trials(trials.save({"fresh": lived}, tmp_path / "x.nc"))["fresh"]
    np.testing.assert_array_equal(again.action, lived.action)
    probes = [catalogue.make("probes", p) for p in catalogue.names("probes")]
    found = {f.probe: f for f in measure(probes, {"fresh": lived})}
    failed = {k: f.reason for k, f in found.items() if f.status == "failed"}
    assert not failed
    assert found["exploration"].status == "does not apply" and "real numbers" in found["exploration"].reason
    told = found["dependence_on_carry: a fresh carry"]
    moved = np.minimum(
        abs(lived.action[0] - lived.action.sel(condition="carry_exchanged_once:fresh=1"))
        / lived.action[0].std(),
        1,
    )
    assert told.estimate == pytest.approx(float(moved[:, 1:].mean()), abs=1e-5)
    assert "dependence_on_percept: last action exchanged" not in found


def test_what_exchanges_the_last_action_does_not_apply_to_real_ones():
    with pytest.raises(MesascopeError, match="real numbers"):
        rollout(Climber("climber", 0.7), AIM, "fresh", 7, 3, labelled(["percept_exchanged_once:action=1"]))


def test_real_actions_are_replayed_as_they_were():
    subject = Climber("climber", 0.7)
    lived = rollout(subject, AIM, "fresh", 71, 3)
    np.testing.assert_allclose(replay(subject, lived).action, lived.action[0], atol=1e-5)
    refuse_leaks(subject, AIM)


def test_a_function_may_act_in_real_numbers():
    lived = rollout(wrap(climber, AIM), AIM, "fresh", 64, 3, labelled(CONDITIONS[:4]))
    first, last = (-lived.score.sel(condition="intact")[:, i].mean() for i in (0, -1))
    assert last < 0.7 * first
    with pytest.raises(MesascopeError, match="no number"):
        rollout(wrap(lambda p, s, r: (np.full(64, np.nan), s), AIM), AIM, "fresh", 7)


@pytest.fixture(scope="module")
def bandit():
    return catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")


def test_an_untraced_family_is_lived_as_the_same_one_compiled(bandit):
    """Blocks, donors, partners, keys and conditions are the same, whoever runs them."""
    behind = Untraced(bandit, bandit.name, 3, 11)
    subject = catalogue.make("subjects", "thompson", bandit)
    compiled, looped = (
        rollout(subject, where, "exchanged:reversal", 71, 3, labelled(CONDITIONS), log_probs=True)
        for where in (bandit, behind)
    )
    for name in ("score", "feedback", "action", "partner", "means"):
        np.testing.assert_array_equal(compiled[name], looped[name], err_msg=name)
    np.testing.assert_allclose(compiled.log_probs, looped.log_probs, atol=1e-5)


def test_an_untraced_family_is_examined(bandit, monkeypatch):
    behind = Untraced(bandit, bandit.name, 3, 11)
    monkeypatch.setattr(Untraced, "controls", {"still": "uniform"})
    subject = catalogue.make("subjects", "uniform", bandit)
    (found,) = examine(subject, behind, rings=["fresh"], probes=["benefit", "performance"], lifetimes=64)
    measured = {f.probe for f in found.findings if f.status == "measured"}
    assert measured == {"benefit", "performance"}
    assert found.placement is not None and found.placement.highest == "inert"
