"""Values that were published or computed elsewhere, beside ours.

Every table runs twice: a quick one in each test run, and the full one of 20,000 lifetimes, marked slow.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mesascope.keys import derive_key
from mesascope.worlds.bandits.families.bernoulli_bandit import Tasks, family
from tests.subjects.lives import Lives, forced, live, lived, make

FULL = 20_000
LIFETIMES = pytest.mark.parametrize("n", [4_000, pytest.param(FULL, marks=pytest.mark.slow)])


def close(ours: np.ndarray, value: float, half_unit: float, slack: float = 0.0) -> None:
    """Within 3 standard errors or half a unit of the last printed digit, `slack` beside them."""
    error = ours.std(ddof=1) / np.sqrt(len(ours))
    allowed = max(3 * error, half_unit) + slack
    assert abs(ours.mean() - value) <= allowed, f"{ours.mean():.4f} ± {error:.4f}, asked for {value}"


def total(lives: Lives) -> np.ndarray:
    """[N] total score, with the luck of the drawn means taken out: chance is n / 2 by the prior."""
    chance = lives.means.mean(-1).sum(1)
    score = lives.score.sum(1)
    slope = np.cov(score, chance)[0, 1] / chance.var(ddof=1)
    return score - slope * (chance - lives.means.shape[1] / 2)


# Total reward, Duan et al. 2016 (arXiv 1611.02779), table 1: (pulls, arms) → value
PAPER = {
    "uniform": {(10, 5): 5.0, (100, 5): 49.9, (100, 10): 49.9},
    "thompson": {(10, 5): 5.7, (100, 5): 74.7, (100, 10): 76.7},
    "ucb1": {(10, 5): 6.7, (100, 5): 78.0, (100, 10): 82.4},
    "optimistic_thompson": {(10, 5): 6.5, (100, 5): 77.9, (100, 10): 81.4},
    "optimistic_thompson:alpha=0.3": {(10, 5): 6.5, (100, 5): 77.9, (100, 10): 81.4},
    "gittins": {(10, 5): 6.6, (100, 5): 78.3, (100, 10): 82.8},
    "gittins:discount=0": {(10, 5): 6.6, (100, 5): 78.3, (100, 10): 82.8},
    "epsilon_greedy": {(10, 5): 6.6, (100, 5): 75.4, (100, 10): 77.4},
    "greedy": {(10, 5): 6.6, (100, 5): 74.8, (100, 10): 77.1},
    "greedy:ties=first": {(10, 5): 6.6, (100, 5): 74.8, (100, 10): 77.1},
}
PAPER_ERROR = {10: 0.07, 100: 0.5}  # standard error of 1,000 instances


@LIFETIMES
@pytest.mark.parametrize("spec", ["uniform", "thompson", "ucb1", "optimistic_thompson:alpha=0.3"])
def test_published_totals(spec, n):
    for (pulls, arms), paper in PAPER[spec].items():
        tasks = family(arms=arms, trials=pulls)
        ours = total(live(make(spec, tasks), tasks, n=n, seed=arms))
        error = PAPER_ERROR[pulls] + ours.std() / np.sqrt(n)
        assert abs(ours.mean() - paper) < 2 * error, (spec, pulls, arms, ours.mean(), paper)


def test_optimistic_thompson_is_its_definition_and_not_the_published_number():
    """Against sampling by the definition, max(sample, posterior mean); the paper's 6.5 is not that.

    The paper's three values come out where samples scatter less, with alpha = .3 above (chosen by these values), or
    with the mean of three samples in place of one (6.42, 77.8, 82.2 on 8,000 lifetimes and more).
    """
    rng, n = np.random.default_rng(0), 20_000
    means, counts, scores = rng.random((n, 5)), np.ones((n, 5, 2)), np.zeros(n)
    for _ in range(10):
        sample = rng.beta(counts[..., 0], counts[..., 1])
        arm = np.maximum(sample, counts[..., 0] / counts.sum(-1)).argmax(1)
        p = means[np.arange(n), arm]
        counts[np.arange(n), arm, (rng.random(n) >= p).astype(int)] += 1
        scores += p - means.mean(1) + 0.5
    tasks = family(arms=5, trials=10)
    ours = total(live(make("optimistic_thompson", tasks), tasks, n=FULL))
    assert abs(ours.mean() - scores.mean()) < 3 * np.hypot(ours.std(), scores.std()) / np.sqrt(n)
    assert PAPER["optimistic_thompson"][10, 5] - ours.mean() > 5 * PAPER_ERROR[10]


@LIFETIMES
def test_gittins_reaches_its_level(n):
    """78.6 ± .08 and 83.7 ± .06 with the best discount, over 40,000 lifetimes."""
    for arms, value, error in ((5, 78.6, 0.08), (10, 83.7, 0.06)):
        tasks = family(arms=arms)
        ours = total(live(make("gittins", tasks), tasks, n=n, seed=1))
        assert abs(ours.mean() - value) < 3 * np.hypot(error, ours.std() / np.sqrt(n)), ours.mean()


@pytest.mark.slow
def test_the_table_beside_the_paper(capsys):
    """Ours beside the paper for the procedures whose constants or ties the paper leaves open.

    Gittins: discount .98, or the pulls that are left (discount 0). ε-greedy: ε .1. Means under Beta(1, 1);
    equal values share evenly unless ties=first. UCB1: c = .2 in mean + c √(ln t / n), counted from one win
    and one loss.
    """
    rows = []
    for spec, cells in PAPER.items():
        row = [f"{spec:20s}"]
        for (pulls, arms), paper in cells.items():
            tasks = family(arms=arms, trials=pulls)
            ours = total(live(make(spec, tasks), tasks, n=1_000, seed=2))
            row.append(f"{pulls:4d},{arms:2d}: {ours.mean():6.2f} ± {ours.std() / np.sqrt(1_000):.2f} ({paper})")
        rows.append("  ".join(row))
    with capsys.disabled():
        print("\nTotal reward, ours ± standard error (the paper's)", *rows, sep="\n")
    assert len(rows) == len(PAPER)


REGRET = {  # over 100 pulls, two arms
    "independent": {"bayes_optimal": 1.748, "thompson": 2.79, "uniform": 16.67},
    "dependent_medium": {"bayes_optimal": 1.000, "thompson": 3.01, "uniform": 25},
}
BOUND = {"independent": 4.10, "dependent_medium": 4.66}  # UCB1, √(ln t / n), every arm once first
UCB = "ucb1:constant=1,tries_each_first=True"


@LIFETIMES
@pytest.mark.parametrize("prior", list(REGRET))
def test_regret_on_two_arms(prior, n):
    tasks = family(arms=2, prior=prior)
    for name, printed in REGRET[prior].items():
        half = 0.0005 if name == "bayes_optimal" else 0.005
        close(live(make(name, tasks), tasks, n=n, seed=3).regret, printed, half)


@LIFETIMES
@pytest.mark.parametrize("prior", list(BOUND))
def test_regret_of_upper_bounds_on_two_arms(prior, n):
    """Against plain NumPy, and what was given, itself of a simulation: 3 standard errors of the difference."""
    tasks = family(arms=2, prior=prior)
    lives = live(make(UCB, tasks), tasks, n=n, seed=3)
    rng, rows, means = np.random.default_rng(1), np.arange(n), lives.means[:, 0]
    wins, pulls, regret = np.zeros((n, 2)), np.zeros((n, 2)), np.zeros(n)
    for t in range(100):
        tried = np.maximum(pulls, 1)
        bound = np.where(pulls > 0, wins / tried + np.sqrt(np.log(t + 1) / tried), 9)
        arm = (bound + 1e-9 * rng.random((n, 2))).argmax(1)
        p = means[rows, arm]
        wins[rows, arm] += rng.random(n) < p
        pulls[rows, arm] += 1
        regret += means.max(1) - p
    error = (lives.regret - regret).std() / np.sqrt(n)
    assert abs(lives.regret.mean() - regret.mean()) < 3 * error
    assert abs(lives.regret.mean() - BOUND[prior]) < 3 * np.sqrt(2) * lives.regret.std() / np.sqrt(n) + 0.005


@LIFETIMES
def test_structure_of_two_arms_carried_over(n):
    """The optimum for independent arms loses 1.35 on medium ones, the dependent rule 2.8 the other way."""
    independent, medium = family(arms=2), family(arms=2, prior="dependent_medium")
    close(live(make("bayes_optimal", independent), medium, n=n, seed=4).regret, 1.35, 0.005)
    close(live(make("bayes_optimal", medium), independent, n=n, seed=4).regret, 2.8, 0.05)


def hard(n: int) -> tuple:
    """K = 5, .6 against .4, T = 100, the best arm anywhere."""
    tasks = family(arms=5)
    best = jax.random.randint(jax.random.key(0), (n, 1, 1), 0, 5) == jnp.arange(5)
    return tasks, Tasks(jnp.broadcast_to(jnp.where(best, 0.6, 0.4), (n, 100, 5)), jnp.zeros(n))


@LIFETIMES
@pytest.mark.parametrize(
    ("spec", "failure", "least"),
    [
        ("greedy:tries_each_first=True", 0.478, 0.051),
        ("thompson", 0.007, 0.286),
        ("ucb1:constant=1,is_growing=False,tries_each_first=True", 0.024, 0.181),
    ],
)
def test_exploration_on_the_hard_instance(spec, failure, least, n):
    """Suffix failures at T/2 and K · MinFrac (Krishnamurthy et al. 2024), each given ± .015."""
    tasks, drawn = hard(n)
    lives = lived(make(spec, tasks), tasks, drawn)
    best = lives.means[:, 0].argmax(-1)
    failed = ~(lives.action[:, 50:] == best[:, None]).any(1)
    pulls = np.stack([(lives.action == k).mean(1) for k in range(5)], -1)
    close(failed.astype(float), failure, 0.0005, slack=0.015)
    close(5 * pulls.min(1), least, 0.0005, slack=0.015)


SHARES = [  # over all trials: subject, settings of the family, split → share
    ("thompson", {}, {"fresh": 0.75, "shifted:low": 0.32, "shifted:high": 0.50}),
    ("rescorla_wagner:rate=0.1,beta=3", {}, {"fresh": 0.32}),
    ("rescorla_wagner:rate=0.1,beta=5", {}, {"fresh": 0.48}),
]


@LIFETIMES
@pytest.mark.parametrize(("spec", "settings", "splits"), SHARES)
def test_normalised_performance(spec, settings, splits, n):
    tasks = family(**settings)
    for split, printed in splits.items():
        share, error = live(make(spec, tasks), tasks, split, n=n, seed=5).share()
        assert abs(share - printed) <= max(3 * error, 0.005), (split, share, error, printed)


@LIFETIMES
@pytest.mark.parametrize("shift", ["other", "any"])
@pytest.mark.parametrize(("split", "printed"), [("fresh", 0.54), ("shifted:low", 0.07), ("shifted:high", 0.48)])
def test_win_stay_lose_shift_by_its_chain(split, printed, shift, n):
    """Against the exact distribution over arms, trial by trial; what was given for [.7, 1] shifts to any arm."""
    tasks = family()
    lives = live(make(f"win_stay_lose_shift:shift={shift}", tasks), tasks, split, n=n, seed=5)
    p = lives.means[:, 0].astype(float)
    others = (np.ones((5, 5)) - np.eye(5)) / 4 if shift == "other" else np.full((5, 5), 0.2)
    moves = p[:, :, None] * np.eye(5) + (1 - p)[:, :, None] * others
    where, exact = np.full((n, 5), 0.2), []
    for _ in range(100):
        exact.append((where * p).sum(1))
        where = np.einsum("ni,nij->nj", where, moves)
    luck = (lives.score - np.stack(exact, 1)).mean(1)
    assert abs(luck.mean()) < 3 * luck.std() / np.sqrt(n)
    share, error = lives.share()
    if shift == "any":
        assert abs(share - printed) <= max(3 * error, 0.005), (share, error)
    elif split == "shifted:high":
        assert share > printed + 0.01 - 3 * error


BANKS = 50
SEEN_FRESH = {4: (0.92, 0.45), 16: (0.86, 0.64), 64: (0.81, 0.73), 256: (0.77, 0.75)}


def over_banks(spec: str, size: int, split: str, banks: int, n: int) -> list[Lives]:
    lives = []
    for seed in range(banks):
        tasks = family(bank=size, bank_seed=seed)
        lives.append(live(make(spec, tasks), unnamed(tasks), split, n=n, seed=seed))
    return lives


def unnamed(tasks):
    """The same family without its name, so that banks share compiled code here."""
    return eqx.tree_at(lambda f: (f.name, f.settings), tasks, ("bank", None))


def by_hand(bank: np.ndarray, means: np.ndarray, seed: int) -> float:
    """The locator's mean regret in plain NumPy: a task is drawn from the posterior, its best arm pulled."""
    rng, n = np.random.default_rng(seed), len(means)
    logs, regret = np.zeros((n, len(bank))), np.zeros(n)
    for _ in range(100):
        weight = np.exp(logs - logs.max(1, keepdims=True))
        task = (np.cumsum(weight, 1) < weight.sum(1, keepdims=True) * rng.random((n, 1))).sum(1)
        arm = bank[task].argmax(1)
        p = means[np.arange(n), arm]
        regret += means.max(1) - p
        logs += np.log(np.where(rng.random(n)[:, None] < p[:, None], bank[:, arm].T, 1 - bank[:, arm].T))
    return float(regret.mean())


@pytest.mark.slow
@pytest.mark.parametrize("n", [400])
def test_locator_and_learner_on_four_tasks(n):
    """Mean regret over 50 banks: locator fresh 19.7, learner 8.2 seen and 8.3 fresh, within 10 %.

    The 1.7 given for the locator on seen tasks is one bank's: the mean of banks is 2.1, their sd .7, both
    here and by hand; .92 of what knowing is worth (33.3) is a regret of 2.7.
    """
    asked = {("locator", "fresh"): 19.7, ("thompson", "seen"): 8.2, ("thompson", "fresh"): 8.3}
    for (spec, split), printed in asked.items():
        found = np.mean([x.regret.mean() for x in over_banks(spec, 4, split, BANKS, n)])
        assert abs(found - printed) < 0.1 * printed, (spec, split, found)
    for split in ("seen", "fresh"):
        lives = over_banks("locator", 4, split, BANKS, n)
        ours = np.array([x.regret.mean() for x in lives])
        banks = [np.asarray(family(bank=4, bank_seed=seed).bank_means, float) for seed in range(BANKS)]
        hand = [by_hand(b, x.means[:, 0].astype(float), i) for i, (b, x) in enumerate(zip(banks, lives, strict=True))]
        assert ours.mean() == pytest.approx(np.mean(hand), rel=0.1)
        if split == "seen":
            assert abs(ours.mean() - 1.7) < ours.std()


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 16, 64, 256])
def test_locators_seen_and_fresh(size):
    """Shares over all trials and 50 banks: what was given is as near as one bank is to the mean of banks."""
    for split, printed in zip(("seen", "fresh"), SEEN_FRESH[size], strict=True):
        shares = np.array([x.share()[0] for x in over_banks("locator", size, split, BANKS, 400)])
        assert abs(shares.mean() - printed) < shares.std(ddof=1), (size, split, shares.mean(), shares.std())
        if (size, split) == (4, "fresh"):
            assert 0.06 < shares.std(ddof=1) < 0.14  # .09 was given


@pytest.mark.slow
def test_locator_and_learner_on_256_tasks():
    """Regret: locator 7.5 seen, 8.25 fresh, learner 8.4, 8.3, each within two sd of single banks."""
    asked = {
        ("locator", "seen"): 7.5,
        ("locator", "fresh"): 8.25,
        ("thompson", "seen"): 8.4,
        ("thompson", "fresh"): 8.3,
    }
    for (spec, split), printed in asked.items():
        lives = over_banks(spec, 256, split, 20, 1000)
        ours = np.array([x.regret.mean() for x in lives])
        if spec == "locator":
            banks = [np.asarray(family(bank=256, bank_seed=seed).bank_means, float) for seed in range(20)]
            pairs = enumerate(zip(banks, lives, strict=True))
            hand = np.array([by_hand(bank, x.means[:200, 0].astype(float), i) for i, (bank, x) in pairs])
            assert abs(ours.mean() - hand.mean()) < 3 * np.hypot(ours.std(), hand.std()) / np.sqrt(20)
        assert abs(ours.mean() - printed) < 2 * ours.std(ddof=1), (spec, split, ours.mean(), ours.std())


def test_likelihood_of_its_own_acts_at_256_tasks():
    """Locator minus learner, both with a lapse of .05: +10 nats for the locator, -7 to -14 for learners."""
    tasks = family(bank=256)
    learner, locator = make("thompson", tasks), make("locator", tasks)
    found = {}
    for name, subject in (("locator", locator), ("learner", learner)):
        lives, paid = recorded(subject, tasks, 256)
        acts = lives.action.T
        as_locator = 0.95 * forced(locator, acts, paid)[:-1] + 0.05 / 5
        as_learner = 0.95 * forced(learner, acts, paid)[:-1] + 0.05 / 5
        ratio = np.log(as_locator / as_learner)
        found[name] = np.take_along_axis(ratio, acts[..., None], -1)[..., 0].sum(0)
    assert 8 < found["locator"].mean() < 13
    assert found["learner"].mean() < -7


def recorded(subject, tasks, n: int) -> tuple[Lives, np.ndarray]:
    """Lives on fresh tasks and their feedback [T, N]."""
    drawn = tasks.draw(derive_key(jax.random.key(7), "tasks"), n)

    @eqx.filter_jit
    def run(subject, drawn):
        state, percept = tasks.begin(jax.random.key(0), drawn)

        def trial(life, t):
            state, percept, carry = life
            carry, response = subject.respond(derive_key(jax.random.key(1), t), carry, percept)
            state, percept, score = tasks.step(derive_key(jax.random.key(2), t), drawn, state, response.action)
            return (state, percept, carry), (response.action, score, percept.feedback)

        return jax.lax.scan(trial, (state, percept, subject.initialize_carry(n)), jnp.arange(100))[1]

    action, score, paid = (np.asarray(x) for x in run(subject, drawn))
    return Lives(np.asarray(drawn.means), action.T, score.T), paid
