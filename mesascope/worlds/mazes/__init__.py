"""Mazes and prefix sums, two kinds of problem that may take several steps of computation."""
