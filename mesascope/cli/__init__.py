"""The command line: commands over the package, no logic."""
