"""What is true of each scripted subject by construction."""

from __future__ import annotations

import tomllib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope.contracts import ScriptedSubject
from mesascope.errors import MesascopeError
from mesascope.rollouts.rollouts import rollout, strip_identity
from mesascope.validation.ladder import TRUTH_PATH
from mesascope.worlds.bandits.families.bernoulli_bandit import family
from tests.subjects.lives import forced, live, make

TRUTH = tomllib.loads(TRUTH_PATH.read_text())
HOME = TRUTH["defaults"]["family"]
SPECS = sorted(
    {
        row.get("subject", name)
        for name, row in TRUTH["subjects"].items()
        if row.get("family", HOME).startswith("bernoulli_bandit")  # the others are in tests/worlds
    }
)
PLAIN = family(arms=3, trials=11)


def put_to(spec: str, trials: int = 11):
    """A family that a subject can live in."""
    arms = 2 if spec.startswith("bayes_optimal") else 3
    return family(arms=arms, trials=trials, bank=5 if spec.startswith("locator") else 0)


def histories(trials: int = 11, n: int = 7, arms: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Acts and outcomes [T, N] at random."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, arms, (trials, n)), rng.integers(0, 2, (trials, n))


@pytest.mark.parametrize("spec", SPECS)
def test_probabilities(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tasks = put_to(spec)
    subject = make(spec, tasks)
    assert isinstance(subject, ScriptedSubject)
    assert subject.name.partition(":")[0] == spec.partition(":")[0]
    probabilities = forced(subject, *histories(arms=tasks.choices))
    assert probabilities.shape == (12, 7, tasks.choices)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    for leaf in jax.tree.leaves(subject.initialize_carry(7)):
        assert leaf.shape[0] == 7


def test_actions_follow_the_probabilities():
    subject = make("biased:ratio=3", PLAIN)
    lives = live(subject, PLAIN, n=4000)
    np.testing.assert_allclose(np.bincount(lives.action.ravel()) / 44_000, np.array([9, 3, 1]) / 13, atol=0.01)


LOPSIDED = (  # name an arm, break ties by the first, or need a family of their own
    *("fixed", "biased", "round_robin", "clock", "random_then_fixed", "feedback_hash", "hash_commit"),
    *("early_only", "explore_then_commit", "bayes_optimal", "locator"),
)
SYMMETRIC = {s for s in SPECS if s.partition(":")[0] not in LOPSIDED}
SYMMETRIC |= {"epsilon_greedy:tries_each_first=True", "ucb1:is_growing=False,tries_each_first=True"}


@pytest.mark.parametrize("spec", sorted(SYMMETRIC))
def test_names_of_arms_do_not_matter(spec):
    acts, paid = histories()
    order = np.array([2, 0, 1])  # arm k is now called order[k]
    subject = make(spec, PLAIN)
    plain, renamed = forced(subject, acts, paid), forced(subject, order[acts], paid)
    np.testing.assert_allclose(renamed[..., order], plain, atol=2e-5)


def test_names_of_arms_do_not_matter_to_a_locator():
    acts, paid = histories()
    order = np.array([2, 0, 1])
    locator = make("locator", family(arms=3, trials=11, bank=5))
    turned = eqx.tree_at(lambda s: s.bank_means, locator, locator.bank_means[:, np.argsort(order)])
    np.testing.assert_allclose(forced(turned, order[acts], paid)[..., order], forced(locator, acts, paid), atol=2e-5)


COUNTING = ("thompson", "optimistic_thompson", "gittins", "gittins:discount=0", "greedy", "epsilon_greedy", "ucb1")


@pytest.mark.parametrize("spec", [*COUNTING, "locator", "bayes_optimal"])
def test_equal_counts_give_equal_outputs(spec, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    tasks = put_to(spec, trials=12)
    acts, paid = histories(arms=tasks.choices)
    order = np.random.default_rng(1).permutation(11)
    subject = make(spec, tasks)
    one, other = forced(subject, acts, paid)[-1], forced(subject, acts[order], paid[order])[-1]
    np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("spec", ["windowed", "rescorla_wagner", "thompson:discount=0.93", "change_point_thompson"])
def test_order_matters_to_what_forgets(spec):
    acts, paid = histories(trials=22)
    subject = make(spec, family(arms=3, trials=30))
    assert np.abs(forced(subject, acts, paid)[-1] - forced(subject, acts[::-1], paid[::-1])[-1]).max() > 0.02


BLIND = ("uniform", "fixed", "biased", "sticky", "round_robin", "clock", "random_then_fixed", "choice_trace")


@pytest.mark.parametrize("spec", BLIND)
def test_feedback_is_not_looked_at(spec):
    acts, paid = histories(trials=60)
    subject = make(spec, family(arms=3, trials=60, prior="beta:1/1+3/1+1/2"))
    np.testing.assert_array_equal(forced(subject, acts, paid), forced(subject, acts, 1 - paid))


@pytest.mark.parametrize(
    ("spec", "first", "last"),
    [  # outcomes of trials first … last (from 0) are all that may change the act after 60 trials
        ("win_stay_lose_shift", 59, 59),
        ("win_stay_lose_shift:lapse=0.1", 59, 59),
        ("clock_win_stay", 59, 59),
        ("windowed", 50, 59),
        ("explore_then_commit", 0, 24),
        ("early_only", 0, 19),
        ("hash_commit", 0, 19),
        ("delayed:is_aware=True", 0, 58),
        ("delayed:is_aware=False", 0, 58),
    ],
)
def test_which_feedback_counts(spec, first, last):
    acts, paid = histories(trials=60, n=40)
    subject = make(spec, family(arms=3, trials=60))
    counted = (np.arange(60) >= first) & (np.arange(60) <= last)
    plain = forced(subject, acts, paid)[-1]
    outside = forced(subject, acts, np.where(counted[:, None], paid, 1 - paid))[-1]
    np.testing.assert_array_equal(outside, plain)
    assert np.abs(forced(subject, acts, np.where(counted[:, None], 1 - paid, paid))[-1] - plain).max() > 0.05
    for edge in {first, last}:
        changed = paid.copy()
        changed[edge] = 1 - changed[edge]
        assert np.abs(forced(subject, acts, changed)[-1] - plain).max() > 1e-4


@pytest.mark.parametrize("spec", ["win_stay_lose_shift", "sticky", "uniform", "fixed", "biased"])
def test_empty_carry(spec):
    assert jax.tree.leaves(make(spec, PLAIN).initialize_carry(5)) == []


def test_delay_known_is_thompson_one_trial_late():
    acts, paid = histories()
    late, thompson = (forced(make(s, PLAIN), acts, paid) for s in ("delayed:is_aware=True", "thompson"))
    np.testing.assert_allclose(late[1:], thompson[:-1], atol=1e-6)
    wrong = forced(make("delayed:is_aware=False", PLAIN), acts, paid)
    shifted = forced(make("thompson", PLAIN), acts[1:], paid[:-1])
    np.testing.assert_allclose(wrong[1:], shifted, atol=1e-6)


def test_two_losses_in_a_row_and_no_fewer():
    acts = np.array([[0], [0], [0], [1], [1], [2]])
    paid = np.array([[0], [1], [0], [0], [0], [0]])
    got = forced(make("two_loss_reflex", PLAIN), acts, paid)[1:, 0]
    stays = [1, 1, 1, 0, 1, 0]  # forced off its arm it goes on counting: the act is not its own
    np.testing.assert_allclose(got[np.arange(6), acts[:, 0]], stays, atol=1e-6)
    np.testing.assert_allclose(got[3], [0.5, 0, 0.5], atol=1e-6)


def test_two_losses_beat_a_locator_of_four_tasks():
    reflex, locator = [], []
    for seed in range(10):
        tasks = family(bank=4, bank_seed=seed)
        locator.append(late(live(make("locator", tasks), tasks, n=200, seed=seed)))
    tasks = family()
    reflex = late(live(make("two_loss_reflex", tasks), tasks, n=2000))
    assert reflex > 0.7 > np.mean(locator) + 0.1


def late(lives) -> float:
    half = lives.means.shape[1] // 2
    return lives._replace(means=lives.means[:, half:], score=lives.score[:, half:]).share()[0]


def test_hashes_score_at_chance_and_follow_feedback():
    tasks = family()
    for spec in ("feedback_hash", "hash_commit"):
        share, error = live(make(spec, tasks), tasks, n=4000).share()
        assert abs(share) < 4 * error
    acts, paid = histories(trials=40, n=2000)
    acts_of = forced(make("feedback_hash", family(trials=40)), acts, paid)[20:].argmax(-1)
    np.testing.assert_allclose(np.bincount(acts_of.ravel(), minlength=5) / acts_of.size, 0.2, atol=0.01)


def test_the_clock_improves_on_unequal_priors_alone():
    tasks = family(prior="beta:3/1+1/1+1/1+1/1+1/3")
    for spec, start in (("clock", 0), ("random_then_fixed", 50)):
        lives = live(make(spec, tasks), tasks, n=500)
        assert (lives.action[:, 50:] == tasks.favourite_arm).all()
        assert abs((lives.action[:, start : start + 1] == 0).mean() - (0.2 if spec == "clock" else 1)) < 0.06
        assert late(lives) > 0.6
        assert abs((lives.score - lives.means.mean(-1))[:, :5].mean()) < 0.05


def test_turns_and_commitment():
    tasks = family(arms=3, trials=40)
    lives = live(make("explore_then_commit", tasks), tasks, n=50)
    assert (lives.action[:, :25] == np.arange(25) % 3).all()
    assert (lives.action[:, 25:] == lives.action[:, 25:26]).all()
    assert (live(make("round_robin", tasks), tasks, n=5).action == np.arange(40) % 3).all()
    assert len(np.unique(live(make("delayed_exploiter", tasks), tasks, n=50).action[:, 0])) == 3


def test_windowed_gives_nine_tenths_to_what_paid_most():
    acts, paid = np.array([[0], [1], [1]]), np.array([[1], [1], [1]])
    got = forced(make("windowed", PLAIN), acts, paid)[:, 0]
    np.testing.assert_allclose(got[0], 1 / 3, atol=1e-6)
    np.testing.assert_allclose(got[1], [0.9, 0.05, 0.05], atol=1e-6)
    np.testing.assert_allclose(got[2], [0.45, 0.45, 0.1], atol=1e-6)
    np.testing.assert_allclose(got[3], [0.05, 0.9, 0.05], atol=1e-6)


def test_rescorla_wagner_by_hand():
    got = forced(make("rescorla_wagner:rate=0.2,beta=8", PLAIN), np.array([[1], [1]]), np.array([[1], [0]]))[:, 0]
    values = np.array([[0.5, 0.5, 0.5], [0.5, 0.6, 0.5], [0.5, 0.48, 0.5]])
    expected = np.exp(8 * values) / np.exp(8 * values).sum(1, keepdims=True)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_upper_bounds_by_hand():
    acts, paid = np.array([[0], [1], [2], [0]]), np.array([[1], [0], [1], [0]])
    got = forced(make("ucb1:constant=1,tries_each_first=True", PLAIN), acts, paid)[:, 0]
    np.testing.assert_allclose(got[1], [0, 0.5, 0.5], atol=1e-6)  # untried arms first
    np.testing.assert_allclose(got[3], [0.5, 0, 0.5], atol=1e-6)
    np.testing.assert_allclose(got[4], [0, 0, 1], atol=1e-6)


def test_satisficer_stays_while_the_mean_is_enough():
    acts, paid = np.array([[0], [0], [1]]), np.array([[1], [0], [0]])
    got = forced(make("satisficer", PLAIN), acts, paid)[:, 0]
    np.testing.assert_allclose(got, [[1 / 3] * 3, [1, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5]], atol=1e-6)


def test_the_posterior_of_a_locator():
    tasks = family(arms=3, trials=11, bank=5)
    acts, paid = histories()
    bank = np.asarray(tasks.bank_means, float)
    likely = np.prod(np.where(paid[..., None], bank.T[acts], 1 - bank.T[acts]), 0)  # [N, M]
    posterior = likely / likely.sum(1, keepdims=True)
    got = forced(make("locator", tasks), acts, paid)[-1]
    np.testing.assert_allclose(got, posterior @ np.eye(3)[bank.argmax(1)], atol=1e-5)
    least = forced(make("locator:should_minimise=True,lapse=0.3", tasks), acts, paid)[-1]
    np.testing.assert_allclose(least, 0.7 * posterior @ np.eye(3)[bank.argmin(1)] + 0.1, atol=1e-5)


def test_a_locator_says_its_bank_and_needs_one():
    assert make("locator", family(bank=4, bank_seed=7)).trained_on == "bank:4@7"
    assert make("thompson", family(bank=4)).trained_on == "unlimited"
    with pytest.raises(MesascopeError, match="no bank") as error:
        make("locator", family())
    assert "bank=4" in error.value.remedy


def test_banks_share_compiled_code():
    compiled = 0

    @eqx.filter_jit
    def respond(subject, key, carry, percept):
        nonlocal compiled
        compiled += 1
        return subject.respond(key, carry, percept)

    for seed in (1, 22, 333_333):
        tasks = family(arms=3, trials=11, bank=4, bank_seed=seed)
        percept = tasks.begin(jax.random.key(0), tasks.get_split("seen").draw(jax.random.key(0), 7))[1]
        subject = strip_identity(make("locator", tasks))  # as every rollout takes it
        respond(subject, jax.random.key(0), subject.initialize_carry(7), percept)
    assert compiled == 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("fixed:arm=3", "arm"),
        ("biased:ratio=0", "ratio"),
        ("sticky:stay_probability=1.5", "stay_probability"),
        ("win_stay_lose_shift:lapse=-0.1", "lapse"),
        ("windowed:window=0", "window"),
        ("windowed:focus=nan", "focus"),
        ("epsilon_greedy:epsilon=2", "epsilon"),
        ("epsilon_greedy:ties=rndom", "random"),
        ("greedy:ties=last", "ties"),
        ("ucb1:constant=-1", "constant"),
        ("optimistic_thompson:a=0", "Beta"),
        ("optimistic_thompson:alpha=0", "alpha"),
        ("change_point_thompson:hazard=1.1", "hazard"),
        ("gittins:discount=1", "discount"),
        ("rescorla_wagner:rate=2", "rate"),
        ("explore_then_commit:pulls=0", "pulls"),
        ("delayed_exploiter:start=-1", "start"),
        ("satisficer:min_mean=60", "min_mean"),
        ("clock:ramp_trials=0", "ramp_trials"),
        ("random_then_fixed:start=-1", "start"),
        ("clock_win_stay:ramp_trials=0", "ramp_trials"),
        ("two_loss_reflex:losses=0", "losses"),
        ("choice_trace:rate=2", "rate"),
        ("hash_commit:random_trials=0", "random_trials"),
        ("early_only:learning_trials=0", "learning_trials"),
    ],
)
def test_settings_out_of_range(spec, says):
    with pytest.raises(MesascopeError, match=says) as error:
        make(spec, PLAIN)
    assert error.value.remedy


def test_horizons_that_are_too_long():
    with pytest.raises(MesascopeError, match="201 trials"):
        make("gittins:discount=0", family(trials=201))
    with pytest.raises(MesascopeError, match="states"):
        make("bayes_optimal", family(arms=5, trials=100))
    with pytest.raises(MesascopeError, match="dependent"):
        make("bayes_optimal", family(arms=3, trials=5, prior="dependent"))


def test_past_the_tables_the_posterior_mean_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    acts, paid = histories(trials=20, arms=2)
    tasks = family(arms=2, trials=9)
    greedy = forced(make("greedy", tasks), acts, paid)
    for spec in ("bayes_optimal", "gittins:discount=0"):
        np.testing.assert_allclose(forced(make(spec, tasks), acts, paid)[9:], greedy[9:], atol=1e-6)


def test_drifting_weights_are_refused_by_name():
    with pytest.raises(MesascopeError, match=r"weights.*changed while it ran: \.weights"):
        rollout(make("drifting_weights", PLAIN), PLAIN, lifetimes=3)


def test_leaking_depends_on_what_ran_before():
    subject = make("leaking", PLAIN)
    first, second = (rollout(subject, PLAIN, lifetimes=7, seed=1) for _ in range(2))
    assert first.attrs["fingerprint"] == second.attrs["fingerprint"]
    assert np.abs(first.log_probs.values - second.log_probs.values).max() > 0.1
    alone = rollout(make("leaking", PLAIN), PLAIN, lifetimes=7, seed=1)
    np.testing.assert_array_equal(first.log_probs.values, alone.log_probs.values)


@pytest.mark.parametrize("spec", ["thompson", "locator", "delayed:is_aware=True", "hash_commit", "sticky"])
def test_lifetimes_do_not_touch_each_other(spec):
    acts, paid = histories(n=9)
    order = np.random.default_rng(2).permutation(9)
    subject = make(spec, put_to(spec))
    plain, mixed = forced(subject, acts, paid), forced(subject, acts[:, order], paid[:, order])
    np.testing.assert_allclose(mixed, plain[:, order], atol=1e-6)


def test_odd_sizes_in_a_rollout():
    trials = rollout(make("thompson", PLAIN), PLAIN, lifetimes=7)
    assert trials.log_probs.shape == (1, 7, 11, 3)
    assert jnp.isfinite(trials.score.values).all()
