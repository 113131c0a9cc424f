"""What the tests of the recipes share: small families and the smallest training by every recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mesascope.catalogue import get_factory
from mesascope.contracts import Family
from mesascope.worlds.bandits.families.bernoulli_bandit import family as bandit
from mesascope.worlds.sequences.families.beta_bernoulli import family as symbols

SMALL = bandit(arms=3, trials=11)
SYMBOLS = symbols(trials=11)
SHAPE = {"width": 15, "lifetimes": 66}  # everywhere the same: compiling takes longest
TINY: dict[str, dict[str, Any]] = {
    "ppo_recurrent": {**SHAPE, "updates": 3, "minibatches": 2, "epochs": 2},
    "a2c_recurrent": {**SHAPE, "updates": 3},
    "imitate": {**SHAPE, "updates": 2, "improve_updates": 1, "minibatches": 2, "improve_epochs": 2},
    "predict": {**SHAPE, "updates": 3, "minibatches": 2},
}


def task(name: str) -> Family:
    """The small family that a recipe trains on."""
    return SYMBOLS if name == "predict" else SMALL


def recipe(name: str) -> Callable[..., Any]:
    """The recipe of a name."""
    return get_factory("recipes", name)
