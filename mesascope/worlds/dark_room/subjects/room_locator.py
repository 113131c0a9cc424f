"""Locates its task in the bank. It is the ideal subject that has stored its training tasks and nothing else."""

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, keep_settings, require_bank
from mesascope.worlds.dark_room.room_subject import RoomSubject, read_room_settings, require_room


class RoomLocator(RoomSubject):
    """Carries the log-odds [N, M] of every task of its bank, and the task [N] whose goal it heads for."""

    bank_goals: jax.Array  # [M, G] the cells of the goals
    takes_most_probable: bool

    def initialize_carry(self, n: int) -> tuple[jax.Array, jax.Array]:
        return jnp.zeros((n, len(self.bank_goals))), jnp.zeros(n, jnp.int32)

    def respond(self, key, carry, percept: Percept):
        """Heads for the goal of one task until the trial ends or another task is clearly more probable."""
        odds, task = carry
        odds = odds + self.compute_evidence(percept)[:, jnp.arange(self.n_goals), self.bank_goals].sum(-1)
        is_dropped = (percept.step == 0) | (odds[jnp.arange(len(task)), task] < odds.max(-1) - 1.0)
        chosen_task = odds.argmax(-1) if self.takes_most_probable else jax.random.categorical(key, odds)
        task = jnp.where(is_dropped, chosen_task, task).astype(jnp.int32)
        return (odds, task), Response(self.bank_goals[task, self.read_goal_index(percept)].astype(jnp.int32), None)


@keep_settings
def subject(family: Family, vote: bool = False) -> RoomLocator:
    """Locates its task in the family's bank, and heads for the goal of one task drawn from the posterior.

    Args:
        family: the dark room with a bank.
        vote: whether to take the most probable task, not one drawn from the posterior.
    """
    room = require_room(family)
    bank, tasks = require_bank(room, room.bank_tasks, "has no bank of tasks to locate one in", "Use dark_room:bank=4.")
    return RoomLocator(*read_room_settings(room), jnp.asarray(tasks), vote, trained_on=bank)
