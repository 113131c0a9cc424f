"""Its scores are above what it calls the best."""

from outside_plugins.lucky_lever import LuckyLever


class Overpaying(LuckyLever):
    """A lucky lever that pays more than it says."""

    def step(self, key, tasks, state, action):
        """A score of 2."""
        state, percept, score = super().step(key, tasks, state, action)
        return state, percept, score + 2.0


def family() -> Overpaying:
    """Its scores are above what it calls the best."""
    return Overpaying("overpaying", 3, 12, None)
