"""Mazes and prefix sums: problems that may take thought."""
