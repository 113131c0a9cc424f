"""The placement rule on subjects whose answer is known by construction: the faults of the first rule, and its words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mesascope
from mesascope.contracts import Family, make_first_percept, make_next_percept
from mesascope.errors import MesascopeError
from mesascope.questions.spectrum.carried import find_counted_trials, interpolate_span, measure_transplant
from mesascope.questions.spectrum.ladder import LEVEL_NUMBERS, Rule
from mesascope.questions.spectrum.placement import list_conditions, place
from mesascope.rollouts.rollouts import rollout

BANDIT = "bernoulli_bandit:arms=5,trials=100"
QUICK = {"checker": "tracking", "greedy": "acquiring"}  # B2: checks its past, and tells the task nothing older; B4
ALIKE = {
    "two_loss_reflex:losses=5": "tracking",  # B1: its carry matters, though rarely at any one trial
    "lagged_stay": "tracking",  # B3
    "part_time:learning_trials=45": "acquiring",  # B5
    "ranked:rank=3": "acquiring",  # B6
}
SLOW = (
    *(
        "checker:warmup=20",
        "windowed:window=6",
        "lagged_stay:lag=5",
        "ranked:rank=1,action_mapping=clock",
        "thompson:should_minimise=True",
    ),
    *("recurrent:path=unlimited", "two_loss_reflex", "hash_commit", "clock_win_stay"),
)


@pytest.fixture(scope="module")
def placed_slowly():
    """The placements of more of them on all splits."""
    found = mesascope.examine(SLOW, BANDIT, metrics="deletion", lifetimes=256, seed=11)
    return {e.subject: e.placement for e in found}


def lies(found, lowest, highest):
    """Whether an interval lies within another."""
    numbers = [LEVEL_NUMBERS[level] for level in (lowest, found.lowest, found.highest, highest)]
    return numbers == sorted(numbers)


def place_known(levels):
    """The placements on 'fresh' of subjects whose levels are known."""
    found = mesascope.examine(list(levels), BANDIT, metrics="deletion", lifetimes=256, seed=11, splits="fresh")
    placed = {e.subject: e.placement for e in found}
    assert not {name: placed[name] for name, level in levels.items() if not lies(placed[name], level, level)}
    for placement in placed.values():
        assert "nothing" not in placement.reason and "no difference" not in placement.reason, placement.reason
        assert placement.level != "tracking" or "it was not shown that trials more than" in placement.reason
    return placed


@pytest.mark.slow  # fifteen seconds; CI runs it
def test_a_checker_and_a_learner_are_read_as_they_are_made():
    placed = place_known(QUICK)
    greedy = placed["greedy"]
    assert greedy.describe().startswith("acquiring (from its last") and greedy.direction == "for"
    assert greedy.flags == {"far": "not run", "flexible": "not run"}
    assert placed["checker"].flags == {} and "general" not in greedy.probability
    look_at_numbers(greedy)


@pytest.mark.slow  # a quarter of a minute
def test_their_like_are_read_as_they_are_made():
    placed = place_known(ALIKE)
    ranked = placed["ranked:rank=3"]
    assert placed["lagged_stay"].span == "from its last 4 trials"
    assert "in the last half it gives up" in placed["part_time:learning_trials=45"].reason
    assert ranked.direction == "other" and "another goal" in ranked.describe()


def look_at_numbers(greedy):
    """What its last four trials give, and PLACEMENT3, section 5, within three standard errors of a study of 256."""
    assert greedy.numbers["gain_by_last_trials"]["4"] == pytest.approx(0.75, abs=0.05)
    assert greedy.numbers["gain_fresh"] == pytest.approx(0.81, abs=0.05)
    assert "with its last 4 trials alone it gains" in greedy.reason
    for key, value in (("deletion", 0.139), ("transplant", 0.703)):
        assert abs(greedy.numbers[key] - value) < 3 * greedy.numbers[f"{key}_error"], (key, greedy.numbers[key])


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
    assert placed_slowly["thompson:should_minimise=True"].direction == "against"
    assert placed_slowly["ranked:rank=1,action_mapping=clock"].direction == "other"
    numbers = placed_slowly["recurrent:path=unlimited"].numbers
    assert numbers["gain_by_last_trials"]["4"] == pytest.approx(0.74, abs=0.05)
    assert numbers["gain_fresh"] == pytest.approx(0.91, abs=0.05)


@pytest.mark.slow  # ten seconds; CI runs it
def test_a_wrong_bank_label_is_doubtful():
    """B8: the locator of one bank, said to be trained on another."""
    bank, family = (f"{BANDIT},bank=4,bank_seed={seed}" for seed in (3, 5))
    subject = mesascope.make("subjects", "locator", mesascope.make("families", bank))
    options = {"trained_on": "bank:4@5", "metrics": "deletion", "lifetimes": 256, "splits": ("fresh", "seen")}
    found = mesascope.examine(subject, family, **options).placement
    assert found.level == "undetermined" and "bank label is doubtful" in found.reason, found


@pytest.mark.slow  # `validate` reads them in this world, too
def test_old_trials_alone_tell_a_reflex_from_a_learner_where_tasks_have_parts():
    subjects = ["associator:greedy=True", "last_cues:window=4"]
    learner, reflex = mesascope.examine(subjects, "associations", metrics="deletion", lifetimes=128, splits="fresh")
    assert learner.placement.numbers["gain_old"] > 0.9 and abs(reflex.placement.numbers["gain_old"]) < 0.06
    assert (learner.placement.level, reflex.placement.level) == ("acquiring", "tracking")
    assert learner.placement.numbers["strict_bits"] > 20 and "would need a bank of 2^" in learner.placement.reason


def test_bits_need_no_label():
    """More bits than one of so many tasks can tell are acquired, whatever the subject was trained on."""
    for said, level in (("at-most:100000", "acquiring"), ("unknown", "undetermined")):
        options = {"trained_on": said, "metrics": "deletion", "lifetimes": 128, "splits": "fresh"}
        found = mesascope.examine("associator", "associations", **options)
        assert found.placement.level == level, found.placement
        assert found.trials["fresh"].attrs["trained_on"] == said


@pytest.mark.parametrize(("part", "expected"), [(0.5, 0.782), (0.95, 3.592), (0.99, float("inf"))])
def test_span_is_linear_in_log_trials(part, expected):
    assert interpolate_span(np.array([[0.6, 0.8, 0.98]]), (1, 2, 4), part) == pytest.approx(expected, abs=0.001)


def test_transplants_are_zero_for_a_policy_that_knows_its_last_trials_only():
    labels = ["intact", *(f"past_transplanted_once:window=4,replicate={r}" for r in (0, 1))]
    found = rollout("two_loss_reflex", BANDIT, lifetimes=512, seed=5, conditions=labels)
    values = measure_transplant(found, find_counted_trials(found, 4), 4)
    assert abs(values.mean()) < 3.5 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize(
    ("family", "judges"),
    [
        ("bernoulli_bandit", True),
        ("linear_regression", True),
        ("markov_chain", True),
        ("markov_chain:symbols=200", False),  # too many probabilities to keep
        ("associations", True),
        ("prefix_sums", False),  # trials of one step, but no worth of single acts
        ("word_labels", True),
        ("word_labels:categories=6", True),
        ("text_bandit", True),
        ("tabular_mdp:trials=6,steps=4", True),
        ("coin_grid", True),
        ("two_step:version=2016", False),  # trials of several steps, but no worth of first acts
    ],
)
def test_a_family_judges_single_acts_only_if_it_knows_their_worth(family, judges):
    made = mesascope.make("families", family)
    assert made.can_value_actions == judges
    assert any(c.startswith("feedback_shuffled") for c in list_conditions(made)) != judges
    tasks = made.get_split("fresh").draw(jax.random.key(0), 2)
    shown = np.zeros((1, made.horizon, *made.observation_shape), np.float32)
    worth = made.compute_action_values(tasks, "fresh", shown, np.zeros((1, made.horizon), int))
    assert (worth is not None) == judges


class Berries(Family):
    """Eat a berry of the shade shown, or leave it; it is ripe from a hidden shade on."""

    name: str = "berries"
    choices: int = 2
    horizon: int = 20

    def draw(self, key, n):
        one, two = jax.random.split(key)
        return jax.random.uniform(one, (n,)), jax.random.uniform(two, (n, self.horizon + 1))

    def begin(self, key, tasks):
        return jnp.zeros(len(tasks[0]), jnp.int32), make_first_percept(tasks[1][:, :1])

    def step(self, key, tasks, state, action):
        shade = jnp.take_along_axis(tasks[1], jnp.stack([state, state + 1], 1), 1)
        score = jnp.where(action == 1, (shade[:, 0] >= tasks[0]).astype(jnp.float32), 0.5)
        return state + 1, make_next_percept(shade[:, 1:], action, score, state + 1), score

    def compute_best_payoffs(self, tasks):
        return jnp.where(tasks[1][:, :-1] >= tasks[0][:, None], 1.0, 0.5)


def test_what_an_act_pays_is_not_read_from_another_lifetimes_question():
    """By default a task's pay-offs are those of its own shades, so acts at other shades cannot be judged by them."""
    assert not Berries().can_value_actions
    assert any(c.startswith("feedback_shuffled") for c in list_conditions(Berries()))


@pytest.mark.parametrize(
    ("name", "family"),
    [
        pytest.param("model_based", "two_step:version=2016,trials=12", marks=pytest.mark.slow),
        ("running_sums", "prefix_sums"),
    ],
)
def test_families_that_do_not_judge_are_placed_by_the_first_rule(name, family):
    options = {"metrics": "performance", "lifetimes": 64, "splits": "fresh"}
    found = mesascope.examine(name, family, **options).placement
    assert "general" not in found.probability and found.highest in LEVEL_NUMBERS and found.highest != "general"


@pytest.mark.slow  # test_the_constants_act changes a rule in each run
def test_a_rule_with_another_window_reads_its_own_transplants():
    """The metrics transplant at w = 4 beside it; the rule must not add the two up, and flags must be run at its w."""
    options = {"metrics": ("deletion", "transplant"), "lifetimes": 128, "splits": ("fresh", "shifted:low")}
    found = mesascope.examine("windowed:window=6", BANDIT, rule=Rule(older_than=8), **options)
    assert found.placement.numbers["window"] == 8
    assert abs(found.placement.numbers["transplant"]) < 0.03  # it knows six trials: exactly 0 in expectation
    assert found.get_finding("transplant").estimate > 0.08  # of trials five and six
    assert "past_transplanted_once:window=8,replicate=0" in found.trials["shifted:low"].condition


def test_what_is_missing_is_named():
    with pytest.raises(MesascopeError, match="fresh split"):
        place({}, {}, "unknown")
    intact = rollout("uniform", "bernoulli_bandit:arms=2,trials=12", lifetimes=64)
    with pytest.raises(MesascopeError, match="past_deleted_once"):
        place({"fresh": intact}, {}, "unknown")


def test_the_constants_act():
    strict = Rule(min_benefit=0.9)
    found = mesascope.examine("thompson", BANDIT, metrics="performance", lifetimes=64, rule=strict, splits="fresh")
    assert found.placement.lowest == "tracking" and found.placement.rule.min_benefit == 0.9
