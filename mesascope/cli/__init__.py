"""The command line. Its commands call the package and contain no logic."""
