"""Paints over the ball in Pong's picture with the field's colour."""

from mesascope.worlds.pong.painting import PictureCondition, check_settings, remove_ball


class BallHidden(PictureCondition):
    """Hides the ball for one response at each step in turn (once is 1) or for the whole lifetime (once is 0)."""

    def paint(self, key, picture, context):
        """The picture without the ball."""
        return remove_ball(picture)


def condition(once: int = 1, before: int = 0) -> BallHidden:
    """Hides the ball.

    Args:
        once: 1 for one response at each step in turn, with the lifetime itself undisturbed; 0 for the whole lifetime.
        before: the number of earlier percepts in which the ball is hidden too. The carry is rebuilt from these percepts
            alone, so this setting suits only subjects that carry frames and nothing older.
    """
    check_settings(once, before)
    return BallHidden(once, before)
