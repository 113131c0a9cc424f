"""Describes Pong's screen and memory: the part that is shown, sizes in pixels, and the addresses of positions."""

from typing import Any

import numpy as np

from mesascope.contracts.capabilities import ShowsFrames
from mesascope.errors import MesascopeError

SCREEN = (210, 160)  # pixels
HEIGHT, WIDTH = 33, 40  # cells of a frame
CELL_H, CELL_W = 5, 4  # pixels of the screen in one cell
TOP = 6  # rows of cells above the field, which show the points
ACTIONS = (0, 3, 4)  # of the console: nothing, right (the paddle rises), left (it falls)
SWAPPED = (0, 2, 1)  # the effect of each action when the controls are exchanged
SKIP = 4  # frames of one step; the last two are shown as one, the brighter pixel of each pair
NOOPS = 30  # the largest number of idle frames before a training game
RAM = {"ball x": 49, "ball y": 54, "own y": 51, "other y": 50}  # addresses
LEFT = 49  # the ball's x in the memory when the ball is at the left edge
BALL = (4, 2)  # pixels, height and width
PADDLE = 16  # pixels
PLACES = (*RAM, "ball x before", "ball y before")  # the bytes after the frame in an observation
SIZE = HEIGHT * WIDTH
SHOWN = SIZE + len(PLACES)


def load_ale() -> Any:
    """Returns the module ale_py with its log messages turned off.

    Raises:
        MesascopeError: ale_py is not installed.
    """
    try:
        import ale_py  # GPL; only this function and the recipe import it
    except ImportError:
        raise MesascopeError(
            "Pong needs the Arcade Learning Environment.", "Install it: pip install 'mesascope[atari]'."
        ) from None
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return ale_py


def shrink(screens: np.ndarray) -> np.ndarray:
    """Shrinks grey screens [N, 210, 160] to frames [N, 33, 40] of bytes: means of 5 by 4 pixels, without the points."""
    rows = screens[:, TOP * CELL_H : (TOP + HEIGHT) * CELL_H].reshape(len(screens), HEIGHT, CELL_H, WIDTH * CELL_W)
    row_sums = rows.sum(2, dtype=np.uint16).reshape(len(screens), HEIGHT, WIDTH, CELL_W)
    sums = sum(row_sums[..., i] for i in range(CELL_W))  # faster than summing over an axis of four
    return np.rint(sums / (CELL_H * CELL_W)).astype(np.uint8)


def mirror(places: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The bytes [N, 6], with left and right swapped if the mask [N] is true; 0 means no ball and stays 0."""
    x = np.array([name.startswith("ball x") for name in PLACES])
    mirrored = np.where(places == 0, 0, (2 * LEFT + SCREEN[1] - BALL[1]) - places.astype(np.int32))
    return np.where(mask[:, None] & x, mirrored, places).astype(np.uint8)


def shows_places(family: Any) -> bool:
    """Whether a family's observations contain the positions of ball and paddles."""
    return isinstance(family, ShowsFrames) and family.places == PLACES


def refuse_others(family: Any) -> None:
    """Refuses a family whose observations do not contain the positions of ball and paddles.

    Raises:
        MesascopeError: the observations do not contain them.
    """
    if not shows_places(family):
        raise MesascopeError(f"{family.name} does not show where the ball is.", "Take --family pong.")
