"""Helpers for conditions on Pong's picture, which find the ball and the paddles in the picture and paint over them.

An observation consists of the frame and of positions from the console's memory. A condition that hides an object in
the frame also hides the position of this object.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts import READABLE_PERCEPTS, Condition, Family, check_range
from mesascope.errors import MesascopeError
from mesascope.worlds.pong import pong_screen as screen

FIELD_GREY, BORDER_GREY, PADDLE_GREY = 87, 236, 148  # brightness values, from 0 to 255
ROWS, COLUMNS = np.arange(screen.FRAME_HEIGHT), np.arange(screen.FRAME_WIDTH)
OTHER_PADDLE_COLUMN, OWN_PADDLE_COLUMN = 4, 35  # the columns of the other player's paddle and of the subject's paddle
MAX_PADDLE_MOVE = 8  # the largest number of pixels by which a paddle moves from one screen to the next
EMPTY_FRAME = np.full((screen.FRAME_HEIGHT, screen.FRAME_WIDTH), FIELD_GREY, np.uint8)
# the walls reach into the first and the last row
EMPTY_FRAME[0] = round((4 * BORDER_GREY + FIELD_GREY) / 5)
EMPTY_FRAME[-1] = round((4 * FIELD_GREY + BORDER_GREY) / 5)


class Picture(NamedTuple):
    """The picture in an observation.

    Attributes:
        frame: [N, 33, 40] the frames, as bytes.
        positions: for each name in `POSITION_NAMES`, the bytes from the console's memory, [N].
    """

    frame: Any
    positions: dict[str, Any]


class PictureCondition(Condition):
    """A condition on Pong's picture, for one response at a time (is_single=1) or for the whole lifetime (is_single=0).

    If `earlier_percepts` is above 0, the condition also paints over this number of earlier percepts, and rebuilds the
    carry from them alone. This works only for one response at a time, and suits only subjects that carry the last
    frames and nothing else.
    """

    is_single: int | jax.Array
    earlier_percepts: int = 0

    @property
    def is_one_step(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the condition disturbs single responses, while the lifetime itself continues undisturbed."""
        return self.is_single == 1

    @property
    def looks_back(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the condition needs past percepts, because it paints over them too."""
        return self.earlier_percepts > 0

    @property
    def label(self) -> str:
        """The condition's name with its settings."""
        return super().label if self.earlier_percepts else super().label.replace(",earlier_percepts=0", "")

    def explain_mismatch(self, family: Family) -> str | None:
        """Returns why the condition does not apply to a family without Pong's picture; None for a family with it."""
        return None if screen.shows_positions(family) else "it shows no ball"

    def apply(self, carry, percept, second_carry, context):
        """Disturbs the picture; an observation of another size is returned unchanged."""
        if percept.observation.shape[-1] != screen.OBSERVATION_SIZE:
            return carry, percept, second_carry

        def paint_percept(percept):
            picture = self.paint(context.draw_key(), read_picture(percept.observation), context)
            return percept._replace(observation=make_observation(picture))

        if self.earlier_percepts:
            count = jnp.minimum(self.earlier_percepts, context.trial * context.steps + context.step)

            def rebuild_step(i, carry):
                return context.respond_in_past(count - i, carry, paint_percept(context.get_past_percept(count - i)))

            carry = context.repeat(0, count, rebuild_step, context.fresh_carry)
        return carry, paint_percept(percept), second_carry

    def paint_frames(self, observations: np.ndarray) -> np.ndarray:
        """Returns the disturbed frames [F, 33, 40] of observations [F, D]."""
        return np.asarray(self.paint(jax.random.key(0), read_picture(observations), None).frame)

    def paint(self, key: jax.Array, picture: Picture, context: Any) -> Picture:
        """Returns the disturbed picture; subclasses define it."""
        raise NotImplementedError


def read_picture(observations: Any) -> Picture:
    """Reads the pictures from observations [N, 1326]."""
    frame = observations[:, : screen.FRAME_SIZE].reshape(-1, screen.FRAME_HEIGHT, screen.FRAME_WIDTH)
    positions = observations[:, screen.FRAME_SIZE :].astype("int32").T
    return Picture(frame, dict(zip(screen.POSITION_NAMES, positions, strict=True)))


def make_observation(picture: Picture) -> Any:
    """Converts pictures to observations [N, 1326]."""
    xp = np if isinstance(picture.frame, np.ndarray) else jnp
    bytes_ = xp.stack([picture.positions[name] for name in screen.POSITION_NAMES], -1)
    flat = picture.frame.reshape(len(picture.frame), -1)
    return xp.concatenate([flat, bytes_.astype(flat.dtype)], -1)


def find_ball(positions: dict[str, Any]) -> Any:
    """Finds whether the ball touches each cell in either of the two screens that a frame shows, [N, 33, 40]."""
    now = _find_ball_cells(positions["ball x"], positions["ball y"])
    return now | _find_ball_cells(positions["ball x before"], positions["ball y before"])


def _find_ball_cells(x: Any, y: Any) -> Any:
    """Finds whether a ball touches each cell, [N, 33, 40]; x and y are bytes of the memory, 0 if there is no ball."""
    is_visible = (x > 0) & (y > 0)
    # the top of the ball is at y - 14 or at y - 15, depending on the line
    rows = find_overlap(ROWS, screen.CELL_HEIGHT, y - 15 - screen.FIELD_TOP, screen.BALL_SIZE[0] + 1)
    columns = find_overlap(COLUMNS, screen.CELL_WIDTH, x - screen.LEFT_EDGE_X, screen.BALL_SIZE[1])
    return is_visible[:, None, None] & rows[:, :, None] & columns[:, None, :]


def check_settings(is_single: int, earlier_percepts: int) -> None:
    """Checks the two settings that several conditions have.

    Raises:
        MesascopeError: a setting is out of range, or `earlier_percepts` is set while `is_single` is 0.
    """
    check_range(0, 1, is_single=is_single)
    check_range(0, READABLE_PERCEPTS - 1, earlier_percepts=earlier_percepts)
    if earlier_percepts and not is_single:
        raise MesascopeError(
            "is_single=0 disturbs the whole lifetime, but earlier_percepts applies to one response at a time.",
            "Leave out one of the two.",
        )


def find_paddle(y: Any, column: int, pixels_above: int) -> Any:
    """Finds whether a paddle may touch each cell now, or may have touched it one screen earlier, [N, 33, 40].

    Args:
        y: [N] the paddle's y, as a byte of the console's memory; 0 if there is no paddle.
        column: the column of the frame in which the paddle moves.
        pixels_above: the number of pixels from the top of the paddle to y.
    """
    top = y - pixels_above - MAX_PADDLE_MOVE - screen.FIELD_TOP
    rows = find_overlap(ROWS, screen.CELL_HEIGHT, top, screen.PADDLE_HEIGHT + 2 * MAX_PADDLE_MOVE)
    return (y > 0)[:, None, None] & rows[:, :, None] & (column == COLUMNS)


def find_overlap(cells: np.ndarray, size: int, start: Any, length: Any) -> Any:
    """Finds whether each cell of `size` pixels contains a pixel in [start, start + length), as [N, cells].

    The starts are in pixels, [N]; the length is one number of pixels, or one per start, [N, 1]. `cells` are the indices
    of the cells.
    """
    start = start[:, None]
    return (cells * size < start + length) & (cells * size + size > start)


def remove_ball(picture: Picture) -> Picture:
    """Returns the picture without the ball; a paddle that the ball covered stays visible."""
    xp = np if isinstance(picture.frame, np.ndarray) else jnp
    own_paddle = find_paddle(picture.positions["own y"], OWN_PADDLE_COLUMN, 14)
    paddles = own_paddle | find_paddle(picture.positions["other y"], OTHER_PADDLE_COLUMN, 15)
    background = xp.where(paddles, xp.minimum(picture.frame, np.maximum(EMPTY_FRAME, PADDLE_GREY)), EMPTY_FRAME)
    frame = xp.where(find_ball(picture.positions), background, picture.frame).astype(picture.frame.dtype)
    positions = {k: 0 * v if k.startswith("ball") else v for k, v in picture.positions.items()}
    return Picture(frame, positions)
