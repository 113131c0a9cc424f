"""Hides the subject's own paddle in Pong's picture, by painting over it with the colour of the field."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from mesascope.contracts import check_range
from mesascope.worlds.pong.painting import COLUMNS, EMPTY_FRAME, OWN_PADDLE_COLUMN, Picture, PictureCondition, find_ball


class PaddleHidden(PictureCondition):
    """Hides the paddle for single responses, one per step (is_single=1), or for the whole lifetime (is_single=0)."""

    def paint(self, key, picture, context):
        """Returns the picture without the paddle on the right; the ball stays visible."""
        xp: Any = np if isinstance(picture.frame, np.ndarray) else jnp
        paddle = (COLUMNS == OWN_PADDLE_COLUMN) & ~find_ball(picture.positions)  # nothing else is in that column
        frame = xp.where(paddle, EMPTY_FRAME, picture.frame).astype(picture.frame.dtype)
        return Picture(frame, {k: 0 * v if k == "own y" else v for k, v in picture.positions.items()})


def condition(is_single: int = 1) -> PaddleHidden:
    """Hides the subject's own paddle.

    Args:
        is_single: 1 for single responses, one at each step of an undisturbed lifetime; 0 for the whole lifetime.
    """
    check_range(0, 1, is_single=is_single)
    return PaddleHidden(is_single)
