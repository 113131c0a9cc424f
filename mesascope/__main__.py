"""The command `mesascope`, also as `python -m mesascope`; Ctrl-C during its import ends it without a traceback."""

import sys


def main() -> None:
    """Runs the command, and exits with its code."""
    try:
        from mesascope.cli.main import main as run_main
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        sys.exit(130)
    run_main()


if __name__ == "__main__":
    main()
