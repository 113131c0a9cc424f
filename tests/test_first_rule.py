"""The first placement rule on trials whose gains are known because they were written down."""

import numpy as np
import pytest
import xarray as xr

from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.first_rule import list_conditions
from mesascope.questions.spectrum.first_rule import place_by_benefit as place
from mesascope.questions.spectrum.ladder import LEVEL_NUMBERS, Rule

N, T = 200, 10
SPLITS = ("fresh", "shifted:low", "exchanged:reversal", "restructured:drift")


def split(name, gains, spread=0.1, percept=0.5, carry=0.5, seed=0, bank=0):
    """Trials of one split: gains {label: mean share}; best is 1, chance 0, worst -1."""
    rng = np.random.default_rng([seed, len(name), bank])
    noise = rng.normal(0, spread, (N, 1))
    labels = list(gains)
    score = np.stack([np.broadcast_to(g + noise * (label == "intact"), (N, T)) for label, g in gains.items()])
    probs = np.full((len(labels), N, T, 2), np.nan)
    moved = {"percept": percept, "carry": carry}
    for i, label in enumerate(labels):
        if label == "intact" or "once" in label:
            p = 0.9 - (0.0 if label == "intact" else moved[label.partition("_")[0]])
            probs[i, ..., 0], probs[i, ..., 1] = p, 1 - p
    with np.errstate(divide="ignore"):
        logs = np.log(probs)
    axes = ("condition", "lifetime", "trial")
    return xr.Dataset(
        {
            "action": (axes, np.zeros(score.shape, np.int16)),
            "feedback": (axes, np.zeros(score.shape)),
            "score": (axes, score),
            "log_probs": ((*axes, "choice"), logs),
            **{k: (axes[1:], np.full((N, T), v)) for k, v in (("best", 1.0), ("chance", 0.0), ("worst", -1.0))},
        },
        coords={"condition": labels},
        attrs={"split": name, "changes": None},
    )


def subject(intact=0.8, shuffled=0.1, kept=1.0, seen=None, **more):
    gains = {c: (intact if "feedback" not in c else shuffled) for c in list_conditions(T)}
    out = {"fresh": split("fresh", gains, **more)}
    out |= {r: split(r, {"intact": intact * (kept if np.isscalar(kept) else kept[r])}, seed=1) for r in SPLITS[1:]}
    if seen is not None:
        out["seen"] = split("seen", {"intact": seen}, seed=2)
    return out


def reference(gain=0.8, seen=None, splits=SPLITS):
    out = {r: split(r, {"intact": gain}, spread=0.02, seed=3) for r in splits}
    return out | ({"seen": split("seen", {"intact": seen}, spread=0.02, seed=4)} if seen is not None else {})


REFERENCES = {"learner": reference(0.8)}


@pytest.mark.parametrize(
    ("given", "level"),
    [
        ({"percept": 0.0, "carry": 0.0, "shuffled": 0.8, "spread": 0.0}, "inert"),
        ({"percept": 0.4, "carry": 0.0, "shuffled": 0.8, "spread": 0.0}, "reactive"),
        ({"percept": 0.4, "carry": 0.4, "shuffled": 0.8, "spread": 0.0}, "tracking"),
        ({"kept": 0.2}, "acquiring"),
        ({"kept": 1.0}, "general"),
    ],
)
def test_each_rung_below_and_above_the_bank(given, level):
    placed = place(subject(**given), REFERENCES, "unlimited")
    assert (placed.level, placed.lowest, placed.highest) == (level, level, level)
    assert placed.probability[level] == 1.0


def test_general_needs_a_split_of_each_kind():
    kept = {"shifted:low": 1.0, "exchanged:reversal": 0.1, "restructured:drift": 1.0}
    placed = place(subject(kept=kept), REFERENCES, "unlimited")
    assert placed.level == "acquiring" and placed.numbers["held"] == ["shifted", "restructured"]
    assert "shifted, restructured" in placed.reason


def test_a_split_that_was_not_run_leaves_the_upper_end_open_and_is_named():
    lived = {k: v for k, v in subject().items() if not k.startswith("exchanged")}
    placed = place(lived, REFERENCES, "unlimited")
    assert (placed.level, placed.lowest, placed.highest) == ("undetermined", "acquiring", "general")
    assert "exchanged" in placed.reason


def test_a_reason_claims_nothing_that_was_not_run():
    fresh_alone = {k: v for k, v in subject().items() if k == "fresh"}
    placed = place(fresh_alone, REFERENCES, "unlimited")
    assert "it had no bank of tasks to locate them in" in placed.reason
    assert "kinds of changed split" not in placed.reason and "tasks of its bank" not in placed.reason
    references = {"learner": reference(0.8, seen=0.8), "locator": reference(0.1, seen=0.9)}
    placed = place(subject(seen=0.8), references, "bank:4@0")
    assert "relative to the reference, it acquires fresh tasks" in placed.reason
    unknown = place(subject(), REFERENCES, "unknown")
    assert "it is open whether picking among its training tasks explains this" in unknown.reason


def test_a_split_that_is_only_reported_does_not_count():
    lived = subject(kept=0.1)
    lived["exchanged:random"] = split("exchanged:random", {"intact": 0.8})
    lived["exchanged:random"].attrs["counted"] = False
    references = {"learner": reference(0.8, splits=(*SPLITS, "exchanged:random"))}
    assert "exchanged:random" not in place(lived, references, "unlimited").numbers["retention"]


def test_between_the_ideal_locator_and_any_learner_however_slow():
    references = {"learner": reference(0.8, seen=0.8), "locator": reference(0.4, seen=0.9)}
    located = place(subject(intact=0.4, seen=0.9, shuffled=0.0), references, "bank:4@0")
    assert located.level == "locating"
    assert located.numbers["kept_by_locator"] == pytest.approx(0.4 / 0.9, rel=0.02)
    assert located.numbers["position"] == pytest.approx(0.0, abs=0.05)
    slow = place(subject(intact=0.3, seen=0.3, shuffled=0.0, kept=0.1), references, "bank:4@0")
    assert slow.level == "acquiring" and slow.numbers["position"] == pytest.approx(1.0, abs=0.1)


def test_who_loses_on_fresh_tasks_is_placed_by_what_it_gains_on_seen_ones():
    references = {"learner": reference(0.8, seen=0.8), "locator": reference(-0.3, seen=0.9)}
    worse = place(subject(intact=-0.2, seen=0.9, shuffled=-0.6), references, "bank:4@0")
    assert worse.level == "locating", worse
    assert worse.numbers["position"] == pytest.approx((-0.2 + 0.3) / (0.9 + 0.3), abs=0.02)
    blank = place(subject(intact=-0.2, seen=-0.1, shuffled=-0.6), references, "bank:4@0")
    assert blank.lowest == "locating" and "nothing on seen tasks" in blank.reason


def test_a_bank_whose_locator_keeps_everything_cannot_tell():
    references = {"learner": reference(0.8, seen=0.8), "locator": reference(0.8, seen=0.8)}
    placed = place(subject(seen=0.8), references, "bank:900@0")
    assert placed.lowest == "locating" and placed.highest == "general" and "as a learner does" in placed.reason


def test_unknown_training_tasks_are_at_least_locating_and_no_more():
    placed = place(subject(), REFERENCES, "unknown")
    assert (placed.level, placed.lowest) == ("undetermined", "locating")
    assert "training tasks are unknown" in placed.reason


def test_unknown_training_tasks_stay_unknown_where_the_family_has_a_bank():
    references = {"learner": reference(0.8, seen=0.8), "locator": reference(0.4, seen=0.9)}
    for given in ({"intact": 0.4, "seen": 0.9, "shuffled": 0.0}, {"seen": 0.8}):
        placed = place(subject(**given), references, "unknown")
        assert (placed.level, placed.lowest) == ("undetermined", "locating")
        assert placed.probability["undetermined"] == 1.0


def test_a_bank_of_one_has_no_position():
    references = {"learner": reference(0.8, seen=0.8), "locator": reference(0.4, seen=0.9)}
    placed = place(subject(intact=0.4, seen=0.9, shuffled=0.0), references, "bank:1@0")
    assert placed.lowest == "locating" and "bank of one" in placed.reason and "position" not in placed.numbers


def test_nothing_to_gain_is_said():
    lived = subject()
    lived["fresh"]["best"] = lived["fresh"]["chance"]
    with pytest.raises(MesascopeError, match="no more than chance"):
        place(lived, REFERENCES, "unlimited")


def test_a_subject_that_goes_against_the_pay_off_acquires_against_it():
    against = {"learner against": reference(-0.8)}
    placed = place(subject(intact=-0.8, shuffled=0.0, kept=0.1), {**REFERENCES, **against}, "unlimited")
    assert (placed.level, placed.direction) == ("acquiring", "against")


def test_a_benefit_at_its_bar_is_undetermined_with_the_lifetimes_that_would_settle_it():
    placed = place(subject(intact=0.30, shuffled=0.23, spread=0.3, kept=0.1), REFERENCES, "unlimited")
    assert placed.level == "undetermined" and placed.lowest == "tracking" and placed.direction == "none"
    assert LEVEL_NUMBERS[placed.highest] >= LEVEL_NUMBERS["acquiring"]
    assert "lifetimes" in placed.reason
    assert sum(placed.probability.values()) == pytest.approx(1)


def test_the_constants_act():
    strict = place(subject(intact=0.3, shuffled=0.2, spread=0.0), REFERENCES, "unlimited", Rule(min_benefit=0.2))
    assert strict.level == "tracking" and strict.rule.min_benefit == 0.2


def test_what_is_missing_is_named():
    with pytest.raises(MesascopeError, match="fresh split"):
        place({"seen": split("seen", {"intact": 1.0})}, {}, "unknown")
    bare = {"fresh": split("fresh", {"intact": 1.0})}
    with pytest.raises(MesascopeError, match="feedback_shuffled"):
        place(bare, {}, "unknown")
