"""Environments of Gymnasium as families: episodes as trials, whatever resets itself how, and what is refused."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import gymnasium
import jax
import numpy as np
import pytest
import xarray as xr
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium_cases import Arms, Corridor, Lifetime, Stacked, drawn_arms

from mesascope import catalogue, examine, rollout
from mesascope.agents.function import wrap
from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.guards import gate
from mesascope.rollouts.replays import Replays
from mesascope.worlds.gymnasium.checked_env import ActionConverter, ObservationConverter


def family(**settings):
    made = catalogue.get_factory("families", "gymnasium")
    return made(**{"env": "Corridor-v0", "episodes": 3, "chance": "-0.9"} | settings)


def onward(percept, state, rng):
    """Mostly goes on; half its choices hang on a clock of its own, which only the carry holds."""
    n = len(percept["action"])
    state = np.zeros(n, int) if state is None else state
    return np.where(rng.random(n) < 0.6, 1, state % 2), state + 1


def lived(home, split="fresh", n=7, conditions=("intact",), subject=onward, seed=5):
    asked = [catalogue.make("conditions", c) for c in conditions]
    return rollout(wrap(subject, home), home, split, n, seed, conditions=asked)


def test_a_trial_is_an_episode_and_a_step_is_a_step():
    home = family()
    assert (home.choices, home.horizon, home.steps, home.observation_shape) == (2, 3, 5, (2,))
    data = lived(home)
    action, steps, paid = data.action.values[0], data.n_steps.values[0], data.feedback.values[0]
    place = data.observation.values[..., 0]  # [N, T, S] before each step
    for i, t in np.ndindex(7, 3):
        k = steps[i, t]
        assert (action[i, t, :k] >= 0).all() and (action[i, t, k:] == -1).all()
        at, ended = place[i, t, 0], False
        for s in range(k):
            assert place[i, t, s] == at and not ended
            at = min(max(at + 2 * action[i, t, s] - 1, 0), 4)
            ended = at == 4
        assert ended or k == 5  # it got to the end, or was cut off
        assert paid[i, t] == ended - 0.25 * k
    np.testing.assert_array_equal(data.score, data.feedback)
    assert len(np.unique(steps)) > 2


def test_every_way_of_resetting_itself_gives_the_same_lifetimes():
    one = lived(family())
    for mode in AutoresetMode:
        home = family(env=f"{mode.value}-v0")
        assert home.uses_vector_env
        other = lived(home)
        for name in ("action", "feedback", "n_steps", "observation"):
            np.testing.assert_array_equal(one[name], other[name], err_msg=f"{mode}: {name}")


def test_fake_steps_are_dropped():
    home = family(env="NextStep-v0")
    tasks = home.draw(jax.random.key(1), 7)
    state, _ = home.begin(jax.random.key(2), tasks)
    calls, took = np.zeros(7, int), np.zeros(7, int)

    def count(i, step):
        def counted(action):
            calls[i] += 1
            return step(action)

        return counted

    for i, env in enumerate(state.envs):
        env.env.step = count(i, env.env.step)
    for now in range(15):
        idle = home.find_idle(state) if now % 5 else np.zeros(7, bool)
        state.step(np.where(idle, -1, 1))
        took += ~idle
    assert (calls == took + 3).all()  # three episodes, each followed by one fake step
    assert (took < 15).all()  # always onward, everybody arrives before the limit


def test_seeds_are_the_task_or_are_each_episodes_own():
    first = lived(family(episodes=6)).observation.values[:, :, 0, 0]
    assert (first == first[:, :1]).all() and len(np.unique(first)) > 1
    fresh = lived(family(episodes=6, seeds="new")).observation.values[:, :, 0, 0]
    assert (fresh != fresh[:, :1]).any(1).sum() > 3
    chosen = family(tasks=lambda rng, split: {"options": {"place": 2}, "seed": 4})
    assert (lived(chosen).observation.values[:, :, 0, 0] == 2).all()


def test_the_same_answer_under_any_global_seed():
    home = family(variations="slip=0.1/0.4+width=3..6", seeds="new")
    kept = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        kept.append(lived(home, conditions=("intact", "carry_reset")))
    assert kept[0].identical(kept[1])
    more = lived(home, n=71, conditions=("intact",))
    np.testing.assert_array_equal(more.action.values[0, :7], kept[0].action.values[0])


def test_actions_are_exchanged_half_way():
    always = lambda percept, state, rng: (np.ones(len(percept["action"]), int), state)  # noqa: E731
    home = family(episodes=5, tasks=lambda rng, split: {"options": {"place": 1}})
    assert home.get_split("exchanged").change_trial == 2 and home.get_split("fresh").change_trial is None
    data = lived(home, "exchanged", subject=always)
    assert data.attrs["changes"] == 2
    assert (data.action.values[data.action.values >= 0] == 1).all()  # what the subject did is recorded
    np.testing.assert_array_equal(data.n_steps.values[0], np.tile([3, 3, 5, 5, 5], (7, 1)))
    np.testing.assert_array_equal(data.feedback.values[0, 0], [0.25, 0.25, -1.25, -1.25, -1.25])


def test_splits_by_keywords_attributes_and_functions():
    home = family(variations="width=3..5", shifted="width=8", restructured=".slip=1")
    assert home.split_names == ("fresh", "shifted", "restructured", "exchanged")
    seen = {split: lived(home, split).observation.values[:, 0, 0, 1] for split in home.split_names}
    assert set(seen["fresh"]) <= {3, 4, 5} and len(set(seen["fresh"])) > 1
    assert set(seen["shifted"]) == {8}
    np.testing.assert_array_equal(seen["restructured"], seen["fresh"])  # the same tasks but for what was changed
    always = lambda percept, state, rng: (np.ones(len(percept["action"]), int), state)  # noqa: E731
    assert (lived(home, "restructured", subject=always).feedback.values == -1.25).all()  # it always slips
    other = family(restructured="env=Odd-v0")
    assert set(lived(other, "restructured").observation.values[:, 0, 0, 1]) == {9}
    own = family(env="Arms-v0", episodes=4, tasks=drawn_arms, best=1)
    assert own.split_names == ("fresh", "shifted:far", "exchanged")


def test_a_bank_is_as_many_tasks_as_it_says_and_names_make_the_family_again():
    home = family(variations="width=3..19", bank=3, bank_seed=2)
    assert home.split_names[0] == "seen" and home.bank_label == "bank:3@2"
    again = catalogue.make("families", home.name)
    assert again.name == home.name and home.with_bank(None).with_bank("bank:3@2").name == home.name
    for split in ("seen", "fresh"):
        one, other = (h.get_split(split).draw(jax.random.key(7), 40) for h in (home, again))
        assert [t["width"] for t in one["keywords"]] == [t["width"] for t in other["keywords"]]
        tasks = {(int(s), t["width"]) for s, t in zip(one["seed"], one["keywords"], strict=True)}
        assert len(tasks) == (3 if split == "seen" else 40)
        few = home.get_split(split).draw(jax.random.key(7), 9)
        np.testing.assert_array_equal(few["seed"], one["seed"][:9])


def test_the_carry_is_kept_or_the_subject_is_told_to_begin_anew():
    for carry, wanted in (("kept", 1), ("reset", 3)):
        home = family(carry=carry, tasks=lambda rng, split: {"options": {"place": 0}})
        state, percept = home.begin(jax.random.key(2), home.draw(jax.random.key(1), 7))
        firsts = percept.first.astype(int)
        for now in range(14):
            idle = home.find_idle(state) if now % 5 else np.zeros(7, bool)
            state, percept, _ = home.step(jax.random.key(now), None, state, np.where(idle, -1, 1))
            firsts += percept.first & ~idle & (percept.trial < 3)
        assert firsts.tolist() == [wanted] * 7
    assert catalogue.make("families", family(carry="reset").name).resets_carry


def sampler(percept, state, rng):
    """Thompson sampling from counts that it carries."""
    n = len(percept["action"])
    state = np.ones((n, 3, 2)) if state is None else state.copy()
    pulled = ~percept["first"]
    at, paid = np.flatnonzero(pulled), percept["feedback"][pulled].astype(int)
    state[at, percept["action"][pulled], 1 - paid] += 1
    return rng.beta(state[..., 0], state[..., 1]).argmax(-1), state


def test_a_bandit_in_gymnasium_reads_as_the_one_that_ships():
    """The same procedure on tasks of the same distribution, pulled through Gymnasium: the same gains."""
    home = family(env="Arms-v0", episodes=20, tasks=drawn_arms, best=1, score="worth", chance="", seeds="new")
    native = catalogue.make("families", "bernoulli_bandit:arms=3,trials=20")
    got = [lived(place, n=128, subject=sampler).score.values[0, :, 10:].mean(-1) for place in (home, native)]
    error = np.sqrt(sum(x.var() / len(x) for x in got))
    assert abs(got[0].mean() - got[1].mean()) < 3.5 * error
    assert got[0].mean() > 0.58  # even play gets .5
    latents = home.compute_latents({"seed": np.zeros(7)}, "fresh")
    assert latents["chance"].shape == (7, 20) and abs(latents["chance"][0, 0] - 0.5) < 0.2


def test_an_observation_that_holds_the_history_is_flagged():
    def stacked(**given):
        return gymnasium.wrappers.FrameStackObservation(Corridor(width=19), 3)

    told = {"told in the observation": (Arms, {"remembers": "True"}, "how often"), "a wrapper": (stacked, {}, "Frame")}
    told["its own stack"] = (Stacked, {}, "3 observations side by side")
    for made, given, why in told.values():
        variations = "+".join(f"{k}={v}" for k, v in given.items())
        with pytest.warns(MesascopeWarning, match=f"contain the past.*{why}.*reactive"):
            home = family(env=made, steps=12, best=9, variations=variations)
        assert dict(home.settings)["history"] and "history=True" in home.name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for plain in ("Corridor-v0", "Arms-v0"):
            assert not dict(family(env=plain).settings)["history"]
        assert not dict(family(env="CartPole-v1").settings)["history"]
        assert not dict(family(env="FrozenLake-v1", best=1).settings)["history"]
        assert dict(family(history=True).settings)["history"]  # said by the user


def test_what_is_acquired_in_such_an_observation_stands_in_the_percept():
    """A subject that goes by the counts it is shown does the same without any carry or feedback."""

    def greedy(percept, state, rng):
        wins, pulls = percept["observation"][:, ::2], percept["observation"][:, 1::2]
        return np.argmax((wins + 1) / (pulls + 2), -1), state

    made = lambda **given: Arms(remembers=True, **given)  # noqa: E731
    home = family(env=made, steps=1, episodes=12, best=1, history=True, tasks=drawn_arms)
    asked = ("intact", "carry_reset", "feedback_shuffled:older_than=0")
    data = lived(home, conditions=asked, subject=greedy)
    assert (data.action.values == data.action.values[:1]).all()
    assert len(np.unique(data.action.values)) > 1


BROKEN = {
    "outside": r"violates its own observation space.*after step 2 of an episode it showed 4\d at \[0\], .* 0 to 20",
    "shape": r"violates its own observation space",
    "words": r"violates its own observation space.*'here'",
    "nan seen": r"showed an observation with NaN",
    "nan paid": r"paid nan, which is not a finite number",
    "endless": r"paid inf, which is not a finite number",
    "none paid": r"paid None, which is not a finite number",
    "raises": r"step\(\) of Odd-v0 raised ZeroDivisionError after step 1 of an episode: nought",
    "old reset": r"not \(observation, info\)",
    "old step": r"raised ValueError .*expected 5, got 4",
    "pairs": r"whole numbers or one real number",
    "one action": r"has 1 actions",
    "text": r"no fixed size",
    "huge": r"has 9,000,000 numbers",
}


@pytest.mark.parametrize("how", BROKEN)
def test_an_environment_that_misbehaves_is_told_of_at_once(how):
    with pytest.raises(MesascopeError, match=BROKEN[how]):
        family(env="Odd-v0", variations=f"how={how}")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"env": "Unlimited-v0", "best": 1}, "may never end"),
        ({"env": "Endless-v0", "best": 1}, "was not over after 5 steps, its own limit"),
        ({"env": "Liar-v0"}, "has autoreset_mode NextStep, but the step after an episode did more than reset"),
        ({"env": "Unheard-v0"}, "has autoreset_mode 'Sometimes'"),
        ({"env": "Crowd-v0"}, "a vector environment with 2 environments"),
        ({"env": "Nowhere-v0"}, "There is no environment 'Nowhere-v0'"),
        ({"variations": "wide=3"}, r"cannot be made with wide=3: TypeError"),
        ({"variations": ".wide=3"}, "has no attribute 'wide'"),
        ({"variations": "width"}, "not a keyword with values"),
        ({"variations": "width=9..2"}, "starts above its end"),
        ({"best": "-3"}, "is not above .* the return of random play"),
        ({"best": "high"}, "is not a number"),
        ({"env": Corridor, "steps": 4}, "return of the best policy in an episode .* is not known"),
        ({"steps": 900_000}, "too long"),
        ({"carry": "lost"}, "Type kept or reset"),
        ({"tasks": lambda: {}}, "not a function of"),
        ({"tasks": lambda rng, split: 3}, "returned int on 'fresh'"),
        ({"score": "value"}, "has no key 'value', but worth"),
        ({"env": lambda: 3, "steps": 3, "best": 1}, "made a int"),
        ({"variations": "width=4/5", "restructured": "env=CartPole-v1+width=4"}, "cannot be made with width=4"),
        ({"restructured": "env=CartPole-v1"}, r"observations \(4,\) and 2 actions in one task, \(2,\) and 2"),
    ],
    ids=lambda told: told if isinstance(told, str) else " ".join(told),
)
def test_what_is_refused(settings, why):
    with pytest.raises(MesascopeError, match=why):
        home = family(**settings)
        for split in home.split_names:
            lived(home, split)


def test_code_that_a_file_names_needs_trust(monkeypatch):
    monkeypatch.setattr(gate, "_ALLOWED_TEXTS", {})
    spec = "gymnasium:env=gymnasium_cases:Corridor-v0,episodes=3"
    with pytest.raises(MesascopeError, match=r"would import and run code that a file names.*--trust"):
        from_a_file(spec)
    for more in (
        "tasks=gymnasium_cases:drawn_arms",
        "learner=gymnasium_cases:drawn_arms",
        "restructured=env=a:B-v0",
        "shifted=env=a:B-v0",
        "variations=env=a:B-v0",
        "variations=wide=a.b:c",
        "variations=.wide=a.b:c",
    ):
        with pytest.raises(MesascopeError, match="would import and run"):
            from_a_file(f"gymnasium:env=Corridor-v0,{more}")
    from mesascope.agents.networks import recurrent
    from mesascope.agents.opening import find_default_family

    (net, *_) = sorted((Path(recurrent.__file__).parent).rglob("*.safetensors"))
    monkeypatch.setattr(recurrent, "read_family", lambda path: spec)
    with pytest.raises(MesascopeError, match="would import and run"):
        find_default_family([str(net)])
    assert find_default_family([str(net)], trust=True) == spec
    assert from_a_file(spec).choices == 2  # trusted once
    monkeypatch.setattr(gate, "_ALLOWED_TEXTS", {})
    assert catalogue.make("families", spec).choices == 2  # the user's own act
    assert from_a_file(spec).name == spec  # and from then on known


def from_a_file(spec):
    """A family as it is made where its name stands among a file's attributes."""
    return Replays().make_family(xr.Dataset(attrs={"family": spec}))


def test_spaces_of_other_kinds():
    for space, k in ((spaces.Discrete(3, start=-1), 3), (spaces.MultiDiscrete([2, 3]), 6), (spaces.MultiBinary(3), 8)):
        hand = ActionConverter(space, "x")
        assert hand.choices == k
        told = [hand(a) for a in range(k)]
        assert all(space.contains(t) for t in told) and len({np.asarray(t).tobytes() for t in told}) == k
    real = ActionConverter(spaces.Box(-2, 2, (1,), np.float32), "x")
    assert real.choices is None
    assert [float(real(a)[0]) for a in (-7, 0.5)] == [-2, 0.5]
    seen = ObservationConverter(spaces.Dict(a=spaces.Discrete(3), b=spaces.Box(0, 1, (2,))), "x")
    shown = seen({"a": 2, "b": np.array([0.25, 1], np.float32)}, True, str)
    assert shown.tolist() == [0, 0, 1, 0.25, 1]
    assert ObservationConverter(spaces.Discrete(4), "x")(1, True, str).tolist() == [0, 1, 0, 0]


def test_real_actions_are_lived():
    home = family(env="Pendulum-v1", steps=4, best=0, chance="", carry="kept")
    assert home.choices is None and home.split_names == ("fresh",)
    push = lambda percept, state, rng: (np.full(len(percept["action"]), 9.0), state)  # noqa: E731
    data = lived(home, subject=push)
    assert data.action.dtype == np.float32 and (data.action.values == 9).all()  # as the subject said, cut when done
    assert (data.score.values < 0).all() and (data.n_steps.values == 4).all()


def counts_what_it_is_shown(percept, state, rng):
    """Thompson sampling that reads the last action and reward from the observation alone."""
    seen = percept["observation"]
    pulled, paid = seen[:, :-1], (seen[:, -1:] + 0.5) / 2
    state = np.ones((*pulled.shape, 2)) if state is None else state.copy()
    state += np.stack([pulled * paid, pulled * (1 - paid)], -1)
    return rng.beta(*np.moveaxis(np.maximum(state, 0.1), -1, 0)).argmax(-1), state


LIFETIME = {"env": Lifetime, "steps": 20, "score": "worth", "seeds": "new", "chance": ""}


@pytest.mark.slow  # ten seconds; CI runs it
def test_an_episode_that_is_a_lifetime_is_read_step_by_step():
    """As one trial it read 'tracking' in 100 % of resamples, with a benefit of exactly 0 ± 0."""
    home = family(**LIFETIME, episodes=0, best=0.8, trial="step")
    assert (home.horizon, home.steps) == (20, 1)
    (place,) = home.reward_entries
    assert place.index == 3 and (place.scale, place.offset) == pytest.approx((2.0, -0.5))
    assert home.compute_latents({"seed": np.zeros(7)}, "fresh")["chance"][0, 0] == pytest.approx(0.5, abs=0.05)
    found = examine(
        counts_what_it_is_shown, home, lifetimes=64, splits="fresh", trained_on="unlimited", metrics="performance"
    )
    assert found.placement.lowest == "acquiring" and found.placement.numbers["benefit"] > 0.15
    native = catalogue.make("families", "bernoulli_bandit:arms=3,trials=20")
    gains = [
        np.mean(lived(place, n=128, subject=subject).score.values[0, :, 10:])
        for place, subject in ((home, counts_what_it_is_shown), (native, sampler))
    ]
    assert gains[0] == pytest.approx(gains[1], abs=0.06)


def test_exchanged_rewards_stand_in_the_observation_too():
    home = family(**LIFETIME, episodes=2, best=0.8, trial="step")
    assert home.horizon == 40
    state, percept = home.begin(jax.random.key(2), home.draw(jax.random.key(1), 7))
    for now in range(23):
        other = home.with_opposite_outcome(percept)
        first = now % 20 == 0  # the first observation of an episode tells no reward
        wanted = percept.observation[:, 3] if first else 2 * (1 - percept.feedback) - 0.5
        np.testing.assert_allclose(other.observation[:, 3], wanted, atol=1e-6)
        np.testing.assert_array_equal(other.observation[:, :3], percept.observation[:, :3])
        assert (percept.trial == now).all() and (percept.step == 0).all()
        state, percept, _ = home.step(jax.random.key(now), None, state, np.full(7, now % 3))


def test_one_trial_has_no_older_feedback_and_a_reward_that_is_not_told_is_said():
    home = family(**LIFETIME, episodes=1, best=16)
    with pytest.raises(MesascopeError, match=r"one trial, so no feedback is older.*trial=step"):
        examine(
            counts_what_it_is_shown, home, lifetimes=64, splits="fresh", trained_on="unlimited", metrics="performance"
        )
    blind = {**LIFETIME, "env": lambda: Lifetime(tells=False)}
    with pytest.warns(MesascopeWarning, match="do not show the last reward.*0 gives no information"):
        assert family(**blind, episodes=0, best=0.8, trial="step").reward_entries == ()
    with pytest.raises(MesascopeError, match=r"was over after \d+ of 12 steps.*same length"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lived(family(env=Corridor, steps=12, episodes=0, best=1, trial="step"))
    with pytest.raises(MesascopeError, match="trial='day'"):
        family(trial="day")
