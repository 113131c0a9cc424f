"""Pong against ale-py's own vector environment, known answers of scripted players, painting held to an empty field."""

import itertools
from typing import ClassVar

import numpy as np
import pytest

ale = pytest.importorskip("ale_py", reason="needs the extra 'atari'")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

import mesascope  # noqa: E402
from mesascope import catalogue  # noqa: E402
from mesascope.contracts import subject as subjects  # noqa: E402
from mesascope.errors import MesascopeError  # noqa: E402
from mesascope.worlds.pong import painting  # noqa: E402
from mesascope.worlds.pong import pong_screen as screen  # noqa: E402
from mesascope.worlds.pong.emulators import EmulatedGames, GameStart  # noqa: E402
from mesascope.worlds.pong.vector_games import VectorGames  # noqa: E402

KEY = jax.random.key(0)
N = 7


def starts(n=1, idle=0, mode=0, difficulty=0, sticky=0.0):
    none = np.zeros(n, np.int32)
    return GameStart(none, none + idle, none + sticky, none + mode, none + difficulty)


def lived(family, split, act, n=N, steps=10**6):
    """Percepts and scores of lifetimes of a policy act(percept, step), as far as so many steps."""
    tasks = family.get_split(split).draw(KEY, n)
    state, percept = family.begin(KEY, tasks)
    seen, paid, idle = [percept], [], []
    while len(paid) < steps and percept.trial.min() < family.horizon:
        asleep = family.find_idle(state)
        idle.append(asleep & ~asleep.all())
        state, percept, score = family.step(KEY, tasks, state, np.where(idle[-1], -1, act(percept, len(paid))))
        seen.append(percept)
        paid.append(score)
    return seen, np.array(paid), np.array(idle)


def scripted(name, family, n=N):
    """A policy of a scripted subject, keeping what it carries."""
    subject = catalogue.make("subjects", name, family)
    held = [subject.initialize_carry(n)]

    def act(percept, t):
        held[0], response = subject.respond(jax.random.fold_in(KEY, t), held[0], percept)
        return np.asarray(response.action)

    return act


@pytest.fixture(scope="module")
def wandering():
    """A family, and what random play shows."""
    family, rng = catalogue.make("families", "pong:rallies=3,steps=150"), np.random.default_rng(0)
    return family, lived(family, "fresh", lambda p, t: rng.integers(0, 3, N))


def test_frames_and_points_are_those_of_the_vector_environment():
    from ale_py.vector_env import AtariVectorEnv

    theirs = AtariVectorEnv(
        "pong", num_envs=1, img_height=42, img_width=40, stack_num=1, noop_max=0, use_fire_reset=False
    )
    theirs.reset(seed=3)
    cabinet, live = EmulatedGames(starts()), np.ones(1, bool)
    for action in np.random.default_rng(1).integers(0, 3, 230):
        shown, reward, *_ = theirs.step(np.array([[0, 2, 3][action]]))
        assert cabinet.play(np.array([action]), live)[0] == reward[0]
        assert (cabinet.frame[0] == VectorGames.crop_frames(shown)[0]).all()


def test_who_stands_still_loses_every_rally():
    family = catalogue.make("families", "pong:rallies=3,steps=90")
    seen, paid, _ = lived(family, "fresh", lambda p, t: np.zeros(N, int))
    assert (paid.sum(0) == -3).all() and set(np.unique(paid)) == {-1, 0}
    assert (seen[-1].trial == 3).all() and (seen[-1].step == 0).all()


def test_a_lifetime_whose_rally_is_over_stands_still(wandering):
    _, (seen, paid, idle) = wandering
    assert idle.any() and (paid[idle] == 0).all()
    for t, asleep in enumerate(idle):
        for name in ("observation", "trial", "step"):
            before, after = getattr(seen[t], name), getattr(seen[t + 1], name)
            assert (before[asleep] == after[asleep]).all()
    for before, after in itertools.pairwise(seen):
        assert ((after.trial - before.trial) == ((after.step == 0) & ((before.step > 0) | (after.feedback != 0)))).all()


def test_a_rally_that_does_not_end_is_cut_and_goes_on():
    family = catalogue.make("families", "pong:rallies=2,steps=11")
    seen, paid, idle = lived(family, "fresh", lambda p, t: np.zeros(N, int))
    assert len(paid) == 22 and not paid.any() and not idle.any()
    long = catalogue.make("families", "pong:rallies=2,steps=400")
    whole = lived(long, "fresh", lambda p, t: np.zeros(N, int), steps=22)[0]
    assert all((a.observation == b.observation).all() for a, b in zip(seen, whole, strict=True))


def test_places_say_where_the_ball_and_the_paddle_are():
    cabinet, live, rng, found = EmulatedGames(starts(N, 31)), np.ones(N, bool), np.random.default_rng(2), 0
    for _ in range(97):
        cabinet.play(rng.integers(0, 3, N), live)
        picture = painting.Picture(
            cabinet.frame, dict(zip(screen.POSITION_NAMES, cabinet.positions.T.astype(int), strict=True))
        )
        odd = np.abs(cabinet.frame.astype(int) - painting.EMPTY_FRAME) > 1
        ball, own = (
            painting.find_ball(picture.positions),
            painting.find_paddle(picture.positions["own y"], painting.OWN_PADDLE_COLUMN, 14),
        )
        field = (
            odd & (painting.COLUMNS != painting.OTHER_PADDLE_COLUMN) & (painting.COLUMNS != painting.OWN_PADDLE_COLUMN)
        )
        assert (field <= ball).all()  # nothing else is in the field
        assert (odd[:, :, painting.OWN_PADDLE_COLUMN] <= (ball | own)[:, :, painting.OWN_PADDLE_COLUMN]).all()
        found += int((field.any((1, 2)) & ball.any((1, 2))).sum())
    assert found > 97


@pytest.mark.parametrize("name", ["ball_hidden", "ball_moved:rows=7", "patch_hidden", "paddle_hidden"])
def test_what_conditions_paint(wandering, name):
    _, (seen, *_) = wandering
    condition = catalogue.make("conditions", name)
    changed = []
    for percept in seen[::5]:
        plain = painting.read_picture(percept.observation)
        painted = condition.paint(KEY, plain, None)
        gone, ball = painted.frame != plain.frame, painting.find_ball(plain.positions)
        empty = np.abs(painted.frame.astype(int) - painting.EMPTY_FRAME) <= 1
        own = painting.COLUMNS == painting.OWN_PADDLE_COLUMN
        other = painting.COLUMNS == painting.OTHER_PADDLE_COLUMN
        if name == "ball_hidden":
            assert (gone <= ball).all() and (empty | own | other).all()
            assert not painted.positions["ball x"].any()
        elif name == "paddle_hidden":
            assert (gone <= own).all() and (empty | ~own | ball).all() and not painted.positions["own y"].any()
        elif name == "patch_hidden":
            assert (gone <= other & ~ball).all() and (gone.sum((1, 2)) <= ball.any(2).sum(1)).all()
        else:
            inner, light = plain.frame[:, 1:-1].astype(int), painted.frame[:, 1:-1].astype(int)
            free = ~(ball & (own | other)).any((1, 2)) & ~ball[:, [0, -1]].any((1, 2))
            same = inner.sum((1, 2)) == light.sum((1, 2))  # as much of it as before, elsewhere
            assert (same | ~free | (light[:, :, [4, 35]] != inner[:, :, [4, 35]]).any((1, 2))).all()
            again = condition.paint(KEY, painting.read_picture(painting.make_observation(painted)), None)
            assert (again.positions["ball y"] != plain.positions["ball y"])[plain.positions["ball y"] > 0].all()
        changed.append(gone.any((1, 2)))
    assert 0.3 < np.mean(changed) <= 1


def test_splits_are_what_they_say():
    family = catalogue.make("families", "pong:rallies=4,steps=40")
    rng = np.random.default_rng(5)
    acts = rng.integers(0, 3, (60, N))
    splits = {split: lived(family, split, lambda p, t: acts[t], steps=60)[0][-1] for split in family.split_names}
    frames = {k: painting.read_picture(v.observation).frame for k, v in splits.items()}
    assert (frames["restructured:mirror"] == frames["fresh"][:, :, ::-1]).all()
    swapped = lived(family, "fresh", lambda p, t: np.array(screen.SWAPPED_ACTIONS)[acts[t]], steps=60)[0][-1]
    assert (painting.read_picture(swapped.observation).frame == frames["exchanged:start"]).all()
    for split in ("shifted:sticky", "shifted:difficulty", "shifted:mode"):
        assert (frames[split] != frames["fresh"]).any()
    idle = family.draw(KEY, 500).game_start.idle_frames
    assert idle.min() > screen.MAX_IDLE_FRAMES and len(np.unique(idle)) > 30


def test_controls_are_exchanged_half_way():
    family = catalogue.make("families", "pong:rallies=2,steps=30")
    acts = np.random.default_rng(6).integers(0, 3, (60, N))
    fresh, half = (lived(family, split, lambda p, t: acts[t])[0] for split in ("fresh", "exchanged:half"))
    same = [(a.observation == b.observation).all() for a, b in zip(fresh, half, strict=False)]
    late = next(t for t, p in enumerate(half) if (p.trial >= 1).any())
    assert all(same[: late + 1]) and not all(same)


@pytest.mark.slow  # ten seconds; CI runs it
def test_only_who_finds_out_what_actions_do_gets_over_exchanged_controls():
    family = catalogue.make("families", "pong:rallies=6,steps=80")
    late = {}
    for name in ("ball_follower", "calibrating_follower"):
        seen, paid, _ = lived(family, "exchanged:half", scripted(name, family))
        trial = np.array([p.trial for p in seen[:-1]])
        late[name] = [np.where((trial == t), paid, 0).sum() / N for t in (2, 4, 5)]
    assert late["ball_follower"][0] > -0.3 and max(late["ball_follower"][1:]) < -0.9
    assert min(late["calibrating_follower"]) > -0.5


class Recalls(subjects.ScriptedSubject):
    """Goes up where the ball is in one of its last four percepts, else it does nothing."""

    name: str = "recalls"
    identity_fields: ClassVar = ("name",)

    def initialize_carry(self, n):
        return jnp.zeros((n, 3), bool)

    def respond(self, key, carry, percept):
        there = jnp.asarray(percept.observation)[:, screen.FRAME_SIZE] > 0
        held = jnp.concatenate([carry, there[:, None]], 1)
        return held[:, 1:], subjects.choose(key, jnp.log(jax.nn.one_hot(held.any(1) * 1, 3)))


@pytest.mark.slow  # fifteen seconds; CI runs it
def test_what_is_hidden_in_earlier_frames_too_is_seen_in_none():
    family = catalogue.make("families", "pong:rallies=2,steps=90")
    labels = ["intact", *(f"ball_hidden:is_single=1{x}" for x in ("", ",earlier_percepts=2", ",earlier_percepts=3"))]
    labels.append("patch_hidden:is_single=1,earlier_percepts=3")
    conditions = [catalogue.make("conditions", label) for label in labels]
    lived = mesascope.rollout(Recalls(), family, "fresh", N, 0, conditions=conditions)
    kept = np.asarray(lived.attrs["kept"]) >= 4
    up = {str(k): (lived.sel(condition=k).action == 1).values[..., kept] for k in lived.condition.values}
    assert 0.2 < up["intact"].mean() < 1
    assert (up["patch_hidden:is_single=1,earlier_percepts=3"] == up["intact"]).all()
    assert not up["ball_hidden:is_single=1,earlier_percepts=3"].any()
    # two frames before: the carry is rebuilt of these alone, and the third is gone with it
    assert not up["ball_hidden:is_single=1,earlier_percepts=2"].any()
    late = up["ball_hidden:is_single=1"]
    assert (late <= up["intact"]).all() and 0 < (up["intact"] & ~late).sum() < late.sum()


def test_hiding_for_life_and_in_earlier_frames_is_refused():
    with pytest.raises(MesascopeError, match="whole life"):
        catalogue.make("conditions", "ball_hidden:is_single=0,earlier_percepts=3")
