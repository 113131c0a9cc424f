"""Shows the ball in Pong's picture some rows lower; a ball that would leave at the bottom appears at the top."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import check_range
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.painting import Picture, PictureCondition, remove_ball

INNER_ROWS = screen.FRAME_HEIGHT - 2  # the number of rows between the walls
TOP_ROW_Y = (screen.SCORE_ROWS + 1) * screen.CELL_HEIGHT + 14  # the ball's y in the memory if it is in the top row


class BallMoved(PictureCondition):
    """Moves the ball down in the picture.

    Attributes:
        rows: the number of rows, of five pixels each, by which the ball is moved down.
        is_single: 1 for single responses, one at each step of an undisturbed lifetime; 0 for the whole lifetime.
    """

    rows: int | jax.Array = 10

    @property
    def label(self) -> str:
        """The condition's name with its settings."""
        return f"ball_moved:rows={self.rows},is_single={self.is_single}"

    def paint(self, key, picture, context):
        """Returns the picture with the ball some rows lower."""
        xp: Any = np if isinstance(picture.frame, np.ndarray) else jnp
        background = remove_ball(picture)
        ball = picture.frame.astype(np.int16) - background.frame.astype(np.int16)
        rows = xp.roll(ball[:, 1:-1], self.rows, axis=1)
        rows = background.frame[:, 1:-1].astype(np.int16) + rows
        middle = xp.clip(rows, 0, 255).astype(picture.frame.dtype)
        frame = xp.concatenate([background.frame[:, :1], middle, background.frame[:, -1:]], 1)
        return Picture(frame, {k: _move_ball_down(k, v, self.rows) for k, v in picture.positions.items()})


def _move_ball_down(name: str, value: Any, rows: Any) -> Any:
    """Moves a position named `name` down by some rows if it is a y of the ball; 0 means no ball and stays 0."""
    if not name.startswith("ball y"):
        return value
    lowered = (value - TOP_ROW_Y + rows * screen.CELL_HEIGHT) % (INNER_ROWS * screen.CELL_HEIGHT) + TOP_ROW_Y
    return lowered * (value > 0)


def condition(rows: int = 10, is_single: int = 1) -> BallMoved:
    """Shows the ball some rows lower.

    Args:
        rows: the number of rows of five pixels by which the ball is moved down, from 1 to 30; the field has 31 rows.
        is_single: 1 for single responses, one at each step of an undisturbed lifetime; 0 for the whole lifetime.
    """
    check_range(1, INNER_ROWS - 1, rows=rows)
    check_range(0, 1, is_single=is_single)
    return BallMoved(is_single, rows=rows)
