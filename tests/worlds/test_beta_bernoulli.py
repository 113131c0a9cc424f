import itertools
from math import comb, lgamma, log

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import betabinom

from mesascope import FamilyEnv, catalogue
from mesascope.agents.opening import open_subject
from mesascope.conditions.feedback_shuffled import condition as shuffled
from mesascope.conditions.percept_exchanged_once import condition as flipped
from mesascope.contracts import DoesNotApply, Percept
from mesascope.errors import MesascopeError
from mesascope.questions.in_context.predictions import find_predictions
from mesascope.rollouts.replays import Replays
from mesascope.rollouts.rollouts import rollout
from mesascope.stats import compute_ratio, compute_standard_error
from mesascope.trials import measure_gain
from mesascope.worlds.sequences.families.beta_bernoulli import family
from tests.subjects.lives import make

PLAIN = family()
N = 4096
KINDS = (catalogue.make("conditions", "intact"), shuffled(0), flipped(0))


@pytest.fixture(scope="module")
def lives():
    """Lifetimes of three subjects, undisturbed, with all symbols shuffled, and with the last one flipped."""
    specs = ("bayes_predictor", "last_symbol", "bayes_predictor:greedy=True")
    return {s: rollout(make(s, PLAIN), PLAIN, "fresh", 2048, 3, conditions=KINDS) for s in specs}


def expected_loss(home):
    """The exact expected log-loss of the Bayes mixture over a lifetime in nats, by the counts of symbol 1."""
    ones = np.arange(home.horizon + 1)
    log_probability = np.asarray([beta(home.a + k, home.b + home.horizon - k) - beta(home.a, home.b) for k in ones])
    return -(betabinom.pmf(ones, home.horizon, home.a, home.b) * log_probability).sum()


def test_the_expected_loss_is_that_of_the_literature_and_of_the_counts():
    assert expected_loss(PLAIN) == pytest.approx(11.147, abs=5e-4)
    even = log(21) + np.mean([log(comb(20, k)) for k in range(21)])  # under Beta(1, 1) every count is as likely
    assert expected_loss(PLAIN) == pytest.approx(even)


def test_the_expected_loss_over_every_sequence_by_the_predictors_own_probabilities():
    home, trials = family(trials=9, a=2.5, b=0.7), 9
    sequences = np.asarray(list(itertools.product((0, 1), repeat=trials)))
    losses = -np.log(predictions(make("bayes_predictor", home), sequences)).sum(1)
    ones = sequences.sum(1)
    mass = np.exp([beta(2.5 + k, 0.7 + trials - k) - beta(2.5, 0.7) for k in ones])
    assert mass.sum() == pytest.approx(1)
    assert (mass * losses).sum() == pytest.approx(expected_loss(home), abs=1e-4)


def beta(a, b):
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def predictions(subject, sequences):
    """[N, T] the probability that the subject gave to each symbol of given sequences [N, T]."""
    n, trials = sequences.shape
    carry, shown, out = subject.initialize_carry(n), jnp.full((n, 1), -1.0), []
    still = jnp.zeros(n, jnp.int32)
    for t in range(trials):
        percept = Percept(shown, still - 1, jnp.zeros(n), still + t, still, jnp.full(n, t == 0))
        carry, response = subject.respond(jax.random.key(t), carry, percept)
        out.append(np.exp(np.asarray(response.log_probs))[np.arange(n), sequences[:, t]])
        shown = jnp.asarray(sequences[:, t : t + 1], jnp.float32)
    return np.stack(out, 1)


def test_equal_counts_give_equal_predictions_and_a_discount_forgets():
    sequences = np.asarray([[1, 0, 0, 1, 1], [0, 1, 1, 0, 1], [1, 1, 0, 0, 1]])
    got = predictions(make("bayes_predictor", PLAIN), sequences)
    assert got[:, 4] == pytest.approx(np.full(3, 3 / 6))
    faded = predictions(make("bayes_predictor:discount=0.5,a=2", PLAIN), sequences)[:, 4]
    for row, p in zip(sequences, faded, strict=True):
        weight = np.asarray([0.5 ** (3 - i) for i in range(4)])
        assert p == pytest.approx((2 + weight @ row[:4]) / (3 + weight.sum()), abs=1e-6)


def test_the_loss_and_the_score_of_lifetimes(lives):
    lived = lives["bayes_predictor"].sel(condition="intact")
    right = lived.feedback.values > 0.5
    symbol = np.where(right, lived.action.values, 1 - lived.action.values)
    loss = -np.take_along_axis(lived.log_probs.values, symbol[..., None].astype(int), -1)[..., 0].sum(1)
    assert loss.mean() == pytest.approx(11.147, abs=4 * compute_standard_error(loss))
    # greedy: the larger predictive probability, exactly over the counts, which are equally likely
    exact = sum(np.mean([max(k + 1, t - k + 1) / (t + 2) for k in range(t + 1)]) for t in range(20))
    score = lives["bayes_predictor:greedy=True"].score.sel(condition="intact").values.sum(1)
    assert score.mean() == pytest.approx(exact, abs=4 * compute_standard_error(score))


def test_the_symbol_comes_back_and_no_value_before_the_first_can_be_one(lives):
    lived = lives["last_symbol"].sel(condition="intact")
    shown, action, right = lived.observation.values[..., 0], lived.action.values, lived.feedback.values
    assert (shown[:, 0] == -1).all() and set(np.unique(shown[:, 1:])) == {0, 1}
    assert ((action == shown)[:, 1:]).all()  # it repeats the last symbol
    assert (right[:, :-1] == (action[:, :-1] == shown[:, 1:])).all()
    p = lived.p.values
    assert lived.score.values == pytest.approx(np.where(action == 1, p, 1 - p))


@pytest.mark.parametrize("spec", ["bayes_predictor", "last_symbol"])
def test_shuffling_the_outcome_takes_the_symbol_too(lives, spec):
    plain, other = (compute_ratio(*measure_gain(lives[spec], c.label)) for c in KINDS[:2])
    assert plain.mean() > 0.4
    assert other.mean() == pytest.approx(0, abs=4 * compute_standard_error(other))


def test_flipping_the_outcome_flips_the_symbol(lives):
    acted = lives["last_symbol"].action.values
    assert (acted[2][:, 1:] == 1 - acted[0][:, 1:]).all()


def test_exchanged_and_flipped_percepts_are_coherent():
    zero = np.zeros(3, np.int32)
    percept = Percept(
        np.asarray([[0.0], [1.0], [1.0]]), np.asarray([0, 0, 1]), np.asarray([1.0, 0.0, 1.0]), *[zero] * 3
    )
    other = PLAIN.with_outcome(percept, np.zeros(3), np.asarray([[1.0], [1.0], [0.0]]))
    assert other.feedback.tolist() == [0, 0, 0] and PLAIN.read_target(other).tolist() == [1, 1, 0]
    assert PLAIN.with_opposite_outcome(percept).feedback.tolist() == [0, 1, 0]
    assert PLAIN.read_target(PLAIN.with_opposite_outcome(percept)).tolist() == [1, 0, 0]


def paths(split, home=PLAIN):
    return np.asarray(home.get_split(split).draw(jax.random.key(5), N).p)


def test_each_split_is_what_it_says():
    fresh, high, rare = (paths(r)[:, 0] for r in ("fresh", "shifted:high", "shifted:rare"))
    assert fresh.mean() == pytest.approx(0.5, abs=0.02) and fresh.var() == pytest.approx(1 / 12, abs=0.005)
    assert high.mean() == pytest.approx(5 / 6, abs=0.01)
    assert np.minimum(rare, 1 - rare).max() <= 0.05 and (rare > 0.5).mean() == pytest.approx(0.5, abs=0.04)
    swapped = paths("exchanged:symbols")
    assert (swapped[:, :10] == swapped[:, :1]).all() and swapped[:, 10:] == pytest.approx(1 - swapped[:, :10])
    steps = np.diff(paths("restructured:drift"), axis=1)
    assert np.sqrt((steps**2).mean()) == pytest.approx(0.1, rel=0.1) and paths("restructured:drift").max() <= 1


def test_symbols_that_hang_on_the_last_one():
    tasks = PLAIN.get_split("restructured:repeats").draw(jax.random.key(7), N)
    state, percept = PLAIN.begin(jax.random.key(0), tasks)
    shown, q = [], np.asarray(tasks.p)[:, 0]
    for t in range(6):
        last = percept.observation[:, 0]
        action = jnp.where(last < 0, 1, last).astype(jnp.int32)
        state, percept, score = PLAIN.step(jax.random.key(t), tasks, state, action)
        assert np.asarray(score) == pytest.approx(q if t else np.full(N, 0.5), abs=1e-6)
        shown.append(np.asarray(percept.observation[:, 0]))
    again = np.mean([a == b for a, b in itertools.pairwise(shown)], 0)
    assert (again - q).mean() == pytest.approx(0, abs=0.02) and np.corrcoef(again, q)[0, 1] > 0.7
    known = PLAIN.compute_latents(tasks, "restructured:repeats")
    assert (known["best"][:, 0] == 0.5).all() and known["best"][:, 3] == pytest.approx(np.maximum(q, 1 - q))


def test_the_best_prediction_that_cannot_adapt_goes_by_the_prior():
    home = family(trials=7, a=3, b=1)
    tasks = home.get_split("exchanged:symbols").draw(jax.random.key(2), N)
    p = np.asarray(tasks.p)
    fixed = home.compute_latents(tasks, "exchanged:symbols")["fixed"]
    assert fixed[:, :3] == pytest.approx(p[:, :3]) and fixed[:, 3:] == pytest.approx(1 - p[:, 3:])
    assert (PLAIN.compute_latents(PLAIN.draw(jax.random.key(2), N), "fresh")["fixed"] == 0.5).all()


def test_a_bank_holds_both_likelier_symbols_and_is_all_that_is_seen():
    for seed in range(4):
        home = family(bank=2, bank_seed=seed)
        p = np.asarray(home.bank_means)[:, 1]
        assert p.min() <= 0.5 < p.max() and home.bank_label == f"bank:2@{seed}"
    assert set(paths("seen", home)[:, 0].tolist()) == set(p.tolist())
    assert home.with_bank("bank:2@3").name == home.name and home.with_bank(None).name == "beta_bernoulli"
    assert make("locator", home).trained_on == "bank:2@3"


def test_settings_and_subjects_that_do_not_fit_are_refused():
    for spec in ("trials=1", "a=0", "b=-1", "a=nan", "bank=-1", "a=1e5,b=0.01,bank=2"):
        with pytest.raises(MesascopeError) as why:
            catalogue.make("families", f"beta_bernoulli:{spec}")
        assert why.value.remedy
    for name in ("bayes_predictor", "last_symbol"):
        with pytest.raises(MesascopeError):
            catalogue.make("subjects", name, catalogue.make("families", "bernoulli_bandit"))


def test_the_gymnasium_facade_shows_the_symbol():
    env = FamilyEnv(family(trials=7), render_mode="ansi")
    first, _ = env.reset(seed=1)
    assert first[0] == -1 and env.observation_space.contains(first)
    for t in range(7):
        shown, paid, done, _, info = env.step(t % 2)
        assert paid == float(shown[0] == t % 2) and f"it was {int(shown[0])}" in env.render()
        assert info["chance"] == 0.5 and done == (t == 6)


def test_predictions_that_were_not_recorded_come_from_a_replay_of_the_subject():
    predictor = make("bayes_predictor", PLAIN)
    kept, bare = (
        rollout(predictor, PLAIN, "fresh", 64, 3, should_keep_log_probs=should_keep) for should_keep in (True, False)
    )
    assert "log_probs" not in bare
    found = find_predictions(bare, Replays(predictor))
    assert found == pytest.approx(find_predictions(kept, None), abs=1e-6) and np.ptp(found) > 0.5
    with pytest.raises(DoesNotApply, match="no probabilities"):
        find_predictions(bare, Replays(None))


def test_choices_alone_are_no_predictions():
    def choose_last(percept, state, rng):
        return np.maximum(percept["action"], 0), state

    choosing = open_subject(choose_last, PLAIN)
    trials = rollout(choosing, PLAIN, "fresh", 64, 3)
    assert "log_probs" not in trials
    with pytest.raises(DoesNotApply, match="no probabilities"):
        find_predictions(trials, Replays(choosing))
