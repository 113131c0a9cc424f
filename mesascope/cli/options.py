"""The application, and the arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer


def make_app(summary: str) -> typer.Typer:
    """Makes an application or a group of commands; if no command is typed, it shows plain help."""
    return typer.Typer(
        help=summary, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False
    )


app = make_app("Measures how a network with frozen weights uses its experience, and how far this use reaches.")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder of the run; a stopped run continues from it.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the tasks and of all random draws.", min=0, max=2**31 - 1)]
MetricsOption = Annotated[list[str] | None, typer.Option(help="Metrics, comma-separated or repeated; by default all.")]
WorkersOption = Annotated[
    int, typer.Option(help="Number of processes; 0 for one per core, but at most 4.", min=0, max=64)
]
EngineOption = Annotated[
    str, typer.Option(help="What runs the units: local, or a dask cluster at dask://HOST:PORT or tls://HOST:PORT.")
]
ShardOption = Annotated[
    str, typer.Option(help="Run part i of n, as i/n; n alone prints the Slurm command that runs all parts.")
]
ColumnsOption = Annotated[
    list[str] | None,
    typer.Option(help="Your column for each role, comma-separated or repeated, such as action=key,participant=who."),
]
MissingOption = Annotated[str, typer.Option(help="Codes of missed trials among the choices, such as 0 or 0,-100.")]
WhereOption = Annotated[str, typer.Option(help="Rows to read, such as 'phase == \"main\" and session != 2'.")]
RtOption = Annotated[
    str, typer.Option(help="Range of response times, in the log's unit, such as 0.15..3; other trials count as missed.")
]
ChoicesOption = Annotated[int, typer.Option(help="Number of choices, if some never occur; 0 to read it from the log.")]
