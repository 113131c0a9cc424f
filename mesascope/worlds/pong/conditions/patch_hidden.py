"""The control of hiding Pong's ball: a patch of the same size is painted over, on the other player's paddle.

A patch of the empty field would be painted over with its own colour.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from mesascope.worlds.pong.painting import (
    BLANK,
    COLUMNS,
    OTHER,
    ROWS,
    OnPicture,
    ball_mask,
    check_settings,
    paddle_mask,
)

TRIED = "pong:rallies=2,steps=3"


class PatchHidden(OnPicture):
    """once: 1 for one response at every step in turn, 0 for the whole life."""

    def paint(self, key, seen, context):
        """The picture without a patch as tall and wide as what the ball touches, on the middle of the paddle."""
        xp: Any = np if isinstance(seen.frame, np.ndarray) else jnp
        touched = ball_mask(seen.places)
        tall, wide = touched.any(2).sum(1), touched.any(1).sum(1)
        rows = paddle_mask(seen.places["other y"], OTHER, 15).any(2)
        middle = (rows * ROWS).sum(1) // xp.maximum(rows.sum(1), 1)
        top, left = middle - tall // 2, OTHER - wide // 2
        inside = _between(ROWS, top, tall)[:, :, None] & _between(COLUMNS, left, wide)[:, None, :]
        hidden = inside & rows.any(1)[:, None, None] & ~touched
        return seen._replace(frame=xp.where(hidden, BLANK, seen.frame).astype(seen.frame.dtype))


def _between(cells: np.ndarray, start: Any, length: Any) -> Any:
    """[N, cells] whether each is one of `length` from `start` on."""
    return (cells >= start[:, None]) & (cells < (start + length)[:, None])


def condition(once: int = 1, before: int = 0) -> PatchHidden:
    """A patch of the ball's size is hidden on the other player's paddle, the control of hiding the ball.

    Args:
        once: 1 for one response at every step in turn, while the life goes on undisturbed; 0 for the whole life.
        before: how many percepts before the present one it is hidden in too; the carry is rebuilt of these, so what
            was carried for longer is lost: for subjects that carry frames alone.
    """
    check_settings(once, before)
    return PatchHidden(once, before)
