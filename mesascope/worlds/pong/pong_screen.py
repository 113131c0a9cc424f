"""Describes Pong's screen and memory: the part that is shown, sizes in pixels, and the addresses of positions."""

from typing import Any

import numpy as np

from mesascope.contracts import ShowsFrames
from mesascope.errors import MesascopeError

SCREEN_SIZE = (210, 160)  # pixels
FRAME_HEIGHT, FRAME_WIDTH = 33, 40  # cells of a frame
CELL_HEIGHT, CELL_WIDTH = 5, 4  # pixels of the screen in one cell
SCORE_ROWS = 6  # rows of cells above the field, which show the points
FIELD_TOP = SCORE_ROWS * CELL_HEIGHT  # pixels above the field
CONSOLE_ACTIONS = (0, 3, 4)  # of the console: nothing, right (the paddle rises), left (it falls)
SWAPPED_ACTIONS = (0, 2, 1)  # the effect of each action when the controls are exchanged
FRAMES_PER_STEP = 4  # frames of one step; the last two are shown as one, the brighter pixel of each pair
MAX_IDLE_FRAMES = 30  # the largest number of idle frames before a training game
MEMORY_ADDRESSES = {"ball x": 49, "ball y": 54, "own y": 51, "other y": 50}  # addresses
LEFT_EDGE_X = 49  # the ball's x in the memory when the ball is at the left edge
BALL_SIZE = (4, 2)  # pixels, height and width
PADDLE_HEIGHT = 16  # pixels
POSITION_NAMES = (*MEMORY_ADDRESSES, "ball x before", "ball y before")  # the bytes after the frame in an observation
FRAME_SIZE = FRAME_HEIGHT * FRAME_WIDTH
OBSERVATION_SIZE = FRAME_SIZE + len(POSITION_NAMES)


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


def shrink_screens(screens: np.ndarray) -> np.ndarray:
    """Shrinks grey screens [N, 210, 160] to frames [N, 33, 40] of bytes: means of 5 by 4 pixels, without the points."""
    field = screens[:, FIELD_TOP : FIELD_TOP + FRAME_HEIGHT * CELL_HEIGHT]
    rows = field.reshape(len(screens), FRAME_HEIGHT, CELL_HEIGHT, FRAME_WIDTH * CELL_WIDTH)
    row_sums = rows.sum(2, dtype=np.uint16).reshape(len(screens), FRAME_HEIGHT, FRAME_WIDTH, CELL_WIDTH)
    sums = sum(row_sums[..., i] for i in range(CELL_WIDTH))  # faster than summing over an axis of four
    return np.rint(sums / (CELL_HEIGHT * CELL_WIDTH)).astype(np.uint8)


def mirror_positions(places: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The bytes [N, 6], with left and right swapped if the mask [N] is true; 0 means no ball and stays 0."""
    x = np.array([name.startswith("ball x") for name in POSITION_NAMES])
    mirrored = np.where(places == 0, 0, (2 * LEFT_EDGE_X + SCREEN_SIZE[1] - BALL_SIZE[1]) - places.astype(np.int32))
    return np.where(mask[:, None] & x, mirrored, places).astype(np.uint8)


def shows_positions(family: Any) -> bool:
    """Whether a family's observations contain the positions of ball and paddles."""
    return isinstance(family, ShowsFrames) and family.places == POSITION_NAMES


def require_positions(family: Any) -> None:
    """Refuses a family whose observations do not contain the positions of ball and paddles.

    Raises:
        MesascopeError: the observations do not contain them.
    """
    if not shows_positions(family):
        raise MesascopeError(f"{family.name} does not show where the ball is.", "Take --family pong.")
