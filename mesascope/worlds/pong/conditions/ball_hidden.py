"""In Pong's picture the ball is painted over, with the field's colour."""

from mesascope.worlds.pong.painting import OnPicture, check_settings, remove_ball

TRIED = "pong:rallies=2,steps=3"


class BallHidden(OnPicture):
    """once: 1 for one response at every step in turn, 0 for the whole life."""

    def paint(self, key, seen, context):
        """The picture without the ball."""
        return remove_ball(seen)


def condition(once: int = 1, before: int = 0) -> BallHidden:
    """The ball is hidden.

    Args:
        once: 1 for one response at every step in turn, while the life goes on undisturbed; 0 for the whole life.
        before: how many percepts before the present one it is hidden in too; the carry is rebuilt of these, so what
            was carried for longer is lost: for subjects that carry frames alone.
    """
    check_settings(once, before)
    return BallHidden(once, before)
