"""Helpers of conditions on Pong's picture: they find the ball and the paddles in it, and paint over them.

Positions come from the console's memory, and follow the frame in an observation. A condition that hides something in
the frame hides its position too.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mesascope.contracts.condition import RECENT, Condition
from mesascope.contracts.family import Family
from mesascope.contracts.settings import check_range
from mesascope.errors import MesascopeError
from mesascope.worlds.pong import pong_screen as screen

FIELD, BORDER, PADDLE = 87, 236, 148  # brightness
ROWS, COLUMNS = np.arange(screen.HEIGHT), np.arange(screen.WIDTH)
OTHER, OWN = 4, 35  # columns of the paddles
MOVES = 8  # the largest number of pixels that a paddle moves between two screens
BLANK = np.full((screen.HEIGHT, screen.WIDTH), FIELD, np.uint8)
# the walls reach into the first and the last row
BLANK[0], BLANK[-1] = round((4 * BORDER + FIELD) / 5), round((4 * FIELD + BORDER) / 5)


class Picture(NamedTuple):
    """A picture: frame [N, 33, 40] as bytes, and places, the bytes [N] from the console's memory by name."""

    frame: Any
    places: dict[str, Any]


class OnPicture(Condition):
    """A condition on Pong's picture, for one response at a time (once=1) or for the whole lifetime (once=0).

    With `before`, it paints that many earlier percepts too, and rebuilds the carry from them alone. This works for one
    response at a time, and suits only subjects that carry a few frames and nothing else.
    """

    once: int | jax.Array
    before: int = 0

    @property
    def one_step(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the lifetime itself is undisturbed."""
        return self.once == 1

    @property
    def looks_back(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether earlier percepts are painted too."""
        return self.before > 0

    @property
    def label(self) -> str:
        """The condition's name with its settings."""
        return super().label if self.before else super().label.replace(",before=0", "")

    def unfit(self, family: Family) -> str | None:
        """The reason why the condition does not apply if the family does not show Pong's picture, else None."""
        return None if screen.shows_places(family) else "it shows no ball"

    def apply(self, carry, percept, shadow, context):
        """Disturbs the picture, and leaves an observation of another size as it is."""
        if percept.observation.shape[-1] != screen.SHOWN:
            return carry, percept, shadow

        def paint_percept(seen):
            new_picture = self.paint(context.random(), read_picture(seen.observation), context)
            return seen._replace(observation=to_observation(new_picture))

        if self.before:
            count = jnp.minimum(self.before, context.trial * context.steps + context.step)

            def rebuild_step(i, carry):
                return context.live(count - i, carry, paint_percept(context.past(count - i)))

            carry = context.repeat(0, count, rebuild_step, context.fresh)
        return carry, paint_percept(percept), shadow

    def paint_frames(self, observations: np.ndarray) -> np.ndarray:
        """The painted frames [F, 33, 40] of observations [F, D]."""
        return np.asarray(self.paint(jax.random.key(0), read_picture(observations), None).frame)

    def paint(self, key: jax.Array, seen: Picture, context: Any) -> Picture:
        """Returns the disturbed picture; subclasses define it."""
        raise NotImplementedError


def read_picture(observations: Any) -> Picture:
    """Reads the picture from observations [N, 1326]."""
    places = {name: observations[:, screen.SIZE + i].astype("int32") for i, name in enumerate(screen.PLACES)}
    return Picture(observations[:, : screen.SIZE].reshape(-1, screen.HEIGHT, screen.WIDTH), places)


def to_observation(seen: Picture) -> Any:
    """Turns a picture into observations [N, 1326]."""
    xp = np if isinstance(seen.frame, np.ndarray) else jnp
    bytes_ = xp.stack([seen.places[name] for name in screen.PLACES], -1)
    flat = seen.frame.reshape(len(seen.frame), -1)
    return xp.concatenate([flat, bytes_.astype(flat.dtype)], -1)


def find_ball(places: dict[str, Any]) -> Any:
    """[N, 33, 40] whether the ball touches each cell, in either of the two screens that a frame shows."""
    return _find_ball_cells(places["ball x"], places["ball y"]) | _find_ball_cells(
        places["ball x before"], places["ball y before"]
    )


def _find_ball_cells(x: Any, y: Any) -> Any:
    """[N, 33, 40] whether a ball touches each cell; x and y are the bytes in the memory, 0 if there is no ball."""
    # the ball's top is at y - 14 or, on every other line, at y - 15
    first_column, first_row = x - screen.LEFT, y - 15
    is_visible = (x > 0) & (y > 0)
    rows = find_overlap(ROWS, screen.CELL_H, first_row - screen.TOP * screen.CELL_H, screen.BALL[0] + 1)
    columns = find_overlap(COLUMNS, screen.CELL_W, first_column, screen.BALL[1])
    return is_visible[:, None, None] & rows[:, :, None] & columns[:, None, :]


def check_settings(once: int, before: int) -> None:
    """Checks the two settings that the conditions share.

    Raises:
        MesascopeError: a setting is out of range, or `before` is set while `once` is 0.
    """
    check_range(0, 1, once=once)
    check_range(0, RECENT - 1, before=before)
    if before and not once:
        raise MesascopeError(
            f"once=0 hides it for the whole lifetime, and before={before} applies to one response.",
            "Leave out one of the two.",
        )


def find_paddle(y: Any, column: int, above: int) -> Any:
    """[N, 33, 40] the cells that a paddle with its top `above` pixels above y touches, now or one screen ago."""
    top = y - above - MOVES - screen.TOP * screen.CELL_H
    rows = find_overlap(ROWS, screen.CELL_H, top, screen.PADDLE + 2 * MOVES)
    return (y > 0)[:, None, None] & rows[:, :, None] & (column == COLUMNS)


def find_overlap(cells: np.ndarray, size: int, start: Any, length: Any) -> Any:
    """[N, cells] whether each cell of `size` pixels contains a pixel in [start, start + length).

    The starts are [N], and the length is one number or [N, 1].
    """
    start = start[:, None]
    return (cells * size < start + length) & (cells * size + size > start)


def remove_ball(seen: Picture) -> Picture:
    """The picture without the ball, but with any paddle under it."""
    xp = np if isinstance(seen.frame, np.ndarray) else jnp
    paddles = find_paddle(seen.places["own y"], OWN, 14) | find_paddle(seen.places["other y"], OTHER, 15)
    background = xp.where(paddles, xp.minimum(seen.frame, np.maximum(BLANK, PADDLE)), BLANK)
    frame = xp.where(find_ball(seen.places), background, seen.frame).astype(seen.frame.dtype)
    places = {k: 0 * v if k.startswith("ball") else v for k, v in seen.places.items()}
    return Picture(frame, places)
