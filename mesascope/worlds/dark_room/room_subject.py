"""Shared code of the dark room's subjects, which read observations and collect evidence about the goals."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, ScriptedSubject, require_family
from mesascope.worlds.dark_room.families.dark_room import DarkRoom

LOG_ODDS_PER_PAYOFF = 10.0  # the log-odds that one pay-off adds to a cell, and that one missing pay-off subtracts


class RoomSubject(ScriptedSubject):
    """A subject of the dark room; it reports no log-probabilities, because a table of all of them would be large.

    Attributes:
        size: the side of the room.
        n_goals: G, the number of goals.
        feedback_trials: the number of trials, from the first, that show their pay-offs.
    """

    size: int
    n_goals: int
    feedback_trials: int

    @property
    def n_cells(self) -> int:
        """The number of cells in the room, size · size."""
        return self.size**2

    def read_cell(self, percept: Percept) -> jax.Array:
        """Reads the subject's cell [N]."""
        row, column = (percept.observation[:, i * self.size : (i + 1) * self.size].argmax(-1) for i in (0, 1))
        return row * self.size + column

    def read_goal_index(self, percept: Percept) -> jax.Array:
        """Reads the index [N] of the goal that pays on this trial."""
        return percept.observation[:, 2 * self.size :].argmax(-1)

    def compute_evidence(self, percept: Percept) -> jax.Array:
        """Computes the log-odds [N, G, cells] that the last pay-off adds to each cell for each goal.

        They are 0 except for the goal that pays on this trial and the subject's cell. The first percept of a trial adds
        nothing, because it does not show the cell to which the last step led.
        """
        cell_mask = jax.nn.one_hot(self.read_goal_index(percept), self.n_goals)[..., None]
        cell_mask = cell_mask * jax.nn.one_hot(self.read_cell(percept), self.n_cells)[:, None]
        shows_payoff = (percept.step > 0) & (percept.trial < self.feedback_trials)
        sign = jnp.where(percept.feedback > 0.5, LOG_ODDS_PER_PAYOFF, -LOG_ODDS_PER_PAYOFF) * shows_payoff
        return cell_mask * sign[:, None, None]


def require_room(family: Family) -> DarkRoom:
    """Returns the family if it is the dark room.

    Raises:
        MesascopeError: the family is not the dark room.
    """
    return require_family(family, DarkRoom, "has no dark room", "Use --family dark_room.")


def read_room_settings(family: Family) -> tuple[int, int, int]:
    """Returns the side of the room, the number of goals and the number of trials that show pay-offs.

    Raises:
        MesascopeError: the family is not the dark room.
    """
    room = require_room(family)
    return room.size, room.n_goals, room.feedback_trials
