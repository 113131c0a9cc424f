"""Runs the command `mesascope` for `python -m mesascope`."""

from mesascope.cli.main import main

if __name__ == "__main__":
    main()
