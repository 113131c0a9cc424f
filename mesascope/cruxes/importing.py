"""The command `mesascope crux import`, which reads files that other programs wrote."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mesascope.cruxes import options, texts
from mesascope.cruxes.argument import Argument
from mesascope.cruxes.source import read_text
from mesascope.errors import MesascopeError

CONTENT_BY_ENDING = {
    ".bif": "a network",
    ".csv": "triads or forecasts",
    ".json": "forecasts or a crux file",
    ".argdown": "a map",
}
CONTENT_BY_ENDING |= {".ad": "a map", ".md": "a map"}


@options.app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(help="A .bif network, a .csv or .json file, or a map in .argdown, .ad or .md.")
    ],
    base: options.BaseOption = "10",
    should_drop_decisive_rows: Annotated[
        bool, typer.Option("--without-certain", help="Leave out triads that make the target certain, as the FRI does.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write what was read as a crux file.")] = None,
    should_print_json: options.JsonOption = False,
) -> None:
    """Read a network, triads, forecasts of Metaculus or Manifold, or a map in Argdown or BayesDown.

    Triads are probabilities in the CSV format of the Forecasting Research Institute (FRI).

    Example: mesascope crux import triads.csv
    """
    if file.suffix.lower() not in CONTENT_BY_ENDING:
        problem = f"The name {str(file)!r} does not end in one of {', '.join(CONTENT_BY_ENDING)}."
        raise MesascopeError(problem, "Name a file with one of these endings.")
    result, lines, content = _read_file(file, read_text(file), base, should_drop_decisive_rows)
    if out is not None:
        if content is None:
            raise MesascopeError(f"{str(file)!r} has no claims for a crux file.", "Run the command without --out.")
        options.write_file(out, content)
        lines = [*lines, f"wrote {out}"]
    record = {"command": "import", "file": file.name, "result": texts.convert_to_plain_data(result)}
    typer.echo(json.dumps(record, allow_nan=False) if should_print_json else "\n".join(lines))


def _read_file(file: Path, text: str, base: str, should_drop_decisive_rows: bool) -> tuple[Any, list[str], str | None]:
    """Reads a file; returns the data, the lines to print, and the text of a crux file if there are claims."""
    from mesascope.cruxes import exchange
    from mesascope.cruxes.toml_writer import write_toml

    ending = file.suffix.lower()
    if ending == ".bif":
        return *_read_network(text), None
    if ending == ".csv" and "PUc" in text.partition("\n")[0]:
        return *_read_triads(text, base, should_drop_decisive_rows), None
    if ending == ".json" and '"mesascope-crux/1"' in text[:2000]:
        content = write_toml(exchange.read_json_table(text))
    elif ending in (".json", ".csv"):
        content = exchange.read_forecasts(text, ending == ".json", file.stem).write()
    else:
        content = exchange.read_argdown(text, file.stem).write()
    argument = Argument(content, file.name)
    answers = (
        [argument.answer(person, should_add_variants=False) for person in argument.content.people]
        if argument.content.query
        else []
    )
    return argument.content, [line for answer in answers for line in texts.describe_answer(answer)], content


def _read_network(text: str) -> tuple[Any, list[str]]:
    from mesascope.cruxes.interchange import read_bif

    net = read_bif(text)
    result = {name: dict(zip(net.states[name], p.tolist(), strict=True)) for name, p in net.compute_marginals().items()}
    rows = [
        [name, ", ".join(f"{s} {texts.format_number(p)}" for s, p in states.items())] for name, states in result.items()
    ]
    return result, texts.align_columns(rows, "")


def _read_triads(text: str, base: str, should_drop_decisive_rows: bool) -> tuple[Any, list[str]]:
    from mesascope.cruxes.triads import compute_triad_values, find_camp_medians, read_triads

    triads, left_out = read_triads(text, should_keep_decisive_rows=not should_drop_decisive_rows)
    values = compute_triad_values(triads, options.parse_base(base))
    medians = find_camp_medians(values)
    result = {"values": values, "medians": medians, "left_out": left_out}
    return result, texts.describe_triads(values, medians, left_out, f"log base {base}")
