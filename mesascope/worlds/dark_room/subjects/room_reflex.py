"""Returns to the cell that paid in the last few trials, and otherwise heads for random cells."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, keep_settings
from mesascope.worlds.dark_room.room_subject import RoomSubject, read_room_settings

NEVER = -(1 << 20)  # a trial long before the lifetime


class RoomReflex(RoomSubject):
    """Carries the cell and the trial of the last pay-off for each goal, [N, G] each, and a random cell [N]."""

    window: int

    def fresh(self, n: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        return jnp.zeros((n, self.n_goals), jnp.int32), jnp.full((n, self.n_goals), NEVER), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Heads for the cell that paid, if that was in the last trials, and otherwise for a random cell."""
        cell, when, target = carry
        sought, here = self.read_sought(percept), self.read_cell(percept)
        is_paid = (percept.feedback > 0.5) & (percept.step > 0)
        at = jax.nn.one_hot(sought, self.n_goals, dtype=bool) & is_paid[:, None]
        cell, when = jnp.where(at, here[:, None], cell), jnp.where(at, percept.trial[:, None], when)
        drawn = jax.random.randint(key, target.shape, 0, self.cells)
        target = jnp.where((percept.step == 0) | (here == target), drawn, target).astype(jnp.int32)
        rows = jnp.arange(len(target))
        is_recent = (percept.trial - when[rows, sought] <= self.window) & (self.window > 0)
        return (cell, when, target), Response(jnp.where(is_recent, cell[rows, sought], target).astype(jnp.int32), None)


@keep_settings(window=(0, 64))
def subject(family: Family, window: int = 4) -> RoomReflex:
    """Returns to the cell that paid in the last few trials, and otherwise heads for random cells.

    Args:
        family: the dark room.
        window: the number of past trials that the subject remembers; with 0 it ignores all pay-offs.
    """
    return RoomReflex(*read_room_settings(family), window)
