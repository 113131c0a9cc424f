"""Moves its paddle in Pong to where the ball is, by the positions behind the picture: a known answer, a weak player."""

from typing import Any

import jax
import jax.numpy as jnp

from mesascope.contracts.scripted import Family, Percept, Response, Scripted, choose
from mesascope.worlds.pong import pong_screen as screen

TRIED = "pong:rallies=2,steps=3"
NEAR = 3  # pixels: no nearer than this is it moved
SLIP = 0.01  # part of the steps at which it acts at random


class BallFollower(Scripted):
    """away [], -1 to flee from the ball, else 1."""

    away: jax.Array

    def fresh(self, n: int) -> jax.Array:
        """It carries nothing: [n, 0]."""
        return jnp.zeros((n, 0))

    def respond(self, key: jax.Array, carry: Any, percept: Percept) -> tuple[Any, Response]:
        """Up, down, or nothing where the ball is level with the paddle or nowhere."""
        gap = self.away * ball_offset(percept)
        action = jnp.where(gap < -NEAR, 1, jnp.where(gap > NEAR, 2, 0))
        return carry, choose(key, jnp.log(slip_probabilities(action)))


def ball_offset(percept: Percept) -> jax.Array:
    """[N] how many pixels the ball's middle is lower than the paddle's; 0 where there is no ball."""
    places = jnp.asarray(percept.observation)[:, screen.SIZE :].astype(jnp.float32)
    ball_x, ball_y, own_y = places[:, 0], places[:, 1], places[:, 2]
    return jnp.where((ball_x > 0) & (ball_y > 0), ball_y - own_y - 6, 0.0)


def slip_probabilities(action: jax.Array) -> jax.Array:
    """Probabilities [N, 3] of an action that is taken but for a few steps."""
    return (1 - SLIP) * jax.nn.one_hot(action, 3) + SLIP / 3


def subject(family: Family, minimise: bool = False) -> BallFollower:
    """Moves its paddle to where Pong's ball is.

    Args:
        family: pong.
        minimise: whether it moves away from the ball instead.
    """
    screen.refuse_others(family)
    name = "ball_follower" + (":minimise=true" if minimise else "")
    return BallFollower(jnp.asarray(-1.0 if minimise else 1.0), name=name)
