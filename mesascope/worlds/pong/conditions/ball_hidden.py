"""Hides the ball in Pong's picture, by painting over it with the colour of the field."""

from mesascope.worlds.pong.painting import PictureCondition, check_settings, remove_ball


class BallHidden(PictureCondition):
    """Hides the ball for single responses, one at each step (is_single=1), or for the whole lifetime (is_single=0)."""

    def paint(self, key, picture, context):
        """Returns the picture without the ball."""
        return remove_ball(picture)


def condition(is_single: int = 1, earlier_percepts: int = 0) -> BallHidden:
    """Hides the ball.

    Args:
        is_single: 1 for single responses, one at each step of an undisturbed lifetime; 0 for the whole lifetime.
        earlier_percepts: the number of earlier percepts in which the ball is also hidden. The carry is rebuilt from
            these percepts alone, so this setting suits only subjects that carry the last frames and nothing else.
    """
    check_settings(is_single, earlier_percepts)
    return BallHidden(is_single, earlier_percepts)
