"""Lifetimes of families that are not what most are, against the same ones lived another way."""

from __future__ import annotations

from typing import ClassVar

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_kinds import Aim, Rounds, Tagged, Untraced

from mesascope import catalogue, examine, rollout, trials
from mesascope.agents.function import wrap
from mesascope.contracts import Response, ScriptedSubject, choose, make_first_percept, make_next_percept
from mesascope.errors import MesascopeError
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.spectrum.changes import measure_choice_change
from mesascope.rollouts.leaks import refuse_leaks
from mesascope.rollouts.replays import Replays, replay

CONDITIONS = (
    "intact",
    "feedback_shuffled:older_than=0",
    "feedback_shuffled:older_than=2",
    "carry_reset",
    "carry_reset:trial=5",
    "carry_frozen:trial=4",
    "carry_swapped:trial=5",
    "percept_masked",
    "percept_exchanged_once:action=0",
    "carry_exchanged_once:fresh=0",
    "carry_exchanged_once:fresh=1",
)
AIM = Aim("aim", None, 11)


def labelled(labels):
    return [catalogue.make("conditions", label) for label in labels]


class Climber(ScriptedSubject):
    """Moves at random from the best action so far."""

    name: str
    step: float

    trained_on: ClassVar = "unlimited"

    def initialize_carry(self, n):
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


def test_what_two_splits_share_is_stored_once(tmp_path):
    subjects = ("thompson", "uniform")
    lived = {name: rollout(name, "bernoulli_bandit:arms=2,trials=6", lifetimes=70, seed=3) for name in subjects}
    path = trials.save_trials(lived, tmp_path / "x.nc")
    with h5py.File(path) as file:
        assert "means" in file["thompson"] and not {"means", "best", "partner"} & set(file["uniform"])
    again = trials.open_trials(path)
    assert all(again[name].identical(lived[name]) for name in subjects)


def test_real_actions_are_lived_recorded_and_measured(tmp_path):
    lived = rollout(Climber("climber", 0.7), AIM, "fresh", 71, 3, conditions=labelled(CONDITIONS))
    assert lived.action.dtype == np.float32 and lived.attrs["actions"] == "real" and "log_probs" not in lived
    score = -((lived.action - lived.target) ** 2)
    at = lived.condition.isin(["intact", "carry_reset"])
    np.testing.assert_allclose(lived.score.sel(condition=at), score.sel(condition=at), atol=1e-5)
    again = trials.open_trials(trials.save_trials({"fresh": lived}, tmp_path / "x.nc"))["fresh"]
    np.testing.assert_array_equal(again.action, lived.action)
    metrics = [catalogue.make("metrics", p) for p in catalogue.list_names("metrics")]
    found = {f.metric: f for f in apply_metrics(metrics, {"fresh": lived})}
    failed = {k: f.reason for k, f in found.items() if f.status == "failed"}
    assert not failed
    assert found["exploration"].status == "does not apply" and "real numbers" in found["exploration"].reason
    told = found["dependence_on_carry: a fresh carry"]
    moved = np.minimum(
        abs(lived.action[0] - lived.action.sel(condition="carry_exchanged_once:fresh=1")) / lived.action[0].std(), 1
    )
    assert told.estimate == pytest.approx(float(moved[:, 1:].mean()), abs=1e-5)
    assert "dependence_on_percept: last action exchanged" not in found


def test_what_exchanges_the_last_action_does_not_apply_to_real_ones():
    with pytest.raises(MesascopeError, match="real numbers"):
        rollout(Climber("climber", 0.7), AIM, "fresh", 7, 3, conditions=labelled(["percept_exchanged_once:action=1"]))


def test_real_actions_are_replayed_as_they_were():
    subject = Climber("climber", 0.7)
    lived = rollout(subject, AIM, "fresh", 71, 3)
    np.testing.assert_allclose(replay(subject, lived).action, lived.action[0], atol=1e-5)
    refuse_leaks(subject, AIM)


def test_a_function_may_act_in_real_numbers():
    lived = rollout(wrap(climber, AIM), AIM, "fresh", 64, 3, conditions=labelled(CONDITIONS[:4]))
    first, last = (-lived.score.sel(condition="intact")[:, i].mean() for i in (0, -1))
    assert last < 0.7 * first
    with pytest.raises(MesascopeError, match="not a number"):
        rollout(wrap(lambda p, s, r: (np.full(64, np.nan), s), AIM), AIM, "fresh", 7)


@pytest.fixture(scope="module")
def bandit():
    return catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")


def test_an_untraced_family_is_lived_as_the_same_one_compiled(bandit):
    """Blocks, donors, partners, keys and conditions are the same, whoever runs them."""
    behind = Untraced(bandit, bandit.name, 3, 11)
    subject = catalogue.make("subjects", "thompson", bandit)
    compiled, looped = (
        rollout(
            subject, where, "exchanged:reversal", 71, 3, conditions=labelled(CONDITIONS), should_keep_log_probs=True
        )
        for where in (bandit, behind)
    )
    for name in ("score", "feedback", "action", "partner", "means"):
        np.testing.assert_array_equal(compiled[name], looped[name], err_msg=name)
    np.testing.assert_allclose(compiled.log_probs, looped.log_probs, atol=1e-5)


def test_what_leaves_a_looped_life_undisturbed_shares_it(bandit, monkeypatch):
    """Each reads as it does alone, and no response is asked for twice; unless the subject would rather go in turn."""
    asked = []

    def counting(percept, state, rng):
        asked.append(1)
        before = np.zeros((64, 3)) if state is None else state
        after = before + np.eye(3)[percept["action"]] * percept["feedback"][:, None]
        return np.where(percept["trial"] % 2, after.argmax(-1), rng.integers(0, 3, 64)), after

    subject = wrap(counting, bandit)
    once = ("carry_exchanged_once:fresh=0", "carry_rebuilt_once:window=0", "percept_swapped_once")
    asked.clear()
    lived = rollout(subject, bandit, "fresh", 7, 3, conditions=labelled(["intact", "carry_reset:trial=5", *once]))
    assert len(asked) == 11 * (1 + 1 + len(once))
    for label in once:
        alone = rollout(subject, bandit, "fresh", 7, 3, conditions=labelled([label])).sel(condition=label)
        for name in ("action", "feedback", "score", "partner"):
            np.testing.assert_array_equal(lived[name].sel(condition=label), alone[name], err_msg=name)
    assert (lived.action.sel(condition=once[0]) != lived.action.sel(condition="intact")).any()
    monkeypatch.setattr(type(subject), "is_asked_in_turn", True)
    asked.clear()
    apart = rollout(subject, bandit, "fresh", 7, 3, conditions=labelled(["intact", "carry_reset:trial=5", *once]))
    assert len(asked) == 11 * (1 + 1 + 2 * len(once))  # each has a life of its own, and the disturbed responses
    for name in ("action", "feedback", "score", "partner"):
        np.testing.assert_array_equal(lived[name], apart[name], err_msg=name)


def test_an_untraced_family_is_examined(bandit, monkeypatch):
    behind = Untraced(bandit, bandit.name, 3, 11)
    monkeypatch.setattr(Untraced, "controls", {"still": "uniform"})
    subject = catalogue.make("subjects", "uniform", bandit)
    found = examine(subject, behind, splits=["fresh"], metrics=["benefit", "performance"], lifetimes=64)
    measured = {f.metric for f in found.answers if f.status == "measured"}
    assert measured == {"benefit", "performance"}
    assert found.placement is not None and found.placement.highest == "inert"


class Ledger(ScriptedSubject):
    """Writes down what it was paid, and when; acts by a fixed rule on all of it."""

    name: str
    ticks: int

    trained_on: ClassVar = "unlimited"

    def initialize_carry(self, n):
        return jnp.zeros((n, self.ticks))

    def respond(self, key, carry, percept):
        at = jnp.floor(percept.feedback).astype(jnp.int32) - 1  # Tagged says when it paid
        carry = jnp.where(
            (jnp.arange(self.ticks) == at[:, None]) & ~percept.first[:, None], percept.feedback[:, None], carry
        )
        odds = jnp.stack([jnp.sin(carry.sum(-1)), jnp.cos(carry.sum(-1)), jnp.sin(2 + percept.step)], -1)
        return carry, choose(key, jax.nn.log_softmax(5 * odds))

    def read_taps(self, carry):
        return {"ledger": carry}


class Fixed(ScriptedSubject):
    """Counts what each action paid and takes the best, by a rule that draws nothing and asks for no index."""

    name: str

    trained_on: ClassVar = "unlimited"

    def initialize_carry(self, n):
        return jnp.zeros((n, 3))

    def respond(self, key, carry, percept):
        paid = jnp.where(percept.action >= 0, percept.feedback - 0.4, 0.0)[:, None]
        carry = 0.9 * carry + paid * jax.nn.one_hot(percept.action, 3)
        return carry, Response((carry + 0.01 * jnp.arange(3)).argmax(-1).astype(jnp.int32), jax.nn.log_softmax(carry))


class Sure(Aim):
    """A bandit without luck: an action's pay-off is fixed by the task and the trial, whatever is drawn."""

    def draw(self, key, n):
        return jax.random.uniform(key, (n, self.horizon, 3))

    def begin(self, key, tasks):
        return jnp.zeros(len(tasks), jnp.int32), make_first_percept(jnp.zeros((len(tasks), 0)))

    def step(self, key, tasks, state, action):
        score = tasks[jnp.arange(len(action)), state, action]
        return state + 1, make_next_percept(jnp.zeros((len(action), 0)), action, score, state + 1), score

    def compute_latents(self, tasks, split):
        tasks = np.asarray(tasks)
        return {"chance": tasks.mean(-1), "best": tasks.max(-1), "worst": tasks.min(-1), "fixed": tasks.mean(-1)}


def test_steps_that_nobody_lives_change_nothing():
    """A trial of one step and a trial of three that is over after the first are the same, under every condition."""
    plain = Sure("sure", 3, 11)
    padded = Rounds(plain, "padded", 3, 11, 3, (1,) * 11)
    labels = [c for c in CONDITIONS if "masked" not in c]
    one, other = (rollout(Fixed("fixed"), f, "fresh", 71, 3, conditions=labelled(labels)) for f in (plain, padded))
    assert (other.n_steps == 1).all() and other.attrs["steps"] == 3
    assert (other.action[..., 1:] == -1).all() and other.log_probs[..., 1:, :].isnull().all()
    np.testing.assert_array_equal(other.action[..., 0], one.action)
    for name in ("score", "feedback", "partner", "chance", "best"):
        np.testing.assert_array_equal(other[name], one[name], err_msg=name)


def test_rounds_of_trials_are_the_trials_in_rounds():
    """Twelve trials in a row and four rounds of three of them differ in nothing but how they are counted."""
    plain = catalogue.make("families", "bernoulli_bandit:arms=3,trials=12")
    rounds = Rounds(plain, "rounds", 3, 4, 3, (0,) * 4)
    subject = catalogue.make("subjects", "thompson", plain)
    labels = ("percept_exchanged_once:action=0", "percept_exchanged_once:action=1", "carry_exchanged_once:fresh=1")
    one = rollout(subject, plain, "fresh", 71, 3, conditions=labelled(["intact", *labels, "carry_reset:trial=6"]))
    other = rollout(subject, rounds, "fresh", 71, 3, conditions=labelled(["intact", *labels, "carry_reset:trial=2"]))
    np.testing.assert_array_equal(other.action.values.reshape(one.action.shape), one.action)
    for name in ("score", "feedback"):
        total = one[name].values.reshape(*other.score.shape, 3).sum(-1)
        np.testing.assert_allclose(other[name], total, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(other.chance, one.chance.values.reshape(71, 4, 3).sum(-1), rtol=1e-6)
    forced = replay(subject, other)
    np.testing.assert_array_equal(forced.action, other.action.sel(condition="intact"))
    for label in labels:  # what a metric reads of single steps is what it reads of the trials
        np.testing.assert_allclose(measure_choice_change(other, label), measure_choice_change(one, label), atol=1e-5)


TAGGED = Tagged("tagged", 3, 5)
EVERY = (
    *CONDITIONS[:4],
    "feedback_shuffled:older_than=1,replicate=1",
    "carry_reset:trial=2",
    "carry_frozen:trial=2",
    *CONDITIONS[8:],
)


@pytest.fixture(scope="module")
def tagged():
    return rollout(Ledger("ledger", 15), TAGGED, "fresh", 71, 3, conditions=labelled(EVERY), recorded_taps=["ledger"])


def test_an_untraced_family_with_steps_is_lived_as_the_same_one_compiled(tagged):
    looped = rollout(
        Ledger("ledger", 15),
        Untraced(TAGGED, "tagged", 3, 5),
        "fresh",
        71,
        3,
        conditions=labelled(EVERY),
        recorded_taps=["ledger"],
    )
    for name in set(tagged.data_vars) - {"log_probs", "tap_ledger"}:
        np.testing.assert_array_equal(tagged[name], looped[name], err_msg=str(name))
    there = (tagged.action >= 0).values
    np.testing.assert_allclose(tagged.tap_ledger.values[there], looped.tap_ledger.values[there], atol=1e-5)
    np.testing.assert_allclose(tagged.log_probs, looped.log_probs, atol=1e-5)


def test_idle_lifetimes_stand_still(tagged):
    intact = tagged.sel(condition="intact")
    there = np.arange(3) < tagged.ends.values.astype(int)[..., None]
    np.testing.assert_array_equal(intact.action.values >= 0, there)
    np.testing.assert_array_equal(intact.n_steps, tagged.ends)
    paid = np.where(there, 1 + np.arange(15).reshape(5, 3) + tagged.tag.values[:, None, None], 0)
    np.testing.assert_allclose(intact.step_feedback, paid, rtol=1e-6)
    np.testing.assert_allclose(intact.feedback, paid.sum(-1), rtol=1e-6)
    np.testing.assert_allclose(intact.score, (paid + np.where(there, intact.action, 0)).sum(-1), rtol=1e-6)
    seen = intact.tap_ledger.values  # [N, T, S, tick]: all that was paid before the step, and nothing else
    flat = paid.reshape(71, 15)
    before = np.arange(15) < np.arange(15).reshape(5, 3)[..., None]
    expected = np.where(before, flat[:, None, None, :], 0)
    np.testing.assert_allclose(np.where(there[..., None], seen, 0), np.where(there[..., None], expected, 0), rtol=1e-6)
    np.testing.assert_array_equal(replay(Ledger("ledger", 15), tagged).action[there], intact.action.values[there])


@pytest.mark.parametrize("w", [0, 1, 2])
def test_feedback_of_whole_trials_is_shuffled(tagged, w):
    """Older than w trials is a donor's, of one donor for a trial; what w trials and the running one told is true."""
    label = next(c for c in tagged.condition.values if c.startswith(f"feedback_shuffled:older_than={w},"))
    seen, tags = tagged.tap_ledger.sel(condition=label).values, tagged.tag.values
    ends, there = tagged.ends.values.astype(int), tagged.action.sel(condition=label).values >= 0
    lent = 0
    for n in range(71):
        for t in range(5):
            for s in range(ends[n, t]):
                ledger = seen[n, t, s].reshape(5, 3)
                assert there[n, t, s]
                for past in range(5):
                    length = ends[n, past] if past < t else s if past == t else 0
                    assert (ledger[past, length:] == 0).all()
                    got = ledger[past, :length]
                    own = 1 + 3 * past + np.arange(length) + tags[n]
                    if past >= t - w:
                        np.testing.assert_allclose(got, own, rtol=1e-6)
                        continue
                    paid = got[got > 0]  # the donor's trial may have been the shorter one
                    assert len(paid) and (np.abs(paid - np.floor(paid) - tags[n]) > 1e-6).all()
                    assert np.ptp(paid - np.arange(len(paid))) < 1e-5
                    lent += 1
    assert lent > 300


def test_trials_with_steps_are_measured_and_kept(tagged, tmp_path):
    again = trials.open_trials(trials.save_trials({"fresh": tagged}, tmp_path / "x.nc"))["fresh"]
    np.testing.assert_array_equal(again.action, tagged.action)
    assert again.attrs == tagged.attrs and len(tagged.to_dataframe())
    metrics = [catalogue.make("metrics", p) for p in catalogue.list_names("metrics")]
    found = apply_metrics(metrics, {"fresh": tagged}, replay=Replays(Ledger("ledger", 15)))
    assert not {f.metric: f.reason for f in found if f.status == "failed"}
    lacking = {f.metric for f in found if f.status == "does not apply" and "several steps" in f.reason}
    assert {"exploration", "acts_like", "belief_decoding"} <= lacking
    with pytest.raises(MesascopeError, match="n_steps"):
        trials.check_trials(tagged.drop_vars("n_steps"))
    refuse_leaks(Ledger("ledger", 15), TAGGED)


def test_a_leak_is_found_in_trials_with_steps():
    def leaky(percept, state, rng):
        return np.full(64, int(percept["feedback"].sum() * 1000) % 3), None

    with pytest.raises(MesascopeError, match="other lifetimes in its block"):
        refuse_leaks(wrap(leaky, TAGGED), TAGGED)
