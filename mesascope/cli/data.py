"""The commands of `mesascope data`, for data sets of other packages and for logs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mesascope.cli.options import Json
from mesascope.cli.output import notify, write, write_json

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Logs in other installed packages, and logs in the schema of ArviZ.",
)


@app.command("import", epilog="Example: mesascope data import hbayesdm:ts")
def import_(
    source: Annotated[str, typer.Argument(help="package:name, from `mesascope data list`.")], as_json: Json = False
) -> None:
    """Copy a log from an installed package to your cache, and print its licence."""
    from mesascope.logs.sets import import_set

    result = import_set(source)
    if as_json:
        write_json(result)
        return
    path = _shorten(result["path"])
    write(f"{result['source']}: {result['says']}")
    write(
        f"Copied from {result['distribution']} {result['version']}, whose licence, {result['licence']}, "
        "applies to the copy; it is not part of mesascope."
    )
    write(f"{path}\nNext: mesascope measure {path}")


@app.command("list", epilog="Example: mesascope data list")
def list_(as_json: Json = False) -> None:
    """List the logs that can be copied, with their packages and licences."""
    from mesascope.logs.sets import list_sets

    rows: list[dict[str, Any]] = [{"source": name, **description} for name, description in list_sets().items()]
    if as_json:
        write_json(rows)
        return
    for row in rows:
        write(f"{row['source']}: {row['says']} ({row['distribution']}, {row['licence']})")


@app.command("export", epilog="Example: mesascope data export choices.csv --out choices.nc")
def export(
    log: Annotated[Path, typer.Argument(help="A .csv, .tsv, .txt, .jsonl or .parquet file of trials.")],
    out: Annotated[Path, typer.Option("--out", help="The netCDF file to write.")],
    columns: Annotated[str, typer.Option(help="Your column names for our roles: action=key,participant=who.")] = "",
    choices: Annotated[int, typer.Option(help="Number of choices, if some never occur; 0 to count them.")] = 0,
    as_json: Json = False,
) -> None:
    """Write a log in the schema of ArviZ: groups observed_data and constant_data. ArviZ is not needed."""
    from mesascope.logs import read_log
    from mesascope.logs.columns import parse_roles
    from mesascope.logs.datatree import save_datatree

    trials, notes = read_log(log, parse_roles(columns), choices or None)
    path = save_datatree(trials, out)
    for note in notes:
        notify(note)
    write_json({"path": str(path)}) if as_json else write(f"{path}")


def _shorten(path: str) -> str:
    """The path, with ~ in place of the user's home folder."""
    try:
        return f"~/{Path(path).relative_to(Path.home()).as_posix()}"
    except ValueError:
        return path
