"""Association tasks hold S log2 K bits, and bits_acquired reads how many of them are in late actions."""

import jax
import numpy as np
import pytest

from mesascope import catalogue, make, measure, rollout
from mesascope.contracts import select_condition
from mesascope.errors import MesascopeError
from mesascope.examination.checks import check_plugin
from mesascope.questions.spectrum.bits_acquired import measure_bits
from mesascope.questions.spectrum.information import count_pairs, jackknife_information, measure_information

STANDARD = "associations"
SMALL = "associations:cues=4,trials=12,bank=2"


def bits(subject, family, lifetimes=256, **options):
    trials = select_condition({"fresh": rollout(subject, family, lifetimes=lifetimes)}, "intact")
    values = measure_bits(trials, options.pop("window", 4), **options)
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def test_a_family_that_shows_pay_offs_keeps_its_contract():
    settings = "cues=3,actions=2,trials=8,outcome=payoff,high=0.9,low=0.1,run_length=0,spare_cues=2"
    assert check_plugin(f"families/associations:{settings}") == []


def test_splits_say_where_parts_are_independent():
    family = make("families", "associations:cues=6,trials=12,spare_cues=2,bank=3")
    parts = {split.name: split.part_count for split in family.list_splits()}
    assert parts == {
        "seen": 0,
        "fresh": 6,
        "shifted:faint": 6,
        "exchanged:actions": 6,
        "restructured:rule": 0,
        "restructured:shared": 0,
        "restructured:more": 8,
        "restructured:drift": 6,
    }
    tasks = family.get_split("restructured:shared").draw(jax.random.key(1), 64)
    cue, right = np.asarray(tasks.cues)[:, :-1], np.asarray(tasks.correct_action)
    for lifetime in range(64):
        pairs = {}
        for c, r in zip(cue[lifetime], right[lifetime], strict=True):
            assert pairs.setdefault(c // 2, r) == r
    assert np.asarray(family.get_split("restructured:more").draw(jax.random.key(1), 64).cues).max() == 7


def test_in_the_second_half_a_cue_stays_for_a_run():
    cue = np.asarray(make("families", STANDARD).get_split("fresh").draw(jax.random.key(0), 64).cues)[:, 32:64]
    changes = cue[:, 1:] != cue[:, :-1]
    phases = {int(t) % 4 for row in changes for t in np.flatnonzero(row)}
    assert phases == {0, 1, 2, 3}  # runs begin at every phase of the clock, but at one in each lifetime
    assert all(len({int(t) % 4 for t in np.flatnonzero(row)}) == 1 for row in changes)
    assert 0.2 < changes.mean() < 0.25


def test_a_wrong_action_is_shown_as_often_as_low_says():
    family = make("families", "associations:cues=2,trials=64,low=0.1,run_length=0")
    tasks = family.get_split("fresh").draw(jax.random.key(0), 512)
    assert (np.asarray(tasks.shown_action) != np.asarray(tasks.correct_action)).mean() == pytest.approx(0.3, abs=0.01)


def test_information_of_a_noisy_channel_is_exact_and_the_jackknife_takes_the_bias_off():
    channel = np.full((1, 4, 4), 1 / 30) + np.eye(4) * (0.9 - 1 / 30)
    truth = 2 + 0.9 * np.log2(0.9) + 0.1 * np.log2(1 / 30)
    assert measure_information(channel) == pytest.approx(truth)
    rng, plain, corrected = np.random.default_rng(0), [], []
    for _ in range(200):
        right = rng.integers(0, 4, (64, 4))
        taken = np.where(rng.random((64, 4)) < 0.9, right, (right + rng.integers(1, 4, (64, 4))) % 4)
        table = count_pairs(right, np.eye(4)[taken], np.ones((64, 4), bool), 0 * right, 1)
        plain.append(measure_information(table.sum(0)))
        corrected.append(jackknife_information(table).mean())
    assert np.mean(plain) - truth > 0.02 and abs(np.mean(corrected) - truth) < 0.012


def test_learner_and_ciphers_hold_nearly_all_bits_and_reflexes_none_that_are_older():
    learner, error = bits("associator", STANDARD)
    assert learner == pytest.approx(24.5, abs=3 * error) and error < 0.8
    assert bits("associator", STANDARD, is_strict=True)[0] == pytest.approx(learner * 15 / 16, abs=0.1)
    assert bits("associator:action_mapping=next", STANDARD)[0] == pytest.approx(learner, abs=0.5)
    clock = "associations:run_length=0"
    assert bits("associator:action_mapping=clock", clock, window=0)[0] == pytest.approx(0, abs=0.1)
    whole = bits("associator", clock, window=0)[0]
    assert bits("associator:action_mapping=clock", clock, window=0, view="trial")[0] == pytest.approx(whole, abs=1)
    for reflex in ("last_cues:window=4", "uniform"):
        assert abs(bits(reflex, STANDARD)[0]) < 0.1


@pytest.mark.parametrize("size", [64])
@pytest.mark.parametrize("locator", ["table_locator", "table_locator:vote=True", "tailored_locator"])
def test_a_holder_of_stored_tables_stays_below_its_bound(locator, size):
    strict, error = bits(locator, f"{STANDARD}:bank={size}", is_strict=True)
    assert strict + 2 * error < np.log2(size)


def test_the_metric_reads_them_and_does_not_apply_elsewhere():
    conditions = ["intact", "feedback_shuffled:older_than=4"]
    trials = rollout("associator", "associations:cues=8,trials=32", lifetimes=64, conditions=conditions)
    found = measure(trials, "bits_acquired")
    older = found.get_finding("bits_acquired: older than a few trials")
    assert older.status == "measured" and older.low > 0
    assert abs(found.get_finding("bits_acquired: older, with older feedback shuffled").estimate) < 0.3
    bandit = measure(rollout("thompson", "bernoulli_bandit:arms=3,trials=12", lifetimes=64), "bits_acquired")
    assert "independent parts" in bandit.answers[0].reason


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("associations:cues=1", "cues=1 is out of range"),
        ("associations:outcome=cue", "outcome"),
        ("associations:outcome=payoff,high=0.1,low=0.1", "is not at least 0.001 above"),
        ("associations:low=0.25", "hides which of 4 actions is correct"),
    ],
)
def test_settings_that_make_no_task_are_refused(spec, message):
    with pytest.raises(MesascopeError, match=message):
        make("families", spec)
    with pytest.raises(MesascopeError, match="shows no cues"):
        catalogue.make("subjects", "associator", make("families", "bernoulli_bandit"))
