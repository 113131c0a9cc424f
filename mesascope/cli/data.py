"""Defines the commands of `mesascope data`, for logs and for data sets in other packages."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mesascope.cli.options import (
    ChoicesOption,
    ColumnsOption,
    JsonFlag,
    MissingOption,
    RtOption,
    SeedOption,
    WhereOption,
    make_app,
)
from mesascope.cli.output import notify, write_result

app = make_app("Logs in other installed packages, and logs in the schema of ArviZ.")


@app.command("import", epilog="Example: mesascope data import hbayesdm:ts")
def import_data_set(
    source: Annotated[str, typer.Argument(help="The log as package:name, from `mesascope data list`.")],
    should_print_json: JsonFlag = False,
) -> None:
    """Copy a log from an installed package to your cache, and print its licence."""
    from mesascope.logs.sets import import_data_set

    result = import_data_set(source)
    path = _abbreviate_home(result["path"])
    lines = [
        f"{result['source']}: {result['says']}",
        f"Copied from {result['distribution']} {result['version']}, whose licence, {result['licence']}, "
        "applies to the copy; it is not part of mesascope.",
        f"{path}\nNext: mesascope measure {path}",
    ]
    write_result(result, lines, should_print_json)


@app.command("list", epilog="Example: mesascope data list")
def list_data_sets(should_print_json: JsonFlag = False) -> None:
    """List the logs that can be copied, with their packages and licences."""
    from mesascope.logs.sets import list_data_sets

    rows: list[dict[str, Any]] = [{"source": name, **description} for name, description in list_data_sets().items()]
    lines = [f"{row['source']}: {row['says']} ({row['distribution']}, {row['licence']})" for row in rows]
    write_result(rows, lines, should_print_json)


@app.command("export", epilog="Example: mesascope data export choices.csv --out choices.nc")
def export_log(
    log: Annotated[
        list[Path], typer.Argument(help="A .csv, .tsv, .txt, .json, .jsonl or .parquet file, or files of one log.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write: .nc, or .jsonl for transcripts.")],
    columns: ColumnsOption = None,
    choices: ChoicesOption = 0,
    missing: MissingOption = "",
    where: WhereOption = "",
    rt: RtOption = "",
    should_print_json: JsonFlag = False,
) -> None:
    """Write a log for ArviZ (.nc: groups observed_data and constant_data), or as transcripts of Psych-101 (.jsonl)."""
    from mesascope.logs.datatree import save_datatree
    from mesascope.logs.transcripts import save_transcripts

    trials = _read_log(log, columns, choices or None, missing=missing, where=where or None, rt=rt or None)
    path = save_transcripts(trials, out) if out.suffix == ".jsonl" else save_datatree(trials, out)
    write_result({"path": str(path)}, [str(path)], should_print_json)


@app.command("fit", epilog="Example: mesascope data fit choices.csv --model sticky --out parameters.csv")
def fit_log(
    log: Annotated[list[Path], typer.Argument(help="A log, or the files of one log.")],
    out: Annotated[Path, typer.Option("--out", help="The .csv file to write.")],
    model: Annotated[
        str, typer.Option(help="The model: rescorla_wagner, sticky, two_rates, or hybrid for two-step trials.")
    ] = "sticky",
    columns: ColumnsOption = None,
    choices: ChoicesOption = 0,
    missing: MissingOption = "",
    where: WhereOption = "",
    rt: RtOption = "",
    draws: Annotated[int, typer.Option(help="Posterior draws in each of two chains.", min=50, max=20_000)] = 500,
    seed: SeedOption = 0,
    should_print_json: JsonFlag = False,
) -> None:
    """Fit a learning model to all participants of a log, with partial pooling (needs the extra `bayes`)."""
    from mesascope.examination.hierarchical import fit_hierarchical
    from mesascope.files import write_text

    trials = _read_log(log, columns, choices or None, missing=missing, where=where or None, rt=rt or None)
    table = fit_hierarchical(trials, model, draws=draws, seed=seed)
    write_text(out, table.to_csv(index=False))
    rows = json.loads(str(table.to_json(orient="records")))
    lines = [
        f"{r['group']} {r['parameter']}: {r['estimate']:.3f}".strip()
        + (f" [{r['low']:.3f}, {r['high']:.3f}]" if r["low"] is not None else "")
        for r in rows
        if r["participant"] == ""
    ]
    write_result(
        rows,
        ["Population medians, and the choices as they are and as the model predicts them:", *lines, str(out)],
        should_print_json,
    )


def _read_log(log: list[Path], columns: list[str] | None, choices: int | None, **options: Any) -> Any:
    """Reads a log or several files as trials, and prints notes on how they were read."""
    from mesascope.logs import read_log
    from mesascope.logs.columns import parse_roles

    trials, notes = read_log(log[0] if len(log) == 1 else log, parse_roles(",".join(columns or ())), choices, **options)
    for note in notes:
        notify(note)
    return trials


def _abbreviate_home(path: str) -> str:
    """Abbreviates a path with ~ for the user's home folder."""
    is_in_home = Path(path).is_relative_to(Path.home())
    return f"~/{Path(path).relative_to(Path.home()).as_posix()}" if is_in_home else path
