import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import catalogue
from mesascope.errors import MesascopeError

N = 4096


def make(spec):
    return catalogue.make("families", f"bernoulli_bandit:{spec}")


def means(family, split, seed=0):
    return np.asarray(family.get_split(split).draw(jax.random.key(seed), N).means)


def test_shifted_splits_are_the_fresh_means_moved():
    family = make("arms=3,trials=11")
    fresh, low, high = (means(family, r) for r in ("fresh", "shifted:low", "shifted:high"))
    assert low == pytest.approx(0.3 * fresh, abs=1e-6)
    assert high == pytest.approx(0.7 + 0.3 * fresh, abs=1e-6)
    assert fresh.mean() == pytest.approx(0.5, abs=0.01)


def test_a_reversal_exchanges_best_and_worst_half_way_and_nothing_else():
    family = make("arms=4,trials=11")
    path = means(family, "exchanged:reversal")
    before, after = path[:, 4], path[:, 5]
    assert (path[:, :5] == before[:, None]).all() and (path[:, 5:] == after[:, None]).all()
    rows = np.arange(N)
    assert (after[rows, before.argmax(1)] == before.min(1)).all()
    assert (after[rows, before.argmin(1)] == before.max(1)).all()
    assert ((before == after).sum(1) == 2).all()
    assert family.get_split("exchanged:reversal").change_trial == 5


def test_a_random_exchange_moves_every_arm_and_keeps_the_pay_offs():
    path = means(make("arms=5,trials=10"), "exchanged:random")
    assert (path[:, 0] != path[:, 9]).all()
    assert (np.sort(path[:, 0]) == np.sort(path[:, 9])).all()


def test_drift_moves_by_its_standard_deviation_and_stays_between_nought_and_one():
    path = means(make("arms=2,trials=30"), "restructured:drift")
    assert path.min() >= 0 and path.max() <= 1
    inner = (path[:, 0] > 0.3) & (path[:, 0] < 0.7)
    assert np.diff(path, axis=1)[:, 0][inner].std() == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize(("prior", "levels"), [("dependent_easy", (0.1, 0.9)), ("dependent_hard", (0.4, 0.6))])
def test_dependent_arms_one_and_the_others(prior, levels):
    got = means(make(f"arms=3,trials=4,prior={prior}"), "fresh")[:, 0]
    ordered = np.sort(got, axis=1)
    one_high = ordered[:, 1] == ordered[:, 0]
    assert one_high.mean() == pytest.approx(0.5, abs=0.05)
    assert np.unique(got.round(5)).tolist() == pytest.approx(levels)
    assert "restructured:independent" in make(f"arms=3,prior={prior}").split_names


def test_unequal_priors_have_their_means_and_a_favourite():
    family = make("arms=3,trials=4,prior=beta:1/1+6/2+1/3")
    assert means(family, "fresh")[:, 0].mean(0) == pytest.approx([0.5, 0.75, 0.25], abs=0.02)
    latents = family.compute_latents(family.draw(jax.random.key(1), 5), "fresh")
    assert (latents["fixed"] == latents["means"][..., 1]).all()


def test_inverted_feedback_leaves_the_score():
    family = make("arms=2,trials=40")
    tasks = family.get_split("inverted:feedback").draw(jax.random.key(0), N)
    state, _ = family.begin(jax.random.key(1), tasks)
    _, percept, score = family.step(jax.random.key(2), tasks, state, jnp.zeros(N, jnp.int32))
    assert float(score.mean()) == pytest.approx(float(tasks.means[:, 0, 0].mean()))
    assert float((percept.feedback - (1 - score)).mean()) == pytest.approx(0, abs=0.03)


def test_a_bank_holds_two_best_arms_is_recorded_by_seed_and_is_all_that_is_seen():
    for seed in range(12):
        family = make(f"arms=2,trials=3,bank=2,bank_seed={seed}")
        bank = np.asarray(family.bank_means)
        assert family.bank_label == f"bank:2@{seed}" and len(set(bank.argmax(1))) == 2
    seen = means(family, "seen")[:, 0]
    assert {tuple(row) for row in seen.round(5).tolist()} == {tuple(row) for row in bank.round(5).tolist()}
    assert family.with_bank("bank:2@3").bank_label == "bank:2@3" and family.with_bank(None).bank_label is None
    assert (family.with_bank(family.bank_label).bank_means == family.bank_means).all()


def test_the_best_policy_that_cannot_adapt_on_the_bank_is_its_best_arm_on_average():
    family = make("arms=3,trials=4,bank=5,bank_seed=2")
    latents = family.compute_latents(family.get_split("seen").draw(jax.random.key(1), 64), "seen")
    best = int(np.asarray(family.bank_means).mean(0).argmax())
    assert (latents["fixed"] == latents["means"][..., best]).all()


@pytest.mark.parametrize(
    "spec",
    [
        "arms=1",
        "trials=1",
        "bank=-1",
        "prior=normal",
        "prior=beta:1/1",
        "prior=beta:1/1+2/x",
        "arms=2,prior=beta:1/0+1/1",
    ],
)
def test_settings_that_make_no_bandit_are_refused(spec):
    with pytest.raises(MesascopeError) as told:
        make(spec)
    assert told.value.remedy


def test_the_gymnasium_facade_pays_and_tells_the_truth():
    from mesascope import FamilyEnv

    env = FamilyEnv(make("arms=3,trials=7"), render_mode="ansi")
    first, _ = env.reset(seed=5)
    again, _ = env.reset(seed=5)
    assert (first == again).all() and env.observation_space.contains(first)
    told, done = [], False
    while not done:
        shown, reward, done, truncated, info = env.step(1)
        told.append((reward, info["score"]))
        assert env.observation_space.contains(shown) and not truncated
        assert shown[:4].tolist() == [0, 1, 0, reward]
        assert info["chance"] <= info["best"] and "arm B" in env.render()
    assert len(told) == 7 and len({score for _, score in told}) == 1
