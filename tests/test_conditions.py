import numpy as np
import pytest

from mesascope import catalogue
from mesascope.agents.function import FunctionSubject, wrap
from mesascope.rollouts.rollouts import rollout

FAMILY = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11")


def live(subject, *labels, n=64, split="fresh", family=FAMILY):
    subject = catalogue.make("subjects", subject, family) if isinstance(subject, str) else subject
    return rollout(subject, family, split, n, seed=4, conditions=[catalogue.make("conditions", c) for c in labels])


def acts(lived, label):
    return lived.action.sel(condition=label).values


def test_a_subject_without_carry_is_left_exactly_as_it_was_by_whatever_is_done_to_the_carry():
    labels = ["carry_reset", "carry_frozen:trial=3", "carry_swapped:trial=5"]
    lived = live("win_stay_lose_shift", "intact", *labels)
    for label in labels:
        assert (acts(lived, label) == acts(lived, "intact")).all()


@pytest.mark.parametrize("w", [0, 1, 2, 4, 8])
def test_shuffling_what_is_older_than_w_leaves_the_first_w_trials_and_reaches_the_rest(w):
    label = f"feedback_shuffled:older_than={w},replicate=0"
    lived = live("thompson", "intact", label, n=256)
    same = (acts(lived, label) == acts(lived, "intact")).all(0)
    assert same[: w + 1].all()
    assert not same[w + 1 :].all()


def test_replicates_have_donors_of_their_own():
    labels = [f"feedback_shuffled:older_than=0,replicate={r}" for r in (0, 1)]
    lived = live("thompson", *labels)
    partners = lived.partner.values
    assert (partners[0] != partners[1]).mean() > 0.9
    for partner in partners:
        assert (partner != np.arange(64)[:, None]).all()
        assert all(sorted(column) == list(range(64)) for column in partner.T)


def test_a_reset_once_is_a_birth_with_the_first_percept_and_nothing_before_it_changes():
    lived = live("greedy:ties=first", "intact", "carry_reset:trial=6")
    assert (acts(lived, "carry_reset:trial=6")[:, :6] == acts(lived, "intact")[:, :6]).all()
    assert (acts(lived, "carry_reset:trial=6")[:, 6] == acts(lived, "intact")[:, 0]).all()
    assert (acts(lived, "intact")[:, 6] != acts(lived, "intact")[:, 0]).any()


def test_a_frozen_clock_stops():
    lived = live("round_robin", "intact", "carry_frozen:trial=4")
    frozen = acts(lived, "carry_frozen:trial=4")
    assert (frozen[:, 4:] == frozen[:, 4:5]).all() and (acts(lived, "intact")[:, 5] != frozen[:, 5]).all()


def test_one_step_conditions_record_a_response_and_let_the_life_go_on():
    label = "carry_exchanged_once:fresh=1"
    lived = live("round_robin", "intact", label)
    assert (acts(lived, label) == acts(lived, label)[:, :1]).all()
    assert np.isnan(lived.score.sel(condition=label).values).all()
    with_it = live("thompson", "intact", label, "percept_exchanged_once:action=0")
    assert (acts(with_it, "intact") == acts(live("thompson", "intact"), "intact")).all()


def test_a_flipped_feedback_is_the_other_outcome_and_the_first_percept_has_none():
    lived = live("win_stay_lose_shift", "intact", "percept_exchanged_once:action=0")
    plain, flipped = acts(lived, "intact"), acts(lived, "percept_exchanged_once:action=0")
    stays = plain[:, 1:] == plain[:, :-1]
    assert ((flipped[:, 1:] == plain[:, :-1]) == ~stays).all()
    assert (flipped[:, 0] == plain[:, 0]).all()


def test_masked_feedback_reads_as_lost():
    lived = live("win_stay_lose_shift", "percept_masked:trial=0")
    action = lived.action.values[0]
    assert (action[:, 1:] != action[:, :-1]).all()


SEEN = []


def recorder(percept, state, rng):
    """Plays a fixed rule of the trial; what it was shown is kept."""
    SEEN.append({k: v.copy() for k, v in percept.items()})
    action = (np.arange(len(percept["trial"])) + percept["trial"]) % 3
    return action, percept["trial"][:, None].astype(float)


@pytest.fixture(autouse=True)
def watched(monkeypatch):
    """What the recorder keeps would count as weights that change."""
    SEEN.clear()
    monkeypatch.setattr(FunctionSubject, "hash_weights", lambda self: {})


def lent():
    """What each lender was paid before trial t: the recorder saw the lenders' lives first."""
    return [call["feedback"] for call in SEEN[:11]]


def test_the_shuffled_percepts_are_the_donors_feedback_with_own_acts_and_clock():
    label = "feedback_shuffled:older_than=0,replicate=0"
    lived = live(wrap(recorder, FAMILY), "intact", label)
    shown, paid = SEEN[-11:], lent()
    partner = lived.partner.sel(condition=label).values
    for t in range(1, 11):
        assert (shown[t]["feedback"] == paid[t][partner[:, t]]).all()
        assert (shown[t]["action"] == (np.arange(64) + t - 1) % 3).all()
        assert (shown[t]["trial"] == t).all()
    assert shown[0]["first"].all() and (shown[0]["feedback"] == 0).all()


def test_the_replay_hands_the_last_w_percepts_true_and_the_older_ones_shuffled():
    label = "feedback_shuffled:older_than=2,replicate=0"
    lived = live(wrap(recorder, FAMILY), "intact", label)
    own = lived.feedback.sel(condition="intact").values
    partner, paid = lived.partner.sel(condition=label).values, lent()
    calls = SEEN[
        22:
    ]  # lenders and the intact life first; then per trial: the second_carry from t = 2 on, one replayed, the act
    i = 0
    for t in range(11):
        if t >= 2:
            assert (calls[i]["trial"] == t - 2).all()
            assert (calls[i]["feedback"] == (paid[t - 2][partner[:, t]] if t > 2 else 0)).all()
            i += 1
            assert (calls[i]["trial"] == t - 1).all() and (calls[i]["feedback"] == own[:, t - 2]).all()
            i += 1
        act = calls[i]
        assert (act["trial"] == t).all() and (t == 0 or (act["feedback"] == own[:, t - 1]).all())
        i += 1
    assert i == len(calls)


def test_the_lenders_live_on_fresh_tasks_of_their_own_on_the_seen_split_too():
    family = catalogue.make("families", "bernoulli_bandit:arms=3,trials=11,bank=2")
    label = "feedback_shuffled:older_than=0,replicate=0"
    lived = live(wrap(recorder, family), "intact", label, family=family)
    fresh = lent()
    assert (fresh[10] != lived.feedback.sel(condition="intact").values[:, 9]).any()
    SEEN.clear()
    live(wrap(recorder, family), "intact", label, split="seen", family=family)
    assert all((a == b).all() for a, b in zip(fresh, lent(), strict=True))


def test_a_looped_subject_lives_the_same_trials_as_a_compiled_one():
    def reflex(percept, state, rng):
        stay = percept["feedback"] > 0.5
        action = np.where(stay, percept["action"], (percept["action"] + 1) % 3)
        return np.where(percept["first"], 0, action), None

    import jax
    import jax.numpy as jnp

    from mesascope.contracts import ScriptedSubject, choose

    class Reflex(ScriptedSubject):
        name: str = "reflex"

        def initialize_carry(self, n):
            return ()

        def respond(self, key, carry, percept):
            moved = jnp.where(percept.feedback > 0.5, percept.action, (percept.action + 1) % 3)
            probs = jax.nn.one_hot(jnp.where(percept.first, 0, moved), 3)
            return carry, choose(key, jnp.log(probs))

    labels = ["intact", "feedback_shuffled:older_than=1,replicate=0", "carry_reset", "percept_exchanged_once:action=1"]
    one, other = live(Reflex(), *labels), live(wrap(reflex, FAMILY), *labels)
    assert (one.action.values == other.action.values).all()
    assert np.array_equal(one.feedback.values, other.feedback.values, equal_nan=True)
