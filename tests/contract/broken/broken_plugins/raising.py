"""Its factory raises."""


def subject(family):
    """Its factory raises."""
    raise OverflowError("too wide")
