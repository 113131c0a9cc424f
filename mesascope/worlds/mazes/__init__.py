"""Mazes and prefix sums, two kinds of problem that may take several steps of computation."""

CHECK_FAMILY = "maze:size=5,trials=12,bank=3"  # the family that `mesascope check` tries subjects on
