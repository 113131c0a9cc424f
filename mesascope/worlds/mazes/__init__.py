"""Mazes and prefix sums: two kinds of problem whose solution may take several steps of computation."""

CHECK_FAMILY = "maze:size=5,trials=12,bank=3"  # the family that `mesascope check` tries subjects on
