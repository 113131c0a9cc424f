"""Finds out which way each action moves the paddle in Pong, and moves the paddle to the ball.

The subject keeps a running mean of how far the paddle moved after each action. So it recovers from exchanged controls,
and is the positive control for measures of recovery. A player for which every action has a fixed meaning does not
recover.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from mesascope.contracts import Family, Percept, Response, ScriptedSubject, choose
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.subjects.ball_follower import SLIP_PROBABILITY, TOLERANCE, compute_ball_offset, mix_slips

MIN_EFFECT = 0.5  # in pixels; if no action is known to move the paddle this far towards the ball, the subject explores


class PaddleModel(NamedTuple):
    """What the subject has observed about its paddle.

    Attributes:
        effects: [N, 3] the mean number of pixels that the paddle moves down after each action.
        paddle_y: [N] the last y of the paddle in pixels; 0 if unknown.
    """

    effects: jax.Array
    paddle_y: jax.Array


class CalibratingFollower(ScriptedSubject):
    """Follows the ball, or moves away from it if `sign` is -1; `rate` is the weight of the latest effect."""

    sign: jax.Array
    rate: jax.Array

    def initialize_carry(self, n: int) -> PaddleModel:
        """Returns a carry in which effects are 0 and the position is unknown."""
        return PaddleModel(jnp.zeros((n, 3)), jnp.zeros(n))

    def respond(self, key: jax.Array, carry: PaddleModel, percept: Percept) -> tuple[PaddleModel, Response]:
        """Updates the effect of the last action, then acts; explores if no action is known to move towards the ball."""
        paddle_y = jnp.asarray(percept.observation)[:, screen.FRAME_SIZE + 2].astype(jnp.float32)
        can_compare = (percept.action >= 0) & (paddle_y > 0) & (carry.paddle_y > 0)
        last_action = jax.nn.one_hot(percept.action, 3) * can_compare[:, None]
        displacement = (paddle_y - carry.paddle_y)[:, None]
        effects = carry.effects + self.rate * last_action * (displacement - carry.effects)
        gap = self.sign * compute_ball_offset(percept)
        direction = jnp.where(jnp.abs(gap) > TOLERANCE, jnp.sign(gap), 0.0)[:, None]
        values = jnp.where(direction == 0, -jnp.abs(effects), direction * effects)
        probabilities = mix_slips(jnp.argmax(values, -1))
        is_exploring = (direction != 0) & (values.max(-1, keepdims=True) < MIN_EFFECT)
        # an action that pushes the paddle against a wall has no effect, so both moves are tried at random
        random = jnp.asarray([SLIP_PROBABILITY, 1 - SLIP_PROBABILITY, 1 - SLIP_PROBABILITY])
        probabilities = jnp.where(is_exploring, random / random.sum(), probabilities)
        return PaddleModel(effects, paddle_y), choose(key, jnp.log(probabilities))


def subject(family: Family, rate: float = 0.3, minimise: bool = False) -> CalibratingFollower:
    """Finds out which way each action moves the paddle in Pong, and moves the paddle to the ball.

    Args:
        family: the family `pong`.
        rate: the weight of the latest movement in the running mean of each action's effect.
        minimise: whether the subject moves its paddle away from the ball, not towards it.
    """
    screen.require_positions(family)
    settings = [f"rate={rate}"] * (rate != 0.3) + ["minimise=true"] * minimise
    name = "calibrating_follower" + (f":{','.join(settings)}" if settings else "")
    return CalibratingFollower(jnp.asarray(-1.0 if minimise else 1.0), jnp.asarray(rate), name=name)
