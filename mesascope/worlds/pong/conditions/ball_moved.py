"""In Pong's picture the ball is elsewhere: lower by some rows, and in from above where it would leave below."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.settings import check_range
from mesascope.worlds.pong import pong_screen as screen
from mesascope.worlds.pong.painting import OnPicture, Picture, remove_ball

INNER = screen.HEIGHT - 2  # rows between the walls
FIRST = (screen.TOP + 1) * screen.TALL + 14  # what the memory holds with the ball in the uppermost of them

TRIED = "pong:rallies=2,steps=3"


class BallMoved(OnPicture):
    """by: rows, of five pixels; once: 1 for one response at every step in turn, 0 for the whole life."""

    by: int | jax.Array = 10

    @property
    def label(self) -> str:
        """The condition with its settings."""
        return f"ball_moved:by={self.by},once={self.once}"

    def paint(self, key, seen, context):
        """Takes the ball out of the picture and puts it in again."""
        xp: Any = np if isinstance(seen.frame, np.ndarray) else jnp
        bare = remove_ball(seen)
        alone = seen.frame.astype(np.int16) - bare.frame.astype(np.int16)
        inner = xp.roll(alone[:, 1:-1], self.by, axis=1)
        inner = bare.frame[:, 1:-1].astype(np.int16) + inner
        middle = xp.clip(inner, 0, 255).astype(seen.frame.dtype)
        frame = xp.concatenate([bare.frame[:, :1], middle, bare.frame[:, -1:]], 1)
        return Picture(frame, {k: _lower(k, v, self.by) for k, v in seen.places.items()})


def _lower(name: str, value: Any, by: Any) -> Any:
    """The ball's y in the memory; 0 is no ball and stays."""
    if not name.startswith("ball y"):
        return value
    moved = (value - FIRST + by * screen.TALL) % (INNER * screen.TALL) + FIRST
    return moved * (value > 0)


def condition(by: int = 10, once: int = 1) -> BallMoved:
    """The ball is shown elsewhere.

    Args:
        by: rows that it is lower, of the 31 between the walls.
        once: 1 for one response at every step in turn, while the life goes on undisturbed; 0 for the whole life.
    """
    check_range(1, INNER - 1, by=by)
    check_range(0, 1, once=once)
    return BallMoved(once, by=by)
