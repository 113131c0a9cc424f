"""Infers where the goals are by Bayes' rule, and heads for the nearest of the most probable cells."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, keep_settings
from mesascope.worlds.dark_room.families.dark_room import measure_distances
from mesascope.worlds.dark_room.room_subject import RoomSubject, read_room_settings

ACTION_MAPPINGS = ("goal", "mirror", "clock")
LOG_ODDS_PER_STEP = (
    1e-3  # the log-odds that one step of distance subtracts; it decides only between equally probable cells
)


class RoomLearner(RoomSubject):
    """Carries the log-odds of every cell for every goal, [N, G, cells]."""

    discount: float
    action_mapping: str

    def initialize_carry(self, n: int) -> jax.Array:
        return jnp.zeros((n, self.n_goals, self.n_cells))

    def respond(self, key, carry, percept: Percept):
        """Heads for the nearest of the most probable cells, or for the cell to which `action_mapping` maps it."""
        discount = jnp.where(percept.step == 0, self.discount, 1.0)[:, None, None]
        carry = discount * carry + self.compute_evidence(percept)
        goal_odds = carry[jnp.arange(len(carry)), self.read_goal_index(percept)]
        distance = jnp.asarray(measure_distances(self.size))[self.read_cell(percept)]
        distance_penalty = LOG_ODDS_PER_STEP * (distance + jax.random.uniform(key, distance.shape))
        target = (goal_odds - distance_penalty).argmax(-1).astype(jnp.int32)
        if self.action_mapping == "mirror":
            target = jnp.where(goal_odds.max(-1) > LOG_ODDS_PER_STEP, self.n_cells - 1 - target, target)
        elif self.action_mapping == "clock":
            row, column = ((x + percept.trial) % self.size for x in jnp.divmod(target, self.size))
            target = jnp.where(percept.step == 0, row * self.size + column, target)
        return carry, Response(target, None)


@keep_settings(discount=(0.0, 1.0), action_mapping=ACTION_MAPPINGS)
def subject(family: Family, discount: float = 1.0, action_mapping: str = "goal") -> RoomLearner:
    """Infers where the goals are by Bayes' rule, and heads for the nearest of the most probable cells.

    Args:
        family: the dark room.
        discount: the factor by which the log-odds are multiplied on each trial; 1 for goals that stay.
        action_mapping: which cell the subject heads for: 'goal', the goal; 'mirror', the cell opposite to a goal that
            it has found, seen from the centre; or 'clock', the goal, but on the first step of a trial the cell that
            lies further down and to the right by as many rows and columns as the trial index, cyclically.
    """
    return RoomLearner(*read_room_settings(family), discount, action_mapping)
