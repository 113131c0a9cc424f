"""Whose mistake an error is: the file and line in a user's module or another package's plug-in."""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import typer

from mesascope.errors import MesascopeError, describe

OURS = str(Path(__file__).parents[1])


@contextlib.contextmanager
def contain_exits() -> Iterator[None]:
    """Code of others runs in here: what it raises to end the process, such as sys.exit(), is an error; Ctrl-C is not.

    Raises:
        MesascopeError: it called for the end, in the file and line that are named.
    """
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        # the command line takes the last three for its own, and ends without a word
        quiet = isinstance(error, BrokenPipeError | typer.Exit | typer.Abort) and locate_error(error)
        if quiet or not isinstance(error, Exception):
            raise exit_error(error) from error
        raise


def exit_error(error: BaseException) -> MesascopeError:
    """The error to show for one that would have ended the process."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = locate_error(error) or f"{last.filename}, line {last.lineno},"
    return MesascopeError(
        f"{place} would have ended the run: {describe(error)}.",
        "Let it return or raise an exception; what a file does as a script goes under if __name__ == '__main__':",
    )


def plugin_error(error: BaseException) -> MesascopeError | None:
    """The error to show for one that a plug-in of another package or a module of the user's raised."""
    if not (place := locate_error(error)):
        return None
    remedy = "Mend it there, or leave out what needs it; MESASCOPE_TRACEBACK=1 shows all of it."
    return MesascopeError(f"{place} raised {describe(error)}.", remedy)


def locate_error(error: BaseException) -> str:
    """The file and line that raised, where that is in a plug-in of another package or a module of the user's."""
    groups = [group for group in entry_points().groups if group.startswith("mesascope.")]
    plugged = {e.module.partition(".")[0] for group in groups for e in entry_points(group=group)}
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file, name = frame.f_code.co_filename, frame.f_globals.get("__name__")
        top = str(name).partition(".")[0]
        own = file.startswith(OURS) or top in sys.stdlib_module_names or "site-packages" in file
        if top in plugged or not own:
            place = f"{file}, line {line},"
    return place
