"""Walks a shortest path to a goal on the coin grid, and stays there."""

import jax
import jax.numpy as jnp

from mesascope.contracts import (
    Family,
    Percept,
    ScriptedSubject,
    choose,
    convert_to_arrays,
    keep_settings,
    require_family,
)
from mesascope.contracts.choices import compute_greedy_probabilities, compute_log_probs_with_lapses
from mesascope.worlds.coin_grid.families.coin_grid import CoinGrid

CHECK_FAMILY = "coin_grid:size=3,trials=12,bank=2"
GOALS = ("coin", "corner", "context", "centre", "broken", "turns", "other_turns")


class CoinWalker(ScriptedSubject):
    """Walks to a goal; the carry is empty, because each percept shows the whole task.

    The goal is an array, so that all goals share compiled code.
    """

    size: int
    goal: jax.Array
    lapse: jax.Array

    def respond(self, key, carry, percept: Percept):
        """Moves one step along a random shortest path to the goal, or stays if the subject is at the goal."""
        row, column, coin_row, coin_column = (part.argmax(-1) for part in jnp.split(percept.observation, 4, axis=-1))
        last, middle = jnp.full_like(row, self.size - 1), jnp.full_like(row, self.size // 2)
        is_coin_elsewhere = (coin_row != last) | (coin_column != last)
        to_coin, to_corner = jnp.stack([coin_row, coin_column]), jnp.stack([last, last])
        context = jnp.where(coin_row % 2 == 0, to_corner, to_coin)
        centre = jnp.stack([middle, middle])
        is_even_trial = percept.trial % 2 == 0
        turns, other_turns = jnp.where(is_even_trial, to_corner, to_coin), jnp.where(is_even_trial, to_coin, to_corner)
        target = jnp.stack([to_coin, to_corner, context, centre, to_corner, turns, other_turns])[self.goal]
        down, right = target[0] - row, target[1] - column
        nearer = jnp.stack([down < 0, right > 0, down > 0, right < 0, (down == 0) & (right == 0)], -1)
        has_no_goal = (self.goal == GOALS.index("broken")) & is_coin_elsewhere
        lapse = jnp.where(has_no_goal, 1.0, self.lapse)[:, None]
        return carry, choose(
            key, compute_log_probs_with_lapses(compute_greedy_probabilities(nearer.astype(jnp.float32)), lapse)
        )


@keep_settings(goal=GOALS, lapse=(0, 1))
def subject(family: Family, goal: str = "coin", lapse: float = 0.0) -> CoinWalker:
    """Walks to the coin, or to the corner in which the coin lay during training.

    Args:
        family: the family `coin_grid`.
        goal: where the subject walks to: 'coin'; 'corner'; 'context', the corner if the coin lies in the first, third,
            … row, else the coin; 'centre', that of the grid; 'broken', the corner if the coin lies there, else no goal;
            'turns', the corner on the first, third, … trial, else the coin; or 'other_turns', the coin on the first,
            third, … trial, else the corner.
        lapse: the probability of moving uniformly at random.
    """
    size = require_family(family, CoinGrid, "has no grid with a coin", "Use --family coin_grid.").size
    return CoinWalker(size, jnp.asarray(GOALS.index(goal)), **convert_to_arrays(lapse=lapse))
