"""Monte Carlo tree search against trees that are solved, and what it is read as."""

from __future__ import annotations

import numpy as np
import pytest

from mesascope import catalogue
from mesascope.errors import MesascopeError
from mesascope.rollouts.rollouts import rollout
from mesascope.validation import axes as validation_of_axes

pytest.importorskip("mctx", reason="needs the extra 'planning'")
FAMILY = "tree_choice:depth=2,trials=12,bank=3"


def family(settings=FAMILY):
    return catalogue.make("families", settings)


def test_enough_simulations_find_the_best_end_of_every_tree():
    home = family()
    many = catalogue.make("subjects", "mcts:simulations=64", home)
    lived = rollout(many, home, "fresh", 64, 3)
    assert (lived.score.values[0] >= lived.best.values - 1e-6).mean() > 0.98
    assert np.exp(lived.log_probs.values).max() == pytest.approx(1.0)


@pytest.mark.slow  # ten seconds to compile; CI runs it
def test_the_search_of_one_problem_goes_on_from_tick_to_tick():
    """Eight ticks of eight simulations are one tick of sixty-four; after a change it starts anew."""
    home = family()
    conditions = [catalogue.make("conditions", c) for c in ("intact", "thinking:ticks=8")]
    slow, fast = (catalogue.make("subjects", f"mcts:simulations={n}", home) for n in (8, 64))
    by_ticks = rollout(slow, home, "fresh", 64, 3, conditions=conditions).action.sel(condition="thinking:ticks=8")
    at_once = rollout(fast, home, "fresh", 64, 3).action.sel(condition="intact")
    assert (by_ticks.values[:, 0] == at_once.values[:, 0]).mean() > 0.97


def test_bad_numbers_of_simulations():
    for bad in ("simulations=1", "simulations=600", "simulations=9,budget=8"):
        with pytest.raises(MesascopeError):
            catalogue.make("subjects", f"mcts:{bad}", family())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mcts:budget=16", "mcts:simulations=2,budget=16"])
def test_it_is_read_as_its_truth_has_it(name):
    case = next(c for c in validation_of_axes.list_cases("search") if c.name == name)
    assert validation_of_axes.run_case("search", case, seed=31, lifetime_count=128) == case.reading
