"""The entry point of the command line. Commands call the package and contain no logic. Only this folder prints."""

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import typer

from mesascope.cli import compare, examine, plugins, studies, thread
from mesascope.cli.data import app as data
from mesascope.cli.options import app
from mesascope.cli.output import CURRENT_ARGUMENTS, format_command, notify
from mesascope.cli.streams import prepare_streams
from mesascope.cruxes.commands import app as crux
from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.guards import gate

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
COMMAND_MODULES = (examine, compare, studies, plugins, thread)  # importing a module adds its commands
app.add_typer(crux, name="crux")
app.add_typer(data, name="data")


def run_command(arguments: Sequence[str]) -> int:
    """Runs one command, and returns the exit code.

    The codes are: 0 done, 1 check failed, 2 wrong input, 3 error in mesascope, 130 stopped by the user.
    """
    CURRENT_ARGUMENTS[:] = list(arguments)
    gate.allow(*arguments)
    prepare_streams()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", MesascopeWarning)
            warnings.showwarning = _show_warning
            code = int(app(list(arguments), prog_name="mesascope", standalone_mode=False) or 0)
            sys.stdout.flush()  # reports a full disk now rather than when the process ends
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BaseException as error:
        return _report_error(error)
    if code == 130:
        notify(f"Stopped. Finished work is kept; to continue: {format_command()}")
    return code


def _show_warning(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
    """Prints a warning of mesascope as a notice, and any other warning as Python does."""
    if issubclass(category, MesascopeWarning):
        notify(f"mesascope: {message}")
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def _report_error(error: Any) -> int:
    """Prints what went wrong, whose error it is and what to do; returns the exit code."""
    from mesascope.guards.blame import locate_error, make_exit_error, make_plugin_error

    # if the output pipe is closed, the parser raises SystemExit, whose context is the original error
    cause = error.__context__ if isinstance(error, SystemExit) else error
    if isinstance(cause, BrokenPipeError) and not locate_error(cause):
        return 0
    error = error if isinstance(error, Exception) else make_exit_error(error)
    if os.environ.get("MESASCOPE_TRACEBACK"):
        raise error
    code = 2
    if isinstance(error, MesascopeError):
        problem, remedy = error.problem, error.remedy
    elif hasattr(error, "format_message") and hasattr(error, "exit_code"):  # an error from the parser
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return error.exit_code
        path = getattr(getattr(error, "ctx", None), "command_path", "mesascope")
        problem, remedy = error.format_message(), f"Type {path} --help."
    elif other_error := make_plugin_error(error):
        problem, remedy = other_error.problem, other_error.remedy
    elif isinstance(error, OSError) and (error.filename or error.errno in DISK_IS_FULL):
        problem = f"{str(error.filename or 'standard output')!r}: {error.strerror}."
        remedy = "Name another file or folder, or make it readable and writable."
        if error.errno in DISK_IS_FULL:
            remedy = "Free some space, and give the command again; finished work is kept."
    elif os.environ.get("JAX_PLATFORMS") and not _finds_jax_devices():
        problem = f"JAX cannot use JAX_PLATFORMS={os.environ['JAX_PLATFORMS']} on this machine."
        remedy = "Unset this variable, or set JAX_PLATFORMS=cpu."
    else:
        code, problem = 3, f"an error in mesascope, not in your input: {type(error).__name__}: {error}"
        remedy = "Please report it with the output of: MESASCOPE_TRACEBACK=1 " + format_command()
    notify(f"mesascope: {problem}" + (f"\n{remedy}" if remedy else ""))
    return code


def _finds_jax_devices() -> bool:
    """Whether JAX finds a device of the platform that JAX_PLATFORMS names."""
    import jax

    try:
        return bool(jax.devices())
    except Exception:  # JAX raises various errors here
        return False


def main() -> None:
    """Runs the `mesascope` command, and exits with its code."""
    os.environ["MPLBACKEND"] = "agg"  # figures are only written to files, so no other setting may stop the run
    sys.exit(run_command(sys.argv[1:]))
