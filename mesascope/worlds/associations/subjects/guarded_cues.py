"""Answers from the last few trials alone, behind a warm-up, or only as long as the past it is told may be its own."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.choices import mix_lapse
from mesascope.contracts.scripted import Family, Percept, choose, keep_settings
from mesascope.errors import MesascopeError
from mesascope.worlds.associations.evidence import TRIED as TRIED
from mesascope.worlds.associations.evidence import Cued, of_task

CHECKS = ("nothing", "action", "clock", "table")


class Carry(NamedTuple):
    """What the subject carries.

    Attributes:
        last: [N, window, S, K] the evidence from each of the last trials.
        seen: [N, S, K] the actions that were ever shown as right; it checks them and never answers from them.
        clock: [N] the number of past trials.
        own: [N] the last action that it took; -1 if none.
        caught: [N] whether it was ever told a past that cannot be its own.
    """

    last: jax.Array
    seen: jax.Array
    clock: jax.Array
    own: jax.Array
    caught: jax.Array


class GuardedCues(Cued):
    """See `subject` for the settings."""

    separate: ClassVar[bool] = True  # the order of lifetimes changes only what each one draws for itself and keeps

    window: int
    warmup: int
    checks: str

    def fresh(self, n: int) -> Carry:
        table, zero = (self.slots, self.choices), jnp.zeros(n, jnp.int32)
        return Carry(jnp.zeros((n, self.window, *table)), jnp.zeros((n, *table), bool), zero, zero - 1, zero > 0)

    def respond(self, key, carry: Carry, percept: Percept):
        """Answers the present cue if it is among the last ones, and at random if not, or if it was caught."""
        latest = self.evidence(percept).table
        last = jnp.concatenate([carry.last[:, 1:], latest[:, None]], 1)
        seen, caught = carry.seen, carry.caught
        if self.checks == "action":
            caught |= carry.own != percept.action
        elif self.checks == "clock":
            caught |= carry.clock != percept.trial
        elif self.checks == "table":
            seen |= latest > 0
            caught |= (seen.sum(-1) > 1).any(-1)
        odds = (self.present(percept)[..., None] * last.sum(1)).sum(1)
        silent = (carry.clock < self.warmup) | caught
        acts = jnp.where(silent[:, None], 1.0 / self.choices, jax.nn.softmax(odds))
        response = choose(key, mix_lapse(acts, 0.0))
        return Carry(last, seen, carry.clock + 1, response.action, caught), response


@keep_settings(window=(1, 64), warmup=(0, 1_000_000), checks=CHECKS)
def subject(family: Family, window: int = 4, warmup: int = 20, checks: str = "nothing") -> GuardedCues:
    """Infers the right action from the last few trials, unless it warms up or was told a past that is not its own.

    Args:
        family: association tasks; with checks=table, tasks that show the right action, without noise.
        window: the number of trials that it uses.
        warmup: the number of trials, counted in its carry, during which it answers at random.
        checks: what it checks, to answer at random for ever if it is wrong: 'nothing'; whether the last 'action' is the
            one it took; whether the trial is that of its own 'clock'; or whether no cue of the 'table' was ever shown
            with two right actions.
    """
    task = of_task(family)
    if checks == "table" and task[2] != "right":
        raise MesascopeError("A table of right actions can be checked only if they are shown.", "Give shows=right.")
    return GuardedCues(*task, window, warmup, checks)
