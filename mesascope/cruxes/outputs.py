"""The commands that write and read files: the HTML page and other formats."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mesascope.cruxes.argument import Argument
from mesascope.cruxes.options import BaseOption, CommandOutput, FindingsOption, JsonOption, make_command, parse_base
from mesascope.cruxes.source import read_text
from mesascope.cruxes.texts import align_columns, format_number, to_plain
from mesascope.errors import MesascopeError, pick_named


def _require_folder(path: Path) -> None:
    """Raise `MesascopeError` if the folder of an output file does not exist."""
    if not path.parent.is_dir():
        raise MesascopeError(
            f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}.",
            "Name a file in a folder that exists.",
        )


def _write(path: Path, text: str) -> None:
    """Write a text file; raise `MesascopeError` if that fails."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MesascopeError(
            f"{str(path)!r} cannot be written: {error.strerror}.", "Name a file in a folder that exists."
        ) from None


@make_command
def report(
    argument: Argument,
    out: Annotated[Path, typer.Option(help="Where the page is written.")] = Path("crux.html"),
    findings: FindingsOption = None,
) -> CommandOutput:
    """Write one HTML page: the argument, the bottom lines, the gap, the cruxes and the effect of evidence.

    Example: mesascope crux report --out crux.html
    """
    _require_folder(out)
    _write(out, argument.html(findings))
    return CommandOutput({"out": str(out)}, [f"wrote {out}"])


@make_command
def export(
    argument: Argument,
    form: Annotated[str, typer.Option("--format", help="bif (one person's network) or csv (triads).")] = "csv",
    person: Annotated[str | None, typer.Option(help="For bif: the person.")] = None,
    out: Annotated[Path | None, typer.Option(help="A file; by default standard output.")] = None,
) -> CommandOutput:
    """Write a person's network as BIF, or everyone's triads as CSV with the columns of the FRI.

    Example: mesascope crux export --format bif --person lister
    """
    if pick_named("format", form, ("bif", "csv")) == "bif" and person is None:
        raise MesascopeError("A BIF file contains one person's network.", "Name the person: --person lister.")
    text = argument.to_bif(argument.pick_person(person)) if form == "bif" and person else argument.to_fri_csv()
    if out is not None:
        _write(out, text)
    lines = [f"wrote {out}" if out else text.rstrip("\n")]
    return CommandOutput({"format": form, "text": text}, lines, bare=True)


def import_file(
    file: Annotated[Path, typer.Argument(help="A .bif network or a .csv of triads.")],
    base: BaseOption = "10",
    as_json: JsonOption = False,
) -> None:
    """Read a BIF network and print its marginals, or a CSV of triads and print the value of each crux.

    Example: mesascope crux import triads.csv
    """
    from mesascope.cruxes.interchange import read_bif, read_triads, value_triads

    text = read_text(file)
    if file.suffix.lower() == ".csv":
        result: Any = value_triads(read_triads(text), parse_base(base))
        rows = [["crux", "people", "value of", "", f"log base {base}"]]
        rows += [[v["crux"], " / ".join(v["people"]), v["kind"], v["note"], format_number(v["value"])] for v in result]
        lines = align_columns(rows, "")
    elif file.suffix.lower() == ".bif":
        net = read_bif(text)
        result = {
            name: dict(zip(net.states[name], p.tolist(), strict=True)) for name, p in net.compute_marginals().items()
        }
        lines = align_columns(
            [[n, ", ".join(f"{s} {format_number(p)}" for s, p in states.items())] for n, states in result.items()], ""
        )
    else:
        raise MesascopeError(f"{str(file)!r} is neither .bif nor .csv.", "Name one of those.")
    if as_json:
        typer.echo(json.dumps({"command": "import", "file": file.name, "result": to_plain(result)}, allow_nan=False))
        return
    typer.echo("\n".join(lines))
