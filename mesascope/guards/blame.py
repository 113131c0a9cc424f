"""Locates errors: finds their file and line in a user's module or in another package's plug-in."""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import typer

from mesascope.errors import MesascopeError, describe_error

PACKAGE_FOLDER = str(Path(__file__).parents[1])


@contextlib.contextmanager
def prevent_exits() -> Iterator[None]:
    """Turns attempts of other code to end the process, such as sys.exit(), into errors; Ctrl-C still ends the process.

    Raises:
        MesascopeError: the code tried to end the process; the message names the file and line.
    """
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        # the command line would handle these three exceptions as its own and end without a message
        would_end_silently = isinstance(error, BrokenPipeError | typer.Exit | typer.Abort) and locate_error(error)
        if would_end_silently or not isinstance(error, Exception):
            raise make_exit_error(error) from error
        raise


def make_exit_error(error: BaseException) -> MesascopeError:
    """Makes the error to show for an exception that would have ended the process."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = locate_error(error) or f"{last.filename}, line {last.lineno},"
    remedy = "Change this code: return or raise an exception, and put a script's code under if __name__ == '__main__':"
    return MesascopeError(f"{place} would have ended the run: {describe_error(error)}.", remedy)


def make_plugin_error(error: BaseException) -> MesascopeError | None:
    """Makes the error to show for an exception in a user's module or another package's plug-in; None if elsewhere."""
    if not (location := locate_error(error)):
        return None
    remedy = "Fix that code, or leave out what uses it. MESASCOPE_TRACEBACK=1 shows the whole traceback."
    return MesascopeError(f"{location} raised {describe_error(error)}.", remedy)


def locate_error(error: BaseException) -> str:
    """Finds the file and line of an error in a user's module or another package's plug-in; returns '' for others."""
    groups = [group for group in entry_points().groups if group.startswith("mesascope.")]
    plugin_packages = {e.module.partition(".")[0] for group in groups for e in entry_points(group=group)}
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file, name = frame.f_code.co_filename, frame.f_globals.get("__name__")
        top_package = str(name).partition(".")[0]
        is_ours = file.startswith(PACKAGE_FOLDER) or top_package in sys.stdlib_module_names or "site-packages" in file
        if top_package in plugin_packages or not is_ours:
            place = f"{file}, line {line},"
    return place
