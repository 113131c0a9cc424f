"""The dark room: its pay-offs against simulated ones, and the bits of its subjects, which were known beforehand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import examine, make, measure, rollout
from mesascope.contracts import Response, ScriptedSubject
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.carried import find_counted_trials, measure_transplant
from mesascope.questions.spectrum.transplanted_bits import measure_own_bits, measure_transplanted_bits
from mesascope.worlds.dark_room.families.dark_room import compute_random_walk_chances, measure_distances, tabulate_moves

TRANSPLANTS = [f"past_transplanted_once:window=4,replicate={r}" for r in (0, 1)]
GOAL = np.log2(81)


def lives(subject, family="dark_room", lifetimes=128):
    return rollout(subject, family, lifetimes=lifetimes, seed=5, conditions=["intact", *TRANSPLANTS])


def bits(subject, family="dark_room", **options):
    return measure_transplanted_bits(lives(subject, family), 4, **options).mean()


class Heads(ScriptedSubject):
    """Heads for one cell."""

    cell: int

    def respond(self, key, carry, percept):
        return carry, Response(jnp.full_like(percept.action, self.cell), None)


def test_pay_offs_are_those_of_walks():
    family = make("families", "dark_room:size=4,steps=5,trials=4,goals=2,feedback_trials=3,bank=1")
    goal = np.asarray(family.bank_tasks)[0]
    seen = rollout(Heads(int(goal[0]), name="heads"), family, "seen", lifetimes=64)
    score = seen.score.sel(condition="intact").values
    np.testing.assert_allclose(score[:, ::2], seen.best[:, ::2])  # it heads for the goal of every second trial
    np.testing.assert_array_equal(seen.feedback.values[0], np.where(np.arange(4) < 3, score, 0))
    assert (seen.right.values == goal[np.arange(4) % 2]).all()
    np.testing.assert_allclose(seen.fixed[:, ::2], seen.best[:, ::2])
    chance = compute_random_walk_chances(4, 5)
    assert chance.sum(-1) == pytest.approx(np.full(16, 5.0))  # every step is on one of the cells
    assert chance[5, 5] > chance[5, 0] and chance.min() > 0


def test_what_first_acts_are_worth():
    family = make("families", "dark_room:size=3,steps=3,trials=4")
    tasks = family.get_split("fresh").draw(jax.random.key(0), 5)
    goal, cell = np.asarray(tasks.goals)[:, :, 0].T, 7  # [T, M]
    shown = np.broadcast_to(np.eye(7)[2] + np.eye(7)[4] + np.eye(7)[6], (1, 4, 7))  # row 2, column 1
    worth = np.stack([family.compute_action_values(tasks, "fresh", shown, np.full((1, 4), a))[0] for a in range(9)])
    np.testing.assert_allclose(worth.mean(0), 0, atol=1e-12)
    expected = 3 - measure_distances(3)[tabulate_moves(3)[cell]][:, goal]
    np.testing.assert_allclose(worth, expected - expected.mean(0))
    best = family.find_best_actions(tasks, "fresh", shown)
    np.testing.assert_array_equal(best[0], goal)
    np.testing.assert_allclose(family.compute_action_values(tasks, "fresh", shown, best)[0], worth.max(0))


@pytest.mark.slow  # ten seconds; CI runs it
def test_the_learner_shows_where_the_goal_is_and_a_reflex_does_not():
    learner = lives("room_learner")
    assert measure_transplanted_bits(learner, 4).mean() == pytest.approx(GOAL, abs=0.15)
    assert measure_own_bits(learner).mean() == pytest.approx(GOAL, abs=0.15)
    reflex = lives("room_reflex")
    assert measure_own_bits(reflex).mean() > 3  # it goes where its last trials paid
    assert abs(measure_transplanted_bits(reflex, 4).mean()) < 0.05
    assert measure_transplant(reflex, find_counted_trials(reflex, 4), 4).mean() == pytest.approx(0, abs=0.05)


def test_the_metric_reads_these_bits():
    family = "dark_room:size=3,steps=4,trials=20"
    subject = make("subjects", "room_learner", make("families", family))
    found = measure(
        {"fresh": rollout(subject, family, lifetimes=64, conditions=["intact", *TRANSPLANTS])}, "bits_acquired"
    )
    older = next(f.estimate for f in found.answers if f.metric.endswith("older than a few trials"))
    assert older == pytest.approx(np.log2(9), abs=0.2)


@pytest.mark.slow
def test_more_bits():
    two = "dark_room:goals=2,trials=64"
    assert bits("room_learner", two) == pytest.approx(2 * GOAL, abs=0.2)  # a key and a door
    assert bits("room_reflex", two) < 0.05
    for size in (4, 16, 64):
        for vote in (False, True):
            assert bits(f"room_locator:vote={vote}", f"dark_room:bank={size}") < np.log2(size)
            assert bits(f"room_locator:vote={vote}", f"{two},bank={size}") < np.log2(size)
    assert (
        bits("room_learner:action_mapping=clock")
        < 0.5
        < 6
        < bits("room_learner:action_mapping=clock", is_by_trial=True)
    )
    mirror = lives("room_learner:action_mapping=mirror")
    assert measure_transplanted_bits(mirror, 4).mean() > 4
    assert measure_transplant(mirror, find_counted_trials(mirror, 4), 4).mean() < -0.3


@pytest.mark.slow
def test_subjects_are_placed_as_they_are_made():
    options = {"metrics": "deletion", "lifetimes": 128, "seed": 3, "splits": "fresh"}
    told = "dark_room:feedback_trials=16"  # older trials are needed, because the last ones tell nothing
    assert examine("room_learner", told, trained_on="at-most:20", **options).placement.level == "acquiring"
    assert examine("room_reflex", "dark_room", **options).placement.level == "tracking"


def test_a_subject_of_the_room_needs_the_room():
    with pytest.raises(MesascopeError, match="no dark room"):
        make("subjects", "room_learner", make("families", "bernoulli_bandit"))
    with pytest.raises(MesascopeError, match="no bank of tasks"):
        make("subjects", "room_locator", make("families", "dark_room"))
