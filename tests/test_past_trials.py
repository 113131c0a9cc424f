"""Deleting and transplanting older trials of several steps: what a subject then knows, and how it is read.

The right values were written down before the first run.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_kinds import Tagged, Untraced

import mesascope
from mesascope import make, rollout
from mesascope.contracts import ScriptedSubject, choose
from mesascope.questions.spectrum.carried import measure_carry_effects
from mesascope.worlds.mdp.episodes import compute_action_values, evaluate_policy

DELETED = ("past_deleted_once:window=1,birth=0", "past_deleted_once:window=2,birth=1")
TRANSPLANTED = ("past_transplanted_once:window=1,replicate=0", "past_transplanted_once:window=2,replicate=1")
LABELS = ["intact", *DELETED, *TRANSPLANTED, "past_deleted:window=1,birth=0", "past_deleted:window=2,birth=1"]
TRIALS, STEPS = 5, 3


class Judged(Tagged):
    """Says what first acts are worth: the number of the act times the task's tag."""

    def compute_action_values(self, tasks, split, observation, action):
        action = action[..., None] if action.ndim == 2 else action
        return (action - 1.0) * np.asarray(tasks["tag"])


class Ledger(ScriptedSubject):
    """Writes down what it was paid at which tick, how often it was told of no pay-off, and of how many births."""

    def initialize_carry(self, n):
        return jnp.zeros((n, TRIALS * STEPS + 2))

    def respond(self, key, carry, percept):
        ticks = jnp.arange(TRIALS * STEPS + 2)
        at = jnp.where(percept.action < 0, TRIALS * STEPS, jnp.floor(percept.feedback).astype(jnp.int32) - 1)
        carry = jnp.where(
            ticks == at[:, None], jnp.where(percept.action < 0, carry[:, -2] + 1, percept.feedback)[:, None], carry
        )
        carry = carry.at[:, -1].add(percept.first)
        odds = jnp.stack([jnp.sin(carry.sum(-1)), jnp.cos(carry.sum(-1)), jnp.sin(2.0 + percept.step)], -1)
        return carry, choose(key, jax.nn.log_softmax(5 * odds))

    def read_taps(self, carry):
        return {"ledger": carry}


HOME = Judged("judged", 3, TRIALS)


@pytest.fixture(scope="module")
def trials():
    return rollout(Ledger(name="ledger"), HOME, "fresh", 64, 3, conditions=LABELS, recorded_taps=["ledger"])


def payments(trials):
    """[N, T, S] what every step paid, 0 where it was not lived."""
    there = np.arange(STEPS) < trials.ends.values.astype(int)[..., None]
    return np.where(there, 1 + np.arange(15).reshape(TRIALS, STEPS) + trials.tag.values[:, None, None], 0)


def known(trials, label, t):
    """What the ledger holds after the first percept of trial t: payments [N, T, S], absent outcomes, births [N]."""
    ledger = trials.tap_ledger.sel(condition=label).values[:, t, 0]
    return ledger[:, :15].reshape(-1, TRIALS, STEPS), ledger[:, 15], ledger[:, 16]


@pytest.mark.parametrize("label", LABELS[1:])
def test_whole_trials_are_known_or_not(trials, label):
    w, paid, partner = int(label.split("window=")[1][0]), payments(trials), trials.partner.sel(condition=label).values
    for t in range(TRIALS):
        expected, older = paid.copy(), max(t - w, 0) if t >= w else 0
        expected[:, t:] = 0
        if t >= w:
            expected[:, :older] = paid[partner[:, t], :older] if "transplanted" in label else 0
        told, absent, births = known(trials, label, t)
        np.testing.assert_allclose(told, expected, rtol=1e-6)
        np.testing.assert_array_equal(absent, 1)  # the first percept of the life, or the first one after the cut
        born = t <= w or "transplanted" in label or "birth=1" in label
        np.testing.assert_array_equal(births, born)


def test_only_first_steps_are_disturbed(trials):
    own = trials.action.sel(condition="intact").values
    for label in (*DELETED, *TRANSPLANTED):
        there = trials.action.sel(condition=label).values
        np.testing.assert_array_equal(there[..., 1:], own[..., 1:])
        assert (there[:, 3:, 0] != own[:, 3:, 0]).any()


def test_first_acts_are_judged(trials):
    own, tag = trials.action.sel(condition="intact").values[..., 0], trials.tag.values[:, None]
    np.testing.assert_allclose(trials.act_worth, (own - 1) * tag, rtol=1e-6)
    np.testing.assert_allclose(trials.act_room, np.broadcast_to(tag, own.shape), rtol=1e-6)
    for label in DELETED:
        act = trials.action.sel(condition=label).values[..., 0]
        np.testing.assert_allclose(trials.score.sel(condition=label) - trials.chance, (act - 1) * tag, rtol=1e-6)
    assert trials.score.sel(condition=LABELS[-1]).values.mean() > 5  # of whole trials


def test_untraced_trials_are_the_same(trials):
    class Looped(Untraced):
        def compute_action_values(self, tasks, split, observation, action):
            return self.inner.compute_action_values(tasks, split, observation, action)

    looped = Looped(HOME, "judged", 3, TRIALS)
    looped = rollout(Ledger(name="ledger"), looped, "fresh", 64, 3, conditions=LABELS, recorded_taps=["ledger"])
    for name in set(trials.data_vars) - {"log_probs", "tap_ledger"}:
        np.testing.assert_array_equal(trials[name], looped[name], err_msg=str(name))
    np.testing.assert_allclose(trials.tap_ledger.values, looped.tap_ledger.values, atol=1e-5)


# trials of three steps, twelve of them: a reflex may depend on two, and psrl:memory=2 does
PROCESS = "tabular_mdp:states=3,actions=3,steps=3,trials=12"
CARRIED = [
    "intact",
    *(f"past_deleted_once:window={w},birth={b}" for w in (1, 2) for b in (0, 1)),
    *(f"past_transplanted_once:window=2,replicate={r}" for r in (0, 1)),
]


class WithinTrial(ScriptedSubject):
    """Repeats an action of this trial that paid more than 1; remembers nothing of earlier trials but a clock."""

    def initialize_carry(self, n):
        return jnp.zeros(n, jnp.int32), jnp.full(n, -1)

    def respond(self, key, carry, percept):
        clock, good = carry
        good = jnp.where(percept.step == 0, -1, jnp.where(percept.feedback > 1, percept.action, good))
        odds = jnp.where((good < 0)[:, None], jax.nn.one_hot(clock % 3, 3), 9 * jax.nn.one_hot(good, 3))
        return (clock + 1, good), choose(key, jax.nn.log_softmax(odds))


def carried(subject, family, lifetimes=128):
    """Deletion and transplant, each with its standard error."""
    found = measure_carry_effects(rollout(subject, family, lifetimes=lifetimes, seed=7, conditions=CARRIED), 2)
    return [(x.mean(), x.std() / np.sqrt(len(x))) for x in (found.deletion, found.transplant)]


# tests/worlds/test_dark_room.py carries trials of several steps too
PSRL = [
    pytest.param("psrl", True, marks=pytest.mark.slow),
    pytest.param("psrl:memory=2", False, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("subject", "acquires"), [*PSRL, ("within", False)])
def test_a_learner_carries_older_trials_and_a_window_does_not(subject, acquires):
    subject = WithinTrial(name="within trial") if subject == "within" else subject
    (deletion, deletion_error), (transplant, transplant_error) = carried(subject, PROCESS)
    if acquires:
        assert deletion - 0.05 > 3 * deletion_error and transplant - 0.05 > 3 * transplant_error
    else:
        assert abs(deletion) < 0.02 and abs(transplant) < 3 * transplant_error
        assert subject != "psrl:memory=2" or abs(deletion) < 1e-6  # exactly what it knows is kept


class Recalls(ScriptedSubject):
    """Walks to where the coin lay at its birth, or in the first percept that is marked as one."""

    def initialize_carry(self, n):
        return jnp.zeros((n, 2), jnp.int32)

    def respond(self, key, carry, percept):
        row, column, *coin = (x.argmax(-1) for x in jnp.split(percept.observation, 4, -1))
        carry = jnp.where(percept.first[:, None], jnp.stack(coin, -1), carry)
        down, right = carry[:, 0] - row, carry[:, 1] - column
        nearer = jnp.stack([down < 0, right > 0, down > 0, right < 0, (down == 0) & (right == 0)], -1)
        return carry, choose(key, jnp.log(nearer / nearer.sum(-1, keepdims=True)))


@pytest.mark.parametrize(("subject", "shown"), [("coin_walker", 0.0), (Recalls(name="recalls"), 1.0)])
def test_what_is_shown_is_not_carried(subject, shown):
    """Both need nothing older, because the coin is always shown; only one goes where a donor saw it."""
    (deletion, _), (transplant, error) = carried(subject, "coin_grid:size=5,trials=12,corner_share=0")
    assert deletion == pytest.approx(0, abs=1e-6)  # all nearer moves are worth the same
    assert abs(transplant - shown) < 3 * error + 1e-6


def test_first_acts_are_worth_what_enumerated_plans_pay():
    family = make("families", PROCESS)
    tasks = family.get_split("exchanged:actions").draw(jax.random.key(1), 3)
    shown = np.broadcast_to(np.eye(3)[[0]], (1, 12, 3))
    worth = np.stack(
        [family.compute_action_values(tasks, "fresh", shown, np.full((1, 12), a))[0] for a in range(3)]
    )  # [K, T, M]
    moves, pays = np.asarray(tasks.transitions, float), np.asarray(tasks.payoffs, float)[:, 0]
    plans = np.indices((3,) * 7).reshape(7, -1).T  # an action for state 0, then one for each state at two steps
    for first in range(3):
        policies = [np.stack([[a, a, a], p[1:4], p[4:]]) for p in plans[plans[:, 0] == first] for a in [p[0]]]
        best = np.max([evaluate_policy(moves, pays, p) for p in policies], 0)
        values = compute_action_values(moves, pays, 3)
        np.testing.assert_allclose(values[:, 0, first], best)
        np.testing.assert_allclose(worth[first, 0], best - values[:, 0].mean(-1))
        np.testing.assert_allclose(worth[2 - first, 6], worth[first, 0])  # the actions are exchanged half-way


@pytest.mark.slow  # two minutes
def test_subjects_of_a_process_are_placed_as_they_are_made():
    family, options = f"{PROCESS},bank=16", {"metrics": "deletion", "lifetimes": 512, "seed": 11}
    for subject, level in (("psrl", "acquiring"), ("mdp_locator", "locating"), ("psrl:memory=2", "tracking")):
        found = mesascope.examine(subject, family, splits=("fresh", "seen"), **options).placement
        assert found.level == level, found
        assert 0 < found.numbers["gain_by_last_trials"]["1"] < found.numbers["gain_fresh"]
