import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import FamilyEnv, catalogue
from mesascope.contracts import Percept
from mesascope.errors import MesascopeError
from mesascope.questions.procedures.acts_like import list_procedures
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout
from mesascope.worlds.bandits.families.restless_bandit import family
from mesascope.worlds.bandits.subjects.drift_filter import build_walk_kernel
from tests.subjects.lives import forced, live, make

N = 2048


def tasks(home, split="fresh", n=N, seed=0):
    return jax.tree.map(np.asarray, home.get_split(split).draw(jax.random.key(seed), n))


def test_blocks_take_turns_and_either_kind_comes_first():
    volatility = tasks(family(trials=11, block=4)).volatility
    assert (volatility[:, :4] == volatility[:, :1]).all() and (volatility[:, 8:] == volatility[:, :1]).all()
    assert (volatility[:, 4:8] == 1 - volatility[:, :1]).all()
    assert volatility[:, 0].mean() == pytest.approx(0.5, abs=0.05)


def test_a_walk_moves_by_the_rate_of_its_block():
    drawn = tasks(family(trials=40, block=10, slow_rate=0.02, fast_rate=0.07))
    p = drawn.means[..., 0]
    assert p.min() >= 0 and p.max() <= 1 and drawn.means.sum(-1) == pytest.approx(np.ones((N, 40)), abs=1e-6)
    step, before, kind = np.diff(p, axis=1), p[:, :-1], drawn.volatility[:, 1:]
    inner = (before > 0.3) & (before < 0.7)
    for value, rate in ((0, 0.02), (1, 0.07)):
        assert step[inner & (kind == value)].std() == pytest.approx(rate, rel=0.05)


def test_jumps_come_at_the_rate_of_their_block_between_two_levels():
    drawn = tasks(family(trials=40, change="reversal", block=10, slow_rate=0.05, fast_rate=0.3, level=0.75))
    p = drawn.means[..., 0]
    assert sorted(set(p.ravel().round(5).tolist())) == pytest.approx([0.25, 0.75])
    jumped, kind = np.diff(p, axis=1) != 0, drawn.volatility[:, 1:]
    for value, rate in ((0, 0.05), (1, 0.3)):
        assert jumped[kind == value].mean() == pytest.approx(rate, rel=0.05)


def test_each_split_is_what_it_says():
    home = family(trials=11)
    still, close = tasks(home, "shifted:still"), tasks(home, "shifted:close")
    assert (still.means == still.means[:, :1]).all() and (still.volatility == 0).all()
    assert close.means == pytest.approx(0.5 + 0.3 * (tasks(home).means - 0.5), abs=1e-6)
    fresh, turned = tasks(home), tasks(home, "exchanged:reversal")
    assert (turned.means[:, :5] == fresh.means[:, :5]).all() and home.get_split("exchanged:reversal").change_trial == 5
    assert (turned.means[:, 5:] == fresh.means[:, 5:, ::-1]).all()
    free = tasks(home, "restructured:independent").means[:, -1]
    assert abs(np.corrcoef(free.T)[0, 1]) < 0.1
    assert (tasks(home, "shifted:faster").volatility == 1).all()
    loose = family(arms=3, trials=11, is_coupled=False)
    one, two, three = np.sort(tasks(loose, "restructured:coupled").means[:, -1]).T
    assert ((one == two) | (two == three)).all() and one + three == pytest.approx(np.ones(N), abs=1e-6)


def test_the_filter_of_jumps_against_every_hidden_path():
    slow, fast, level, trials, block = 0.1, 0.4, 0.7, 7, 3
    home = family(trials=trials, change="reversal", slow_rate=slow, fast_rate=fast, level=level, block=block)
    rng = np.random.default_rng(4)
    acts, paid = rng.integers(0, 2, (trials - 1, 5)), rng.integers(0, 2, (trials - 1, 5))
    got = filtered(make("drift_filter", home), acts, paid)
    for t, i in itertools.product(range(trials), range(5)):
        mass = np.zeros(2)
        for first, path in itertools.product((0, 1), itertools.product((0, 1), repeat=t + 1)):
            p = 0.25
            for s in range(1, t + 1):
                rate = (slow, fast)[(first + s // block) % 2]
                p *= rate if path[s] != path[s - 1] else 1 - rate
            for s in range(t):
                high = level if path[s] else 1 - level
                wins = high if acts[s, i] == 0 else 1 - high
                p *= wins if paid[s, i] else 1 - wins
            mass[path[t]] += p
        mean = (mass @ [1 - level, level]) / mass.sum()
        assert got[t, i] == pytest.approx([mean, 1 - mean], abs=1e-5)


def filtered(subject, acts, paid):
    """[T + 1, N, K] posterior means before and after each of the given acts and outcomes [T, N]."""
    n = acts.shape[1]
    carry, still, out = subject.initialize_carry(n), jnp.zeros(n, jnp.int32), []
    learn = jax.jit(lambda carry, percept: subject.update_belief(carry, percept))
    for t in range(len(acts) + 1):
        action = jnp.asarray(acts[t - 1], jnp.int32) if t else still - 1
        feedback = jnp.asarray(paid[t - 1], jnp.float32) if t else jnp.zeros(n)
        carry = learn(carry, Percept(jnp.zeros((n, 0)), action, feedback, still + t, still, still + t == 0))
        out.append(np.asarray(subject.compute_means(carry)))
        carry = carry._replace(past_trials=carry.past_trials + 1)
    return np.stack(out)


@pytest.mark.parametrize("coupled", [True, False])
def test_the_filter_of_a_walk_against_particles(coupled):
    slow, fast, block, trials = 0.03, 0.15, 4, 11
    home = family(
        arms=2 if coupled else 3, trials=trials, slow_rate=slow, fast_rate=fast, block=block, is_coupled=coupled
    )
    rng = np.random.default_rng(8)
    arms = home.choices
    acts, paid = rng.integers(0, arms, (trials - 1, 1)), rng.integers(0, 2, (trials - 1, 1))
    got = filtered(make("drift_filter", home), acts, paid)[:, 0]
    many = 400_000
    first, free = rng.integers(0, 2, many), 1 if coupled else arms
    x, weight = rng.random((many, free)), np.ones(many)
    for t in range(trials):
        if t:
            one = x[:, 0] if coupled else x[:, acts[t - 1, 0]]
            wins = np.where(acts[t - 1, 0] == 0, one, 1 - one) if coupled else one
            weight *= wins if paid[t - 1, 0] else 1 - wins
            rate = np.where((first + t // block) % 2, fast, slow)[:, None]
            x = 1 - np.abs(1 - np.mod(x + rate * rng.standard_normal(x.shape), 2))
        mean = (weight @ x) / weight.sum()
        assert got[t] == pytest.approx(np.append(mean, 1 - mean) if coupled else mean, abs=0.01)


def test_one_step_of_the_walk_is_a_law_whose_even_distribution_stays():
    for rate in (0.0, 0.01, 0.1, 1.3):
        kernel = build_walk_kernel(rate, 23)
        assert (kernel >= 0).all() and kernel.sum(-1) == pytest.approx(np.ones(23))
        assert kernel == pytest.approx(kernel[::-1, ::-1])
        assert np.full(23, 1 / 23) @ kernel == pytest.approx(np.full(23, 1 / 23), abs=2e-3)


def test_more_is_earned_by_filtering_than_by_fixed_rates_and_the_opposite_is_as_bad():
    home = family(trials=40, change="reversal", block=20)
    share = {
        s: live(make(s, home), home, n=N).share()
        for s in ("rescorla_wagner", "drift_filter", "drift_filter:should_minimise=True")
    }
    best, error = share["drift_filter"]
    assert best - share["rescorla_wagner"][0] > 4 * error
    assert share["drift_filter:should_minimise=True"][0] == pytest.approx(-best, abs=6 * error)


def test_the_locator_weighs_whole_lifetimes_of_its_bank():
    home = family(trials=11, bank=3, bank_seed=1)
    bank = np.asarray(home.bank_paths)
    rng = np.random.default_rng(2)
    acts, paid = rng.integers(0, 2, (10, 7)), rng.integers(0, 2, (10, 7))
    chosen = forced(make("path_locator", home), acts, paid).argmax(-1)
    for i in range(7):
        likely = np.ones(3)
        for t in range(11):
            assert chosen[t, i] == (likely @ bank[:, t] / likely.sum()).argmax()
            if t < 10:
                wins = bank[:, t, acts[t, i]]
                likely = likely * (wins if paid[t, i] else 1 - wins)


def test_a_bank_is_all_that_is_seen_and_the_best_fixed_plan_goes_by_the_clock():
    home = family(trials=11, bank=3, bank_seed=4)
    drawn = home.get_split("seen").draw(jax.random.key(1), 64)
    bank = np.asarray(home.bank_paths)
    assert {x.tobytes() for x in np.asarray(drawn.means)} == {x.tobytes() for x in bank}
    assert len(set(bank.mean(1).argmax(-1).tolist())) > 1
    known = home.compute_latents(drawn, "seen")
    plan = bank.mean(0).argmax(-1)
    assert (known["fixed"] == np.asarray(drawn.means)[:, np.arange(11), plan]).all()
    assert known["volatility"].shape == (64, 11) and home.with_bank("bank:3@4").name == home.name
    assert make("path_locator", home).trained_on == "bank:3@4"


def test_settings_and_subjects_that_do_not_fit_are_refused():
    wrong = (
        "arms=3",
        "trials=1",
        "change=jump",
        "slow_rate=0.2,fast_rate=0.1",
        "change=reversal,fast_rate=0.6",
        "level=0.5",
    )
    for spec in (*wrong, "block=0", "bank=-1", "slow_rate=nan"):
        with pytest.raises(MesascopeError) as why:
            catalogue.make("families", f"restless_bandit:{spec}")
        assert why.value.remedy
    for name in ("drift_filter", "path_locator"):
        with pytest.raises(MesascopeError):
            catalogue.make("subjects", name, catalogue.make("families", "bernoulli_bandit:bank=3"))
    with pytest.raises(MesascopeError):
        make("path_locator", family())


@pytest.mark.parametrize("spec", ["locator", "part_time:procedure=locator", "bank_habit"])
def test_paths_are_no_means_of_arms(spec):
    with pytest.raises(MesascopeError, match="has no bank of arms' means") as why:
        make(spec, family(trials=12, bank=3))
    assert why.value.remedy


def test_no_ideal_locator_of_arms_is_fitted_to_paths():
    home = family(trials=12, bank=3)
    trials = rollout(make("path_locator", home), home, "fresh", 4, 0)
    assert trials.attrs["trained_on"].startswith("bank:")
    assert "locator" not in [p.name for p in list_procedures(trials, replay=Replays())]


def test_the_gymnasium_facade_lives_a_changing_lifetime():
    env = FamilyEnv(family(trials=7, fast_rate=0.3, block=2), render_mode="ansi")
    env.reset(seed=2)
    scores = [env.step(1)[4]["score"] for _ in range(7)]
    assert len(set(scores)) > 3 and "arm B" in env.render()
