"""Decoding, editing and reordering against what is known by construction."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import catalogue
from mesascope.contracts import ScriptedSubject, choose, compute_posterior_means, count_last_outcome
from mesascope.errors import MesascopeError
from mesascope.examination.measurement import apply_metrics
from mesascope.questions.activations.belief_edit import compute_belief_swap
from mesascope.questions.activations.decoding import Moments
from mesascope.questions.procedures.histories import compute_beliefs, select_first_lifetimes
from mesascope.rollouts.replays import Replays, replay
from mesascope.rollouts.rollouts import rollout

FAMILY = "bernoulli_bandit:arms=5,trials=100"


@pytest.fixture(scope="module")
def found():
    """Findings of a metric on a subject, by the question behind the metric's name."""
    family = catalogue.make("families", FAMILY)

    @functools.cache
    def live(spec):
        subject = SUBJECTS[spec](family) if spec in SUBJECTS else catalogue.make("subjects", spec, family)
        return subject, rollout(subject, family, "fresh", 64, 2)

    def ask(metric, spec):
        subject, lived = live(spec)
        told = apply_metrics([catalogue.make("metrics", metric)], {"fresh": lived}, replay=Replays(subject))
        return {f.metric.partition(": ")[2]: f for f in told}

    return ask


class Open(ScriptedSubject):
    """Counts [N, 2K] that anyone may read and write; softmax over posterior means."""

    name: str
    choices: int
    beta: float

    def initialize_carry(self, n):
        return jnp.zeros((n, 2 * self.choices))

    def respond(self, key, carry, percept):
        counts = carry.reshape(-1, self.choices, 2) + count_last_outcome(percept, self.choices)
        return counts.reshape(carry.shape), choose(key, jax.nn.log_softmax(self.beta * compute_posterior_means(counts)))

    def read_taps(self, carry):
        return {"counts": carry}


class Computed(Open):
    """The same whose tap is computed, so that nothing can be written to it."""

    def read_taps(self, carry):
        return {"means": compute_posterior_means(carry.reshape(-1, self.choices, 2))}


SUBJECTS = {"open": lambda f: Open("open", f.choices, 8.0), "computed": lambda f: Computed("computed", f.choices, 8.0)}
UNLIMITED, MEMORYLESS = "recurrent:path=unlimited", "recurrent:path=memoryless"


def test_regressions_from_sums_are_those_from_rows():
    rng = np.random.default_rng(1)
    x = rng.normal(2, 3, (7, 11, 4)) * [1, 2, 3, 0]
    y = x[..., :2] @ rng.normal(size=(2, 3)) + rng.normal(size=(7, 11, 3))
    got = Moments(x, y).fit_ridge(omitted_fold=2)
    rows, told = x[np.arange(7) % 5 != 2].reshape(-1, 4), y[np.arange(7) % 5 != 2].reshape(-1, 3)
    z = np.where(rows.std(0) > 1e-6, (rows - rows.mean(0)) / np.maximum(rows.std(0), 1e-6), 0)
    by_hand = np.linalg.solve(z.T @ z / len(z) + 1e-3 * np.eye(4), z.T @ (told - told.mean(0)) / len(z))
    assert np.allclose(got.weights, by_hand, atol=1e-8)
    assert np.allclose(got(rows), z @ by_hand + told.mean(0), atol=1e-7)
    assert np.isinf(got.scale[3])


def test_predictions_do_not_see_their_own_lifetimes():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(7, 11, 3)), rng.normal(size=(7, 11, 2))
    before = Moments(x, y).predict()
    y[2] += 5
    after = Moments(x, y).predict()
    assert np.allclose(before[2], after[2]) and not np.allclose(before[3], after[3])


def test_beliefs_are_the_moments_of_a_beta(found):
    from scipy import stats

    family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")
    lived = rollout(catalogue.make("subjects", "uniform", family), family, "fresh", 7, 1)
    seen = select_first_lifetimes(lived, 7)[1]
    told = compute_beliefs(seen)
    posterior = stats.beta(1 + seen.counts[3, 9, 1, 0], 1 + seen.counts[3, 9, 1, 1])
    assert told["posterior means"][3, 9, 1] == pytest.approx(posterior.mean(), abs=1e-6)
    assert told["posterior standard deviations"][3, 9, 1] == pytest.approx(posterior.std(), abs=1e-6)
    by_hand = (seen.action[3, :9] == 1).sum()
    assert told["counts"][3, 9, 1] == by_hand


def test_the_unlimited_network_holds_posterior_means_beyond_every_control(found):
    told = found("belief_decoding", UNLIMITED)
    for belief in ("posterior means", "posterior standard deviations"):
        above = [f for name, f in told.items() if name.startswith(f"{belief}, R² above")]
        assert len(above) == 3 and all(f.low > 0 for f in above), above
    assert told["posterior means, R²"].low > 0.7


def test_counts_in_the_open_are_decoded_whole(found):
    """No untrained twin there, and it says so."""
    told = found("belief_decoding", "open")
    assert told["counts, R²"].estimate > 0.999 and "no untrained twin" in told["counts, R²"].reason
    assert not any("untrained" in name for name in told)
    assert abs(told["counts, R²"].estimate - told["counts, R² above another lifetime's beliefs"].estimate) < 0.35


def test_writing_beliefs_moves_the_unlimited_network_and_no_other_step_does(found):
    told = found("belief_edit", UNLIMITED)
    written, aside = told["edited beliefs"], told["random steps of the same length"]
    assert written.low > 0.5 and aside.high < 0.1
    assert told["edited beliefs minus steps towards another lifetime's carry"].low > 0.3


@pytest.mark.parametrize("metric", ["belief_decoding", "belief_edit"])
def test_without_memory_there_is_nothing_to_read_or_write(found, metric):
    (only,) = found(metric, MEMORYLESS).values()
    assert only.status == "does not apply" and "no taps" in only.reason


def test_a_computed_tap_is_read_and_not_written(found):
    assert found("belief_decoding", "computed")["posterior means, R²"].estimate > 0.999
    (only,) = found("belief_edit", "computed").values()
    assert only.status == "does not apply" and "cannot be changed" in only.reason


def test_exchanged_beliefs_are_those_of_the_other_choice():
    y, new = np.array([[[0.2, 0.7, 0.4]], [[0.1, 0.5, 0.3]]]), np.array([[0], [1]])
    assert np.allclose(y + compute_belief_swap(y, new), [[[0.7, 0.2, 0.4]], [[0.1, 0.5, 0.3]]])


def test_a_pushed_carry_is_the_one_that_responds(found):
    """Ten wins written to an arm of the open subject before a trial: its softmax as computed by hand."""
    family = catalogue.make("families", FAMILY)
    subject = SUBJECTS["open"](family)
    lived = rollout(subject, family, "fresh", 7, 2)
    plain = replay(subject, lived, recorded_taps=("counts",))
    push = np.zeros_like(plain.taps["counts"])
    push[:, 30, 4] = 10  # wins of arm 2
    moved = replay(subject, lived, added_activations={"counts": push})
    same, after, before = np.arange(100) != 30, np.asarray(moved.log_probs), np.asarray(plain.log_probs)
    assert np.allclose(after[:, same], before[:, same], atol=1e-6)
    counts = plain.taps["counts"][:, 30].reshape(7, 5, 2).astype(float)
    counts[:, 2, 0] += 10
    value = 8.0 * (counts[..., 0] + 1) / (counts.sum(-1) + 2)
    by_hand = np.exp(value) / np.exp(value).sum(-1, keepdims=True)
    assert np.allclose(np.exp(after[:, 30]), by_hand, atol=1e-5)


def test_the_untrained_twin_has_the_same_shape_and_other_weights():
    family = catalogue.make("families", FAMILY)
    network = catalogue.make("subjects", UNLIMITED, family)
    twin = network.make_untrained_twin(0)
    ours, theirs = jax.tree.leaves(network.memory), jax.tree.leaves(twin.memory)
    assert [x.shape for x in ours] == [x.shape for x in theirs]
    assert not np.allclose(ours[0], theirs[0])
    assert (
        np.asarray(network.make_untrained_twin(0).memory.input_weights) == np.asarray(twin.memory.input_weights)
    ).all()
    assert (
        np.asarray(network.make_untrained_twin(1).memory.input_weights) != np.asarray(twin.memory.input_weights)
    ).any()


def test_counts_are_sufficient_for_thompson_and_not_for_a_delta_rule(found):
    exact, rule = found("sufficiency", "thompson"), found("sufficiency", "rescorla_wagner:rate=0.4,beta=4")
    assert exact["counts equal"].estimate < 1e-6 < 0.2 < exact["counts changed"].low
    assert rule["counts equal"].low > 0.02


def test_what_needs_the_subject_itself_does_not_apply_to_its_trials(found):
    family = catalogue.make("families", FAMILY)
    lived = rollout(catalogue.make("subjects", "thompson", family), family, "fresh", 64, 2)
    asked = [catalogue.make("metrics", p) for p in ("belief_decoding", "belief_edit", "sufficiency")]
    for told in (apply_metrics(asked, {"fresh": lived}), apply_metrics(asked, {"fresh": lived}, replay=Replays())):
        assert [f.status for f in told] == ["does not apply"] * 3


def test_mistakes_are_told():
    for spec in ("belief_decoding:lifetimes=3", "belief_edit:lifetimes=3", "sufficiency:lifetimes=1"):
        with pytest.raises(MesascopeError, match="out of range"):
            catalogue.make("metrics", spec)
