"""The command line: verbs over the package, no logic."""
