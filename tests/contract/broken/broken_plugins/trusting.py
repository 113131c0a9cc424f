"""A subject with a setting whose name the command line keeps for itself."""

from mesascope.worlds.any.subjects.uniform import subject as uniform


def subject(family, trust: float = 0.5):
    """Ignores everything, and has a setting that nobody can type."""
    return uniform(family)
