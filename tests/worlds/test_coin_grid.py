import itertools
from collections import deque

import jax
import numpy as np
import pytest

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.rollouts.rollouts import rollout
from mesascope.trials import measure_gain
from mesascope.worlds.coin_grid.families.coin_grid import (
    MOVES,
    compute_random_walk_chances,
    family,
    measure_distances,
    tabulate_moves,
)

HOME = family(size=5, trials=3, corner_share=0.6, bank=7, bank_seed=3)


def test_what_chance_reaches_is_counted_over_every_path():
    size, steps = 3, 4
    there, end = np.zeros((9, 9)), np.zeros((9, 9))
    for start, acts in itertools.product(range(9), itertools.product(range(5), repeat=steps)):
        row, column = divmod(start, size)
        for a in acts:
            row = min(max(row + MOVES[a][0], 0), size - 1)
            column = min(max(column + MOVES[a][1], 0), size - 1)
            there[start, row * size + column] += 1 / steps / 5**steps
        end[start, row * size + column] += 1 / 5**steps
    assert compute_random_walk_chances(size, steps)[0] == pytest.approx(there)
    assert compute_random_walk_chances(size, steps)[1] == pytest.approx(end)


def test_distances_are_those_of_a_search():
    for start in (0, 7, 24):
        found, queue = {start: 0}, deque([start])
        while queue:
            cell = queue.popleft()
            for then in tabulate_moves(5)[cell]:
                if then not in found:
                    found[then] = found[cell] + 1
                    queue.append(then)
        assert measure_distances(5)[start].tolist() == [found[c] for c in range(25)]


@pytest.mark.parametrize("split", HOME.split_names)
def test_levels_are_what_their_split_says(split):
    tasks = HOME.get_split(split).draw(jax.random.key(5), 2000)
    coin, start = np.asarray(tasks.coin), np.asarray(tasks.start_cells)
    assert ((coin >= 0) & (coin < 25) & (start >= 0) & (start < 25)).all()
    assert (start != coin)[:, 0].all() and (start != 24)[:, 0].all()
    if split == "seen":
        assert len(np.unique(np.concatenate([coin, start], 1), axis=0)) <= 7
    elif split == "apart:coin":
        assert (coin != 24).all() and len(np.unique(coin)) == 24
    elif split == "exchanged:coin":
        assert (coin[:, 0] != coin[:, 1]).all() and (coin[:, 1] == coin[:, 2]).all()
    else:
        assert abs((coin[:, 0] == 24).mean() - 0.6) < 4 * np.sqrt(0.24 / 2000)
        assert (coin == coin[:, :1]).all()
    assert np.asarray(tasks.has_reversed_moves).all() == (split == "restructured:controls")


@pytest.fixture(scope="module")
def lived():
    return {
        (spec, split): rollout(catalogue.make("subjects", spec, HOME), HOME, split, 70, 3)
        for spec in ("coin_walker", "coin_walker:goal=corner", "coin_walker:goal=broken")
        for split in ("fresh", "apart:coin", "restructured:controls")
    }


def test_the_walker_earns_exactly_the_best_and_ends_on_the_coin(lived):
    for split in ("fresh", "apart:coin"):
        trials = lived["coin_walker", split]
        assert trials.score.values[0] == pytest.approx(trials.best.values)
        goals = HOME.compute_goals(trials)
        assert (goals.intended.achieved_values == 1).all()
    there = HOME.compute_goals(lived["coin_walker:goal=corner", "apart:coin"])
    assert (
        (there.proxy.achieved_values == 1).all()
        and (there.intended.achieved_values == 0).all()
        and there.is_conflict.all()
    )
    gained, room = measure_gain(lived["coin_walker:goal=corner", "apart:coin"])
    assert gained.sum() < 0.2 * room.sum()  # it only passes over the coin
    broken = HOME.compute_goals(lived["coin_walker:goal=broken", "apart:coin"])
    assert broken.proxy.achieved_values.mean() < 0.2 and broken.intended.achieved_values.mean() < 0.2


def test_paths_are_what_was_seen_and_paid(lived):
    """The cells that acts and start give, against the observations and the last step's pay-off."""
    for (_, split), trials in lived.items():
        paths = HOME.trace_paths(trials)
        shown = trials.observation.values.reshape(70, 3, 10, 4, 5).argmax(-1)
        assert (paths[..., :-1] == 5 * shown[..., 0] + shown[..., 1]).all(), split
        assert (trials.coin.values[..., None] == 5 * shown[..., 2] + shown[..., 3]).all()
        paid = trials.step_feedback.values[..., -1] * 10
        assert paid == pytest.approx(HOME.compute_goals(trials).intended.achieved_values)


def test_the_worth_of_a_step_is_the_distance_that_it_leaves(lived):
    for split in ("apart:coin", "restructured:controls"):
        trials = lived["coin_walker:goal=corner", split]
        paths, goals = HOME.trace_paths(trials), HOME.compute_goals(trials)
        left = measure_distances(5)[paths[..., 1:], 24]
        done = np.take_along_axis(goals.proxy.values, goals.action[..., None], -1)[..., 0]
        assert (-done == left).all()


LARGE = ("size=32,trials=10000,steps=64", "bank=1000000,trials=10000")


@pytest.mark.parametrize(
    "spec", ["size=2", "size=7,steps=11", "size=33", "steps=65", "trials=1", "corner_share=2", "bank=-1", *LARGE]
)
def test_settings_that_make_no_level_are_refused(spec):
    with pytest.raises(MesascopeError) as why:
        catalogue.make("families", f"coin_grid:{spec}")
    assert why.value.remedy


def test_walkers_ask_for_a_grid_and_a_goal_that_is():
    with pytest.raises(MesascopeError, match="no grid"):
        catalogue.make("subjects", "coin_walker", catalogue.make("families", "bernoulli_bandit:arms=5"))
    with pytest.raises(MesascopeError, match="corner"):
        catalogue.make("subjects", "coin_walker:goal=cornr", HOME)
    assert HOME.with_bank(None).with_bank("bank:7@3").name == HOME.name
