"""It does not say which bank it has."""

from outside_plugins.lucky_lever import LuckyLever


class Bankless(LuckyLever):
    """A lucky lever that forgets its bank."""

    def with_bank(self, bank):
        """The same family."""
        return self


def family() -> Bankless:
    """It does not say which bank it has."""
    return Bankless("bankless", 3, 12, None)
