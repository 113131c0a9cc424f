"""A simple and weak player of Pong, which reads the positions after the frame and moves its paddle to the ball."""

from typing import Any

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, Scripted, choose
from mesascope.worlds.pong import pong_screen as screen

TOLERANCE = 3  # in pixels; it does not move if the ball is at most this far away
SLIP_PROBABILITY = 0.01  # the fraction of steps on which it acts at random


class BallFollower(Scripted):
    """Follows the ball; sign is 1, or -1 to move away from the ball."""

    sign: jax.Array

    def fresh(self, n: int) -> jax.Array:
        """Returns an empty carry [n, 0]."""
        return jnp.zeros((n, 0))

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Moves up or down towards the ball; does nothing if the ball is level with the paddle or absent."""
        gap = self.sign * find_offset(percept)
        action = jnp.where(gap < -TOLERANCE, 1, jnp.where(gap > TOLERANCE, 2, 0))
        return carry, choose(key, jnp.log(mix_slips(action)))


def find_offset(percept: Percept) -> jax.Array:
    """[N] how many pixels the ball is below the middle of the paddle; 0 if there is no ball."""
    places = jnp.asarray(percept.observation)[:, screen.FRAME_SIZE :].astype(jnp.float32)
    ball_x, ball_y, own_y = places[:, 0], places[:, 1], places[:, 2]
    return jnp.where((ball_x > 0) & (ball_y > 0), ball_y - own_y - 6, 0.0)


def mix_slips(action: jax.Array) -> jax.Array:
    """[N, 3] the probabilities of the actions if the subject mostly takes `action` but sometimes slips at random."""
    return (1 - SLIP_PROBABILITY) * jax.nn.one_hot(action, 3) + SLIP_PROBABILITY / 3


def subject(family: Family, minimise: bool = False) -> BallFollower:
    """Moves its paddle to Pong's ball.

    Args:
        family: the family `pong`.
        minimise: whether the subject moves away from the ball instead.
    """
    screen.require_positions(family)
    name = "ball_follower" + (":minimise=true" if minimise else "")
    return BallFollower(jnp.asarray(-1.0 if minimise else 1.0), name=name)
