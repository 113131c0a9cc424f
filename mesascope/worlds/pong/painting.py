"""What conditions on Pong's picture share: where the ball and the paddles are on it, and painting them over.

Positions are those in the console's memory, which stand behind the frame in an observation; what is hidden on the
frame is hidden there too.
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
MOVES = 8  # pixels that a paddle moves at most from one screen to the next
BLANK = np.full((screen.HEIGHT, screen.WIDTH), FIELD, np.uint8)
# the walls reach into its edges
BLANK[0], BLANK[-1] = round((4 * BORDER + FIELD) / 5), round((4 * FIELD + BORDER) / 5)


class Picture(NamedTuple):
    """frame [N, 33, 40] of bytes; places, by name [N], as the console's memory has them."""

    frame: Any
    places: dict[str, Any]


class OnPicture(Condition):
    """A condition on Pong's picture, for one response at a time (once=1) or for the whole life (once=0).

    With `before`, as many percepts before the present one are painted too, and the carry is rebuilt of these alone: for
    one response, and for subjects that carry a few frames and nothing else.
    """

    once: int | jax.Array
    before: int = 0

    @property
    def one_step(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the life goes on undisturbed."""
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
        """It is about Pong's picture."""
        return None if screen.shows_places(family) else "it shows no ball"

    def apply(self, carry, percept, shadow, context):
        """Paints; where there is no such picture, nothing."""
        if percept.observation.shape[-1] != screen.SHOWN:
            return carry, percept, shadow

        def painted(seen):
            again = self.paint(context.random(), picture(seen.observation), context)
            return seen._replace(observation=observation(again))

        if self.before:
            count = jnp.minimum(self.before, context.trial * context.steps + context.step)

            def live(i, rebuilt):
                return context.live(count - i, rebuilt, painted(context.past(count - i)))

            carry = context.repeat(0, count, live, context.fresh)
        return carry, painted(percept), shadow

    def paint_frames(self, shown: np.ndarray) -> np.ndarray:
        """The frames [F, 33, 40] that observations [F, D] become."""
        return np.asarray(self.paint(jax.random.key(0), picture(shown), None).frame)

    def paint(self, key: jax.Array, seen: Picture, context: Any) -> Picture:
        """The picture as disturbed."""
        raise NotImplementedError


def picture(shown: Any) -> Picture:
    """A picture from observations [N, 1326]."""
    places = {name: shown[:, screen.SIZE + i].astype("int32") for i, name in enumerate(screen.PLACES)}
    return Picture(shown[:, : screen.SIZE].reshape(-1, screen.HEIGHT, screen.WIDTH), places)


def observation(seen: Picture) -> Any:
    """Observations [N, 1326] from a picture."""
    xp = np if isinstance(seen.frame, np.ndarray) else jnp
    bytes_ = xp.stack([seen.places[name] for name in screen.PLACES], -1)
    flat = seen.frame.reshape(len(seen.frame), -1)
    return xp.concatenate([flat, bytes_.astype(flat.dtype)], -1)


def ball_mask(places: dict[str, Any]) -> Any:
    """[N, 33, 40] the cells that the ball touches, in either of the two screens that a frame shows."""
    return _spot(places["ball x"], places["ball y"]) | _spot(places["ball x before"], places["ball y before"])


def _spot(x: Any, y: Any) -> Any:
    """[N, 33, 40] the cells that a ball touches; none where the memory holds 0."""
    left, top = x - screen.LEFT, y - 15  # its top is at y - 14 or, every other line, at y - 15
    there = (x > 0) & (y > 0)
    rows = _touched(ROWS, screen.TALL, top - screen.TOP * screen.TALL, screen.BALL[0] + 1)
    columns = _touched(COLUMNS, screen.WIDE, left, screen.BALL[1])
    return there[:, None, None] & rows[:, :, None] & columns[:, None, :]


def check_settings(once: int, before: int) -> None:
    """Raises where the two settings that the conditions share do not go together."""
    check_range(0, 1, once=once)
    check_range(0, RECENT - 1, before=before)
    if before and not once:
        raise MesascopeError(
            f"once=0 hides it for the whole life, and before={before} is about one response.",
            "Leave one of the two out.",
        )


def paddle_mask(y: Any, column: int, above: int) -> Any:
    """[N, 33, 40] the cells of a paddle whose top is `above` pixels above y, now or one screen before."""
    top = y - above - MOVES - screen.TOP * screen.TALL
    rows = _touched(ROWS, screen.TALL, top, screen.PADDLE + 2 * MOVES)
    return (y > 0)[:, None, None] & rows[:, :, None] & (column == COLUMNS)


def _touched(cells: np.ndarray, size: int, start: Any, length: int) -> Any:
    """[N, cells] whether each cell has a pixel of [start, start + length)."""
    start = start[:, None]
    return (cells * size < start + length) & (cells * size + size > start)


def remove_ball(seen: Picture) -> Picture:
    """The picture without the ball; what it covers of a paddle stays."""
    xp = np if isinstance(seen.frame, np.ndarray) else jnp
    kept = paddle_mask(seen.places["own y"], OWN, 14) | paddle_mask(seen.places["other y"], OTHER, 15)
    under = xp.where(kept, xp.minimum(seen.frame, np.maximum(BLANK, PADDLE)), BLANK)
    frame = xp.where(ball_mask(seen.places), under, seen.frame).astype(seen.frame.dtype)
    gone = {k: 0 * v if k.startswith("ball") else v for k, v in seen.places.items()}
    return Picture(frame, gone)
