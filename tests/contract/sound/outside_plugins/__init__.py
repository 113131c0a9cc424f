"""One plug-in of every kind, each in one file, in a package of its own."""
