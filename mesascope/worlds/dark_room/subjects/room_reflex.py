"""Returns to the cell that paid in the last few trials, and otherwise heads for random cells."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, keep_settings
from mesascope.worlds.dark_room.room_subject import RoomSubject, read_room_settings

LONG_AGO_TRIAL = -(1 << 20)  # a trial long before the lifetime


class RoomReflex(RoomSubject):
    """Carries the cell and the trial of the last pay-off for each goal, [N, G] each, and a random cell [N]."""

    window: int

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        return (
            jnp.zeros((n, self.n_goals), jnp.int32),
            jnp.full((n, self.n_goals), LONG_AGO_TRIAL),
            jnp.zeros(n, jnp.int32),
        )

    def respond(self, key, carry, percept: Percept):
        """Heads for the cell that paid, if that was in the last trials, and otherwise for a random cell."""
        payoff_cell, payoff_trial, target = carry
        goal_index, current_cell = self.read_goal_index(percept), self.read_cell(percept)
        is_paid = (percept.feedback > 0.5) & (percept.step > 0)
        is_updated = jax.nn.one_hot(goal_index, self.n_goals, dtype=bool) & is_paid[:, None]
        payoff_cell, payoff_trial = (
            jnp.where(is_updated, current_cell[:, None], payoff_cell),
            jnp.where(is_updated, percept.trial[:, None], payoff_trial),
        )
        drawn_cell = jax.random.randint(key, target.shape, 0, self.n_cells)
        target = jnp.where((percept.step == 0) | (current_cell == target), drawn_cell, target).astype(jnp.int32)
        rows = jnp.arange(len(target))
        is_recent = (percept.trial - payoff_trial[rows, goal_index] <= self.window) & (self.window > 0)
        return (payoff_cell, payoff_trial, target), Response(
            jnp.where(is_recent, payoff_cell[rows, goal_index], target).astype(jnp.int32), None
        )


@keep_settings(window=(0, 64))
def subject(family: Family, window: int = 4) -> RoomReflex:
    """Returns to the cell that paid in the last few trials, and otherwise heads for random cells.

    Args:
        family: the dark room.
        window: the number of past trials that the subject remembers; with 0 it ignores all pay-offs.
    """
    return RoomReflex(*read_room_settings(family), window)
