"""Hides a patch of the ball's size on the other player's paddle in Pong, as the control for hiding the ball.

A patch of the empty field could not be the control, because painting over it would not change the picture.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from mesascope.worlds.pong import painting
from mesascope.worlds.pong.painting import COLUMNS, OTHER_PADDLE_COLUMN, ROWS, PictureCondition


class PatchHidden(PictureCondition):
    """Hides a patch for single responses, one at each step (is_single=1), or for the whole lifetime (is_single=0)."""

    def paint(self, key, picture, context):
        """Returns the picture without a patch of the ball's size in the middle of the other player's paddle."""
        xp: Any = np if isinstance(picture.frame, np.ndarray) else jnp
        ball = painting.find_ball(picture.positions)
        heights, widths = ball.any(2).sum(1), ball.any(1).sum(1)
        rows = painting.find_paddle(picture.positions["other y"], OTHER_PADDLE_COLUMN, 15).any(2)
        middle = (rows * ROWS).sum(1) // xp.maximum(rows.sum(1), 1)
        top, first_column = middle - heights // 2, OTHER_PADDLE_COLUMN - widths // 2
        patch_rows = painting.find_overlap(ROWS, 1, top, heights[:, None])
        patch_columns = painting.find_overlap(COLUMNS, 1, first_column, widths[:, None])
        hidden_cells = patch_rows[:, :, None] & patch_columns[:, None, :] & rows.any(1)[:, None, None] & ~ball
        frame = xp.where(hidden_cells, painting.EMPTY_FRAME, picture.frame)
        return picture._replace(frame=frame.astype(picture.frame.dtype))


def condition(is_single: int = 1, earlier_percepts: int = 0) -> PatchHidden:
    """Hides a patch of the ball's size on the other player's paddle, as the control for hiding the ball.

    Args:
        is_single: 1 for single responses, one at each step of an undisturbed lifetime; 0 for the whole lifetime.
        earlier_percepts: the number of earlier percepts in which a patch is also hidden. The carry is rebuilt from
            these percepts alone, so this setting suits only subjects that carry the last frames and nothing else.
    """
    painting.check_settings(is_single, earlier_percepts)
    return PatchHidden(is_single, earlier_percepts)
