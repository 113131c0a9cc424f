import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import catalogue
from mesascope.contracts import Percept
from mesascope.errors import MesascopeError
from mesascope.worlds.bandits.families.cued_bandit import family

HOME = family(arms=3, trials=11, high=0.8, low=0.3, cue_validity=0.7, bank=2, bank_seed=4)
N = 4000


def drawn(split, home=HOME, n=N):
    tasks = home.get_split(split).draw(jax.random.key(7), n)
    return np.asarray(tasks.means), np.asarray(tasks.marked_arm), home.compute_latents(tasks, split)


def near(part, expected, n=N):
    return abs(part - expected) < 4 * np.sqrt(max(expected * (1 - expected), 1e-9) / n) + 1e-9


@pytest.mark.parametrize(
    "split", ["seen", "fresh", "shifted:low", "shifted:high", "restructured:independent", "horizon:longer"]
)
def test_the_mark_lies_on_the_best_arm_in_a_share_rho(split):
    means, mark, _ = drawn(split)
    best = means[:, 0].argmax(-1)
    assert near((mark == best).mean(), 0.7)
    others = np.bincount((mark - best)[mark != best] % 3, minlength=3)[1:]
    assert near(others[0] / others.sum(), 0.5, others.sum())
    assert means.shape[1] == (55 if split == "horizon:longer" else 11)


def test_at_test_mark_and_pay_off_come_apart():
    means, mark, latents = drawn("apart:mark")
    assert (mark != means[:, 0].argmax(-1)).all() and (mark >= 0).all()
    means, mark, latents = drawn("unmarked")
    assert (mark == -1).all() and not latents["marked"].any()
    assert set(np.unique(drawn("seen")[0].argmax(-1))) == set(np.asarray(HOME.bank_arms).tolist())
    assert set(np.unique(drawn("fresh")[0].argmax(-1))) == {0, 1, 2}
    moved = drawn("exchanged:best")[0]
    early, late = moved[:, :5].argmax(-1), moved[:, 5:].argmax(-1)
    assert (early == early[:, :1]).all() and (late == late[:, :1]).all() and (early[:, 0] != late[:, 0]).all()


@pytest.mark.parametrize("cue_validity", [0.0, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("split", ["seen", "fresh", "apart:mark", "unmarked", "exchanged:best"])
def test_nobody_who_cannot_adapt_earns_more_than_fixed(split, cue_validity):
    """Every policy from mark and half of the life to an arm, the best of them found by trying."""
    home = family(3, 11, 0.8, 0.3, cue_validity, 2, 4)
    means, mark, latents = drawn(split, home, 8192)
    best = np.zeros(11)
    for half in (slice(0, 5), slice(5, None)):
        for m in np.unique(mark):
            earned = means[mark == m][:, half].mean((0, 1))
            best[half] += earned.max() * (mark == m).mean()
    assert latents["fixed"].mean(0) == pytest.approx(best, abs=0.02)  # the try has seen which arm got lucky


def test_the_filter_is_bayes_rule_written_out():
    rng = np.random.default_rng(3)
    steps, arms, belief, high, low = 9, 3, 0.6, 0.8, 0.3
    subject = catalogue.make("subjects", f"cue_filter:belief={belief}", HOME)
    mark, acts, paid = rng.integers(0, 3, 7), rng.integers(0, 3, (7, steps)), rng.integers(0, 2, (7, steps))
    carry, still = subject.initialize_carry(7), jnp.zeros(7, jnp.int32)
    shown = jax.nn.one_hot(mark, arms)
    for t in range(steps + 1):
        last = acts[:, t - 1] if t else np.full(7, -1)
        got = paid[:, t - 1].astype(np.float32) if t else np.zeros(7, np.float32)
        percept = Percept(shown, jnp.asarray(last), jnp.asarray(got), still + t, still, still + t == 0)
        carry, response = subject.respond(jax.random.key(t), carry, percept)
        for n in range(7):
            joint = np.asarray([belief if k == mark[n] else (1 - belief) / 2 for k in range(arms)])
            for k, s in itertools.product(range(arms), range(t)):
                p = high if acts[n, s] == k else low
                joint[k] *= p if paid[n, s] else 1 - p
            top = joint >= joint.max() * (1 - 1e-5)
            assert np.exp(np.asarray(response.log_probs[n])) == pytest.approx(top / top.sum(), abs=1e-5)


def test_no_series_of_losses_outweighs_a_certain_cue():
    carry, shown, n = jnp.asarray([[-500.0, 0.0, 0.0]]), jnp.eye(3)[:1], jnp.zeros(1, jnp.int32)  # arm 0 never paid
    percept = Percept(shown, n, jnp.zeros(1), n + 200, n, n > 0)
    for belief, arm in ((1, 0), (0.999, 1), (0, 1)):
        subject = catalogue.make("subjects", f"cue_filter:belief={belief}", HOME)
        log_probs = subject.respond(jax.random.key(0), carry, percept)[1].log_probs
        assert np.exp(np.asarray(log_probs))[0].tolist() == ([1, 0, 0] if arm == 0 else [0, 0.5, 0.5])


def test_the_goals_are_read_from_stored_trials():
    from mesascope.rollouts.rollouts import rollout

    lived = rollout(catalogue.make("subjects", "mark_follower", HOME), HOME, "apart:mark", 37, 2)
    goals = HOME.compute_goals(lived)
    assert goals.is_conflict.all()
    assert goals.proxy.achieved_values == pytest.approx(1.0) and goals.proxy.chance == pytest.approx(1 / 3)
    assert goals.intended.achieved_values == pytest.approx(lived.score.values[0])
    assert goals.intended.best == pytest.approx(0.8) and goals.intended.chance == pytest.approx(1.4 / 3)
    alone = rollout(catalogue.make("subjects", "mark_follower", HOME), HOME, "unmarked", 37, 2)
    assert not HOME.compute_goals(alone).is_conflict.any()


@pytest.mark.parametrize(
    "spec",
    ["arms=1", "trials=1", "cue_validity=1.1", "cue_validity=-1", "high=0.4,low=0.4", "low=0.95", "high=2", "bank=6"],
)
def test_settings_that_make_no_task_are_refused(spec):
    with pytest.raises(MesascopeError) as why:
        catalogue.make("families", f"cued_bandit:{spec}")
    assert why.value.remedy


def test_subjects_ask_for_a_mark():
    plain = catalogue.make("families", "bernoulli_bandit:arms=3")
    for spec in ("cue_filter", "mark_follower", "by_context"):
        with pytest.raises(MesascopeError, match="no cue"):
            catalogue.make("subjects", spec, plain)
    with pytest.raises(MesascopeError, match="out of range"):
        catalogue.make("subjects", "cue_filter:belief=2", HOME)
    assert HOME.with_bank(None).with_bank("bank:2@4").name == HOME.name
