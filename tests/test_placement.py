"""The placement rule on subjects whose answer is known by construction: the faults of the first rule, and its words."""

import numpy as np
import pytest

import mesascope
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.carried import counted, span, transplanted
from mesascope.questions.spectrum.ladder import RUNGS, Rule
from mesascope.questions.spectrum.placement import conditions, place
from mesascope.rollouts.rollouts import rollout

BANDIT = "bernoulli_bandit:arms=5,trials=100"
QUICK = ("two_loss_reflex:losses=5", "checker", "lagged_stay", "greedy", "part_time:until=45", "ranked:rank=3")
SLOW = (
    *(
        "checker:warmup=20",
        "windowed:window=6",
        "lagged_stay:lag=5",
        "ranked:rank=1,code=clock",
        "thompson:minimise=True",
    ),
    *("recurrent:path=unlimited", "two_loss_reflex", "hash_commit", "clock_win_stay"),
)


@pytest.fixture(scope="module")
def placed():
    """The placements of some bandit subjects on fresh tasks."""
    found = mesascope.examine(QUICK, BANDIT, metrics="deletion", lifetimes=256, seed=11, splits="fresh")
    return {e.subject: e.placement for e in found}


@pytest.fixture(scope="module")
def placed_slowly():
    """The placements of more of them on all splits."""
    found = mesascope.examine(SLOW, BANDIT, metrics="deletion", lifetimes=256, seed=11)
    return {e.subject: e.placement for e in found}


def lies(found, lowest, highest):
    """Whether an interval lies within another."""
    return RUNGS[lowest] <= RUNGS[found.lowest] <= RUNGS[found.highest] <= RUNGS[highest]


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("two_loss_reflex:losses=5", "tracking"),  # B1: its carry matters, though rarely at any one trial
        ("checker", "tracking"),  # B2: checks its past, and tells the task nothing older
        ("lagged_stay", "tracking"),  # B3
        ("greedy", "acquiring"),  # B4
        ("part_time:until=45", "acquiring"),  # B5
        ("ranked:rank=3", "acquiring"),  # B6
    ],
)
def test_what_each_is_by_construction_is_read(placed, name, level):
    assert lies(placed[name], level, level), placed[name]


@pytest.mark.slow  # half a minute; `mesascope validate` reads these and their like on many seeds
def test_more_of_them_and_their_flags(placed_slowly):
    bounds = {
        **dict.fromkeys(("checker:warmup=20", "two_loss_reflex", "clock_win_stay"), ("tracking", "tracking")),
        **dict.fromkeys(("windowed:window=6", "hash_commit"), ("tracking", "acquiring")),
        **dict.fromkeys(SLOW[2:6], ("acquiring", "acquiring")),
    }
    wrong = {name: placed_slowly[name] for name, ends in bounds.items() if not lies(placed_slowly[name], *ends)}
    assert not wrong
    assert placed_slowly["recurrent:path=unlimited"].flags == {"far": "yes", "flexible": "no"}
    assert placed_slowly["lagged_stay:lag=5"].span == "from its last 5 trials"  # one trial more, and the level says so
    assert placed_slowly["thompson:minimise=True"].direction == "against"
    assert placed_slowly["ranked:rank=1,code=clock"].direction == "other"
    numbers = placed_slowly["recurrent:path=unlimited"].numbers
    assert numbers["gain_by_last_trials"]["4"] == pytest.approx(0.74, abs=0.05)
    assert numbers["gain_fresh"] == pytest.approx(0.91, abs=0.05)


def test_a_level_carries_its_span(placed):
    assert placed["lagged_stay"].span == "from its last 4 trials"
    assert placed["greedy"].text().startswith("acquiring (from its last")


def test_how_much_the_last_four_trials_give_is_said(placed):
    found = placed["greedy"]
    assert found.numbers["gain_by_last_trials"]["4"] == pytest.approx(0.75, abs=0.05)
    assert found.numbers["gain_fresh"] == pytest.approx(0.81, abs=0.05)
    assert "its last 4 trials alone give" in found.reason


def test_who_gives_up_is_said_to(placed):
    assert "in the last half it gives up" in placed["part_time:until=45"].reason


def test_another_goal_has_its_direction(placed):
    assert placed["ranked:rank=3"].direction == "other" and placed["greedy"].direction == "for"
    assert "another goal" in placed["ranked:rank=3"].text()


def test_reach_is_a_flag_and_no_rung(placed):
    assert placed["greedy"].flags == {"far": "not run", "flexible": "not run"}
    assert placed["checker"].flags == {} and "general" not in placed["greedy"].probability


def test_no_level_claims_nothing_or_no_difference(placed):
    for found in placed.values():
        assert not {"nothing", "no difference"} & set(found.reason.split("; ")), found.reason
        assert "0.05" in found.reason or found.level != "undetermined"


def test_numbers_are_those_of_the_prototype(placed):
    """PLACEMENT3, section 5: deletion and transplant of greedy, within three standard errors of a study of 256."""
    for key, value in (("deletion", 0.139), ("transplant", 0.703)):
        numbers = placed["greedy"].numbers
        assert abs(numbers[key] - value) < 3 * numbers[f"{key}_error"], (key, numbers[key])


def test_a_wrong_bank_label_is_doubtful():
    """B8: the locator of one bank, said to be trained on another."""
    bank, family = (f"{BANDIT},bank=4,bank_seed={seed}" for seed in (3, 5))
    subject = mesascope.make("subjects", "locator", mesascope.make("families", bank))
    options = {"trained_on": "bank:4@5", "metrics": "deletion", "lifetimes": 256, "splits": ("fresh", "seen")}
    found = mesascope.examine(subject, family, **options).placement
    assert found.level == "undetermined" and "label of its bank is doubtful" in found.reason, found


def test_old_trials_alone_tell_a_reflex_from_a_learner_where_tasks_have_parts():
    subjects = ["associator:greedy=True", "last_cues:window=4"]
    learner, reflex = mesascope.examine(subjects, "associations", metrics="deletion", lifetimes=128, splits="fresh")
    assert learner.placement.numbers["gain_old"] > 0.9 and abs(reflex.placement.numbers["gain_old"]) < 0.06
    assert (learner.placement.level, reflex.placement.level) == ("acquiring", "tracking")
    assert learner.placement.numbers["strict_bits"] > 20 and "would have to hold 2^" in learner.placement.reason


def test_bits_need_no_label():
    """More bits than one of so many tasks can tell are acquired, whatever the subject was trained on."""
    for said, level in (("at-most:100000", "acquiring"), ("unknown", "undetermined")):
        options = {"trained_on": said, "metrics": "deletion", "lifetimes": 128, "splits": "fresh"}
        found = mesascope.examine("associator", "associations", **options)
        assert found.placement.level == level, found.placement
        assert found.trials["fresh"].attrs["trained_on"] == said


@pytest.mark.parametrize(("part", "expected"), [(0.5, 0.782), (0.95, 3.592), (0.99, float("inf"))])
def test_span_is_linear_in_log_trials(part, expected):
    assert span([0.6, 0.8, 0.98], (1, 2, 4), part) == pytest.approx(expected, abs=0.001)


def test_transplants_are_zero_for_a_policy_that_knows_its_last_trials_only():
    labels = ["intact", *(f"past_transplanted_once:of=4,replicate={r}" for r in (0, 1))]
    found = rollout("two_loss_reflex", BANDIT, lifetimes=512, seed=5, conditions=labels)
    values = transplanted(found, counted(found, 4), 4)
    assert abs(values.mean()) < 3.5 * values.std() / np.sqrt(len(values))


def test_families_that_cannot_judge_single_acts_are_placed_by_the_first_rule():
    family = mesascope.make("families", "tabular_mdp:trials=6,steps=4")
    assert any(c.startswith("feedback_shuffled") for c in conditions(family))
    found = mesascope.examine("psrl", family, metrics="performance", lifetimes=64, splits="fresh").placement
    assert "general" not in found.probability and found.highest in RUNGS and found.highest != "general"


def test_what_is_missing_is_named():
    with pytest.raises(MesascopeError, match="fresh split"):
        place({}, {}, "unknown")
    intact = rollout("uniform", "bernoulli_bandit:arms=2,trials=12", lifetimes=64)
    with pytest.raises(MesascopeError, match="past_deleted_once"):
        place({"fresh": intact}, {}, "unknown")


def test_the_constants_act():
    strict = Rule(smallest_benefit=0.9)
    found = mesascope.examine("thompson", BANDIT, metrics="performance", lifetimes=64, rule=strict, splits="fresh")
    assert found.placement.lowest == "tracking" and found.placement.rule.smallest_benefit == 0.9
