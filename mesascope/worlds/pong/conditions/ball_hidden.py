"""The ball in Pong's picture is painted over with the field's colour."""

from mesascope.worlds.pong.painting import OnPicture, check_settings, remove_ball

TRIED = "pong:rallies=2,steps=3"


class BallHidden(OnPicture):
    """Hides the ball; once is 1 for one response at every step in turn, 0 for the whole lifetime."""

    def paint(self, key, seen, context):
        """The picture without the ball."""
        return remove_ball(seen)


def condition(once: int = 1, before: int = 0) -> BallHidden:
    """The ball is hidden.

    Args:
        once: 1 for one response at every step in turn, while the lifetime itself is undisturbed; 0 for all of it.
        before: the number of earlier percepts in which it is hidden too. The carry is rebuilt from these percepts
            alone, so this is for subjects that carry frames and nothing older.
    """
    check_settings(once, before)
    return BallHidden(once, before)
