"""Describes the screen and the memory of Pong: the part shown to subjects, sizes in pixels, and memory addresses."""

from typing import Any

import numpy as np

from mesascope.contracts import ShowsFrames
from mesascope.errors import MesascopeError

SCREEN_SIZE = (210, 160)  # pixels, height and width
FRAME_HEIGHT, FRAME_WIDTH = 33, 40  # the number of cells in a frame
CELL_HEIGHT, CELL_WIDTH = 5, 4  # the number of screen pixels in one cell
SCORE_ROWS = 6  # the number of rows of cells above the field, where the screen shows the points
FIELD_TOP = SCORE_ROWS * CELL_HEIGHT  # the number of pixels above the field
CONSOLE_ACTIONS = (0, 3, 4)  # the console's codes for: nothing, right (the paddle rises), left (the paddle falls)
SWAPPED_ACTIONS = (0, 2, 1)  # if the controls are exchanged, each action acts like the action listed here
FRAMES_PER_STEP = 4  # the last two frames of a step are shown as one, with the brighter of each pair of pixels
MAX_IDLE_FRAMES = 30  # the largest number of frames without an action before a training game
MEMORY_ADDRESSES = {"ball x": 49, "ball y": 54, "own y": 51, "other y": 50}  # by name of the position
LEFT_EDGE_X = 49  # the ball's x in the memory if the ball is at the left edge
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
        import ale_py  # under the GPL; only this function and vector_games.py import the package
    except ImportError:
        raise MesascopeError(
            "Pong needs the Arcade Learning Environment.", "Install it: pip install 'mesascope[atari]'."
        ) from None
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return ale_py


def shrink_screens(screens: np.ndarray) -> np.ndarray:
    """Shrinks grey screens [N, 210, 160] to frames [N, 33, 40]: means of 5 by 4 pixels as bytes, without the points."""
    field = screens[:, FIELD_TOP : FIELD_TOP + FRAME_HEIGHT * CELL_HEIGHT]
    rows = field.reshape(len(screens), FRAME_HEIGHT, CELL_HEIGHT, FRAME_WIDTH * CELL_WIDTH)
    row_sums = rows.sum(2, dtype=np.uint16).reshape(len(screens), FRAME_HEIGHT, FRAME_WIDTH, CELL_WIDTH)
    sums = sum(row_sums[..., i] for i in range(CELL_WIDTH))  # faster than summing over an axis of four
    return np.rint(sums / (CELL_HEIGHT * CELL_WIDTH)).astype(np.uint8)


def mirror_positions(positions: np.ndarray, is_mirrored: np.ndarray) -> np.ndarray:
    """Mirrors positions [N, 6] left to right where the mask [N] is true; 0 means no ball and stays 0."""
    x = np.array([name.startswith("ball x") for name in POSITION_NAMES])
    mirrored = np.where(
        positions == 0, 0, (2 * LEFT_EDGE_X + SCREEN_SIZE[1] - BALL_SIZE[1]) - positions.astype(np.int32)
    )
    return np.where(is_mirrored[:, None] & x, mirrored, positions).astype(np.uint8)


def shows_positions(family: Any) -> bool:
    """Returns whether a family's observations contain the positions of the ball and the paddles in Pong."""
    return isinstance(family, ShowsFrames) and family.position_names == POSITION_NAMES


def require_positions(family: Any) -> None:
    """Checks that a family's observations contain the positions of the ball and the paddles in Pong.

    Raises:
        MesascopeError: the observations do not contain these positions.
    """
    if not shows_positions(family):
        raise MesascopeError(f"{family.name} does not show where the ball is.", "Take --family pong.")
