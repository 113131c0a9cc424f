"""The command line, whose commands call the package and contain no logic."""
