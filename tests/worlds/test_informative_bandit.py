import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope import FamilyEnv, catalogue
from mesascope.contracts import Percept
from mesascope.errors import MesascopeError
from mesascope.rollouts.blocks import BlockConstants
from mesascope.stats import compute_standard_error
from mesascope.worlds.bandits.families.informative_bandit import Tasks, family
from tests.subjects.lives import live, lived, make

WANG = family()


def every(spec, split, home=WANG):
    """[900, T] scores on every task of a split, equally often: the mean is exact for a subject that draws nothing."""
    tables = home.list_payoffs(split)
    tables = np.tile(tables, (900 // len(tables), 1, 1))  # one shape for all splits compiles once per subject
    return lived(make(spec, home), home, Tasks(jnp.asarray(tables, jnp.float32))).score


def find_optimum(tables, forbidden=()):
    """The expected total pay-off of the best adaptive policy that knows the list of tasks but not the current task.

    Each observed pay-off rules out the tasks that would have paid something else. The search computes the value of
    each set of possible tasks on each trial once (Bellman's equation over sets of tasks).

    Args:
        tables: [H, T, K] the pay-offs of H equally likely tasks.
        forbidden: actions that the policy may not take.
    """
    tasks, trials, choices = tables.shape
    _, codes = np.unique(tables.round(9), return_inverse=True)
    codes = codes.reshape(tables.shape)

    @functools.cache
    def value(trial, possible):
        """The value of the remaining trials if the tasks in the bit mask `possible` are possible."""
        if trial == trials:
            return 0.0
        indices = [h for h in range(tasks) if possible >> h & 1]
        best = -np.inf
        for action in set(range(choices)) - set(forbidden):
            remaining = {}  # pay-off code: mask of the tasks that pay it
            for h in indices:
                code = int(codes[h, trial, action])
                remaining[code] = remaining.get(code, 0) | 1 << h
            future = sum(mask.bit_count() * value(trial + 1, mask) for mask in remaining.values())
            best = max(best, (tables[indices, trial, action].sum() + future) / len(indices))
        return best

    return value(0, 2**tasks - 1)


def optimum(home, split="fresh", informed=True):
    return find_optimum(home.list_payoffs(split), () if informed else (home.n_targets,))


def test_the_published_figures_are_exact():
    fresh = WANG.list_payoffs("fresh")
    assert optimum(WANG) == pytest.approx(20.55, abs=1e-9)
    assert optimum(WANG, informed=False) == pytest.approx(11.0, abs=1e-9)
    assert fresh.mean(-1).sum(1).mean() == pytest.approx(5 * (5 + 9 + 0.55) / 11, abs=1e-9)  # 6.61
    assert fresh.mean(0).sum(0).max() == pytest.approx(7.0, abs=1e-9)
    known = WANG.compute_latents(WANG.draw(jax.random.key(1), 7), "fresh")
    assert known["fixed"].sum(1) == pytest.approx(np.full(7, 7.0))
    assert known["best"].sum(1) == pytest.approx(np.full(7, 25.0))


@pytest.mark.parametrize(("targets", "trials"), [(2, 5), (3, 4), (4, 7), (7, 3), (10, 5)])
def test_the_optimum_by_recursion_over_the_targets_that_are_left(targets, trials):
    def value(n, left, informed):
        """n trials to go, `left` targets possible: pull one of them, or ask what the mean number says."""
        if n == 0:
            return 0.0
        if left == 1:
            return 5.0 * n
        pull = (5.0 * n) / left + (1 - 1 / left) * (1 + value(n - 1, left - 1, informed))
        return max(pull, ask + 5.0 * (n - 1)) if informed else pull

    ask = np.mean(np.arange(1, targets + 1)) / targets
    home = family(targets, trials)
    assert optimum(home) == pytest.approx(value(trials, targets, True))
    assert optimum(home, informed=False) == pytest.approx(value(trials, targets, False))


@pytest.mark.parametrize("split", family(3, 2).split_names)
def test_the_optimum_of_a_split_by_trying_every_policy(split):
    tables = family(3, 2).list_payoffs(split)[:, :2]
    best = -np.inf
    for first in range(4):
        seen, code = np.unique(tables[:, 0, first], return_inverse=True)
        for then in itertools.product(range(4), repeat=len(seen)):
            second = tables[np.arange(len(tables)), 1, np.asarray(then)[code]]
            best = max(best, float((tables[:, 0, first] + second).mean()))
    assert find_optimum(tables) == pytest.approx(best)


@pytest.mark.parametrize(
    ("spec", "split", "total"),
    [
        ("asker", "fresh", 20.55),
        ("asking_reflex", "fresh", 20.55),
        ("asker:has_doubts=True", "fresh", 20.55),
        ("asker", "shifted:low", 0.55 + 4 * 2),
        ("asker", "shifted:high", 0.55 + 4 * 10),
        ("asker", "exchanged:target", 0.55 + 5 + 3),
        ("asker:has_doubts=True", "exchanged:target", 0.55 + 5 + 1 + 0.55 + 5),
        ("asking_reflex", "exchanged:target", 0.55 + 5 + 1 + 0.55 + 5),
        ("asker", "restructured:code", 0.55 + 4),  # ten is even: no number is its own mirror
        ("asker:has_doubts=True", "restructured:code", 0.55 + 1 + 15),
        ("asking_reflex", "restructured:code", 3 * 0.55 + 2),
        ("asker", "restructured:lies", 0.55 + 4 * 1.4),
        ("fixed:arm=3", "fresh", 7.0),
        ("fixed:arm=10", "fresh", 5 * 0.55),
    ],
)
def test_what_each_procedure_earns_is_exact(spec, split, total):
    assert every(spec, split).sum(1).mean() == pytest.approx(total, abs=1e-5)


def test_nothing_earns_more_than_the_optimum_of_a_split():
    for split in ("fresh", "shifted:high", "exchanged:target", "restructured:code", "restructured:lies"):
        most = optimum(WANG, split) + 1e-4
        for spec in ("asker", "asker:has_doubts=True", "asking_reflex"):
            assert every(spec, split).sum(1).mean() <= most


def test_the_figures_by_simulation():
    chance = live(make("uniform", WANG), WANG, n=4000).score.sum(1)
    assert chance.mean() == pytest.approx(6.6136, abs=4 * compute_standard_error(chance))
    asked = live(make("asker", WANG), WANG, n=4000).score.sum(1)
    assert asked.mean() == pytest.approx(20.55, abs=4 * compute_standard_error(asked))


def test_each_split_is_what_it_says():
    home = family(5, 7)
    arms = np.arange(5)
    tables = {split: home.list_payoffs(split) for split in home.split_names}
    targets = {split: t[..., :5].argmax(-1) for split, t in tables.items()}
    says = {split: np.rint(t[..., 5] * 5).astype(int) - 1 for split, t in tables.items()}
    assert (says["fresh"] == targets["fresh"]).all() and (targets["fresh"][:, 0] == arms).all()
    moved = targets["exchanged:target"]
    assert len(moved) == 20 and (moved[:, :3] == moved[:, :1]).all() and (moved[:, 3:] == moved[:, 3:4]).all()
    assert (moved[:, 2] != moved[:, 3]).all() and (says["exchanged:target"] == moved).all()
    assert home.get_split("exchanged:target").change_trial == 3 and home.get_split("fresh").change_trial is None
    assert (says["restructured:code"] + targets["restructured:code"] == 4).all()
    assert (says["exchanged:code"][:, :3] == targets["exchanged:code"][:, :3]).all()
    assert (says["exchanged:code"][:, 3:] + targets["exchanged:code"][:, 3:] == 4).all()
    lies = np.stack([says["restructured:lies"][:, 0], targets["restructured:lies"][:, 0]])
    assert len(np.unique(lies, axis=1).T) == 25  # every number beside every target
    assert tables["shifted:low"][..., :5].max() == 2 and tables["shifted:high"][..., :5].min() == 2


def test_a_bank_is_a_set_of_targets_and_all_that_is_seen():
    home = family(bank=4, bank_seed=2)
    targets = np.asarray(home.bank_targets)
    assert len(set(targets.tolist())) == 4 and home.with_bank("bank:4@2").name == home.name
    tasks = home.get_split("seen").draw(jax.random.key(3), 512)
    assert set(np.asarray(tasks.means)[:, 0, :10].argmax(-1).tolist()) == set(targets.tolist())
    fixed = home.compute_latents(tasks, "seen")["fixed"]
    assert fixed == pytest.approx(np.full((512, 5), (5 + 3) / 4))
    locator = make("asking_locator", home)
    assert locator.trained_on == "bank:4@2"
    there = lived(locator, home, Tasks(jnp.asarray(home.list_payoffs("seen"), jnp.float32))).score
    number = (1 + targets) / 10
    assert there.sum(1) == pytest.approx(number + 20)
    elsewhere = lived(locator, home, Tasks(jnp.asarray(home.list_payoffs("fresh"), jnp.float32))).score[:, 1:]
    right = np.isin(np.arange(10), targets)
    assert (elsewhere == np.where(right, 5.0, 1.0)[:, None]).all()


def test_the_flipped_percept_is_another_that_can_be_and_twice_is_none():
    shown = [(10, 0.3), (4, 5.0), (10, 1.0), (2, 1.0)]
    action, paid = np.asarray([a for a, _ in shown]), np.asarray([f for _, f in shown], np.float32)
    zero = np.zeros(4, np.int32)
    percept = Percept(np.zeros((4, 0)), action, paid, zero, zero, zero > 0)
    other = WANG.with_opposite_outcome(percept)
    assert other.feedback == pytest.approx([0.8, 1.0, 0.1, 5.0])
    assert WANG.with_opposite_outcome(other).feedback == pytest.approx(paid)


@pytest.mark.parametrize(
    ("split", "high", "low"),
    [("fresh", 5, 1), ("shifted:low", 2, 1), ("shifted:high", 10, 2), ("exchanged:target", 5, 1)],
)
def test_the_opposite_pay_off_is_the_other_one_of_the_split(split, high, low):
    tasks = WANG.get_split(split).draw(jax.random.key(4), 3)
    zero = np.zeros(3, np.int32)
    percept = Percept(np.zeros((3, 0)), np.asarray([10, 4, 2]), np.float32([0.3, high, low]), zero, zero, zero > 0)
    other = WANG.with_opposite_outcome_of(tasks, percept)
    assert np.asarray(other.feedback) == pytest.approx([0.8, low, high])


def test_a_condition_flips_to_pay_offs_that_exist_on_its_split():
    home, zero = family(trials=3), np.zeros(2, np.int32)
    tasks = home.get_split("shifted:low").draw(jax.random.key(4), 2)
    percept = Percept(np.zeros((2, 0)), np.asarray([0, 1]), np.float32([2, 1]), zero + 1, zero, zero > 0)
    constants = BlockConstants(
        home, tasks, None, percept, None, lambda *_: jax.random.key(0), make("asker", home), None
    )
    context = constants.make_context(1, 0, zero, lambda i: None)
    condition = catalogue.make("conditions", "percept_exchanged_once:action=0")
    assert condition.apply(None, percept, None, context)[1].feedback.tolist() == [1, 2]


def test_settings_and_subjects_that_do_not_fit_are_refused():
    for spec in ("targets=1", "trials=1", "bank=11", "bank=-1"):
        with pytest.raises(MesascopeError) as why:
            catalogue.make("families", f"informative_bandit:{spec}")
        assert why.value.remedy
    other = catalogue.make("families", "bernoulli_bandit:bank=3")
    for name in ("asker", "asking_reflex", "asking_locator"):
        with pytest.raises(MesascopeError):
            catalogue.make("subjects", name, other)
    with pytest.raises(MesascopeError):
        make("asking_locator", WANG)


def test_the_gymnasium_facade_pays_the_number_and_then_the_target():
    env = FamilyEnv(WANG, render_mode="ansi")
    env.reset(seed=3)
    _, number, _, _, info = env.step(10)
    assert info["score"] == pytest.approx(number) and info["best"] == 5
    shown, paid, done, _, _ = env.step(round(number * 10) - 1)
    assert paid == 5 and shown[11] == 5 and not done and "got 5" in env.render()
