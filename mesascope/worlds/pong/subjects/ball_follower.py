"""Moves its paddle to the ball in Pong, a simple and weak strategy that uses the positions in the observation."""

from typing import Any

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, ScriptedSubject, choose
from mesascope.worlds.pong import pong_screen as screen

TOLERANCE = 3  # in pixels; the paddle does not move if the ball is at most this far above or below the paddle's middle
SLIP_PROBABILITY = 0.01  # the fraction of steps with a random action


class BallFollower(ScriptedSubject):
    """Follows the ball if `sign` is 1, and moves away from the ball if it is -1."""

    sign: jax.Array

    def initialize_carry(self, n: int) -> jax.Array:
        """Returns an empty carry [n, 0]."""
        return jnp.zeros((n, 0))

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Moves up or down towards the ball; does nothing if the ball is absent or level with the paddle."""
        gap = self.sign * compute_ball_offset(percept)
        action = jnp.where(gap < -TOLERANCE, 1, jnp.where(gap > TOLERANCE, 2, 0))
        return carry, choose(key, jnp.log(mix_slips(action)))


def compute_ball_offset(percept: Percept) -> jax.Array:
    """Computes how many pixels the ball is below the middle of the paddle, [N]; 0 if there is no ball."""
    positions = jnp.asarray(percept.observation)[:, screen.FRAME_SIZE :].astype(jnp.float32)
    ball_x, ball_y, own_y = positions[:, 0], positions[:, 1], positions[:, 2]
    return jnp.where((ball_x > 0) & (ball_y > 0), ball_y - own_y - 6, 0.0)


def mix_slips(action: jax.Array) -> jax.Array:
    """Computes the probabilities [N, 3] of a policy that takes `action`, or rarely a random action instead."""
    return (1 - SLIP_PROBABILITY) * jax.nn.one_hot(action, 3) + SLIP_PROBABILITY / 3


def subject(family: Family, minimise: bool = False) -> BallFollower:
    """Moves its paddle to Pong's ball.

    Args:
        family: the family `pong`.
        minimise: whether the subject moves its paddle away from the ball, not towards it.
    """
    screen.require_positions(family)
    name = "ball_follower" + (":minimise=true" if minimise else "")
    return BallFollower(jnp.asarray(-1.0 if minimise else 1.0), name=name)
