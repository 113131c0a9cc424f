"""Moves its paddle in Pong to where the ball is, and finds out by itself which action moves it which way.

It keeps a running mean of how far the paddle went after each action. So it gets over exchanged controls, which no
player whose meaning of the actions is fixed does: the positive control of that measurement.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Response, Scripted, choose
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.subjects.ball_follower import NEAR, SLIP, ball_offset, slip_probabilities

TRIED = "pong:rallies=2,steps=3"
LITTLE = 0.5  # pixels: an action of less effect leads nowhere


class Carry(NamedTuple):
    """effect [N, 3], mean pixels that the paddle went down after each action; where [N] the paddle was, 0 unknown."""

    effect: jax.Array
    where: jax.Array


class CalibratingFollower(Scripted):
    """away [], -1 to flee from the ball, else 1; rate [] of the running mean."""

    away: jax.Array
    rate: jax.Array

    def fresh(self, n: int) -> Carry:
        """It expects nothing of any action."""
        return Carry(jnp.zeros((n, 3)), jnp.zeros(n))

    def respond(self, key: jax.Array, carry: Carry, percept: Percept) -> tuple[Carry, Response]:
        """Takes in what the last action did, then acts; it tries where it knows of nothing that leads to the ball."""
        own = jnp.asarray(percept.observation)[:, screen.SIZE + 2].astype(jnp.float32)
        known = (percept.action >= 0) & (own > 0) & (carry.where > 0)
        taken = jax.nn.one_hot(percept.action, 3) * known[:, None]
        moved = (own - carry.where)[:, None]
        effect = carry.effect + self.rate * taken * (moved - carry.effect)
        gap = self.away * ball_offset(percept)
        wanted = jnp.where(jnp.abs(gap) > NEAR, jnp.sign(gap), 0.0)[:, None]
        worth = jnp.where(wanted == 0, -jnp.abs(effect), wanted * effect)
        chances = slip_probabilities(jnp.argmax(worth, -1))
        lost = (wanted != 0) & (worth.max(-1, keepdims=True) < LITTLE)
        # at a wall the wrong action does nothing: so it tries
        tried = jnp.asarray([SLIP, 1 - SLIP, 1 - SLIP])
        return Carry(effect, own), choose(key, jnp.log(jnp.where(lost, tried / tried.sum(), chances)))


def subject(family: Family, rate: float = 0.3, minimise: bool = False) -> CalibratingFollower:
    """Moves its paddle to where Pong's ball is, and finds out which action does what.

    Args:
        family: pong.
        rate: of the running mean of what an action does.
        minimise: whether it moves away from the ball instead.
    """
    screen.refuse_others(family)
    shown = [f"rate={rate}"] * (rate != 0.3) + ["minimise=true"] * minimise
    name = "calibrating_follower" + (f":{','.join(shown)}" if shown else "")
    return CalibratingFollower(jnp.asarray(-1.0 if minimise else 1.0), jnp.asarray(rate), name=name)
