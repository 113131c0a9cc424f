"""Defines the command `thread`."""

from pathlib import Path
from typing import Annotated

import typer

from mesascope.cli.options import JsonFlag, app
from mesascope.cli.output import write_result


@app.command("thread", epilog="Example: mesascope thread --belief P1=60% --ratio P1=3-10")
def show_thread(
    ratio: Annotated[
        list[str] | None,
        typer.Option(help="Your likelihood ratio of the evidence on a claim, such as P1=3-10; repeatable."),
    ] = None,
    belief: Annotated[
        list[str] | None, typer.Option(help="Your belief in a claim before the evidence, such as P1=60%; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the page to this file.")] = None,
    findings: Annotated[
        Path | None, typer.Option("--findings", help="Write every study's results as findings into this folder.")
    ] = None,
    should_print_json: JsonFlag = False,
) -> None:
    """Show the claims of a public thread beside measured results. The command only reads stored results."""
    import json

    from mesascope import catalogue
    from mesascope.cruxes.texts import convert_to_plain_data
    from mesascope.errors import MesascopeError
    from mesascope.files import write_text
    from mesascope.reproduction.study_findings import export_study
    from mesascope.thread.report import describe_thread, make_thread_report, render_thread

    def parse_pairs(pair_texts: list[str] | None, option: str) -> dict[str, str]:
        pairs = [text.partition("=") for text in pair_texts or []]
        for name, equals, value in pairs:
            if not (name and equals and value):
                raise MesascopeError(f"{option} {name!r} is not of the form claim=value.", f"Example: {option} P1=60%.")
        return {name.strip(): value.strip() for name, _, value in pairs}

    report = make_thread_report(parse_pairs(ratio, "--ratio"), parse_pairs(belief, "--belief"))
    items = describe_thread(report)
    if out is not None:
        write_text(out, render_thread(report))
        items.append(f"The page: {out}")
    if findings is not None:
        findings.mkdir(parents=True, exist_ok=True)
        for name in catalogue.list_names("studies"):
            write_text(findings / f"{name}.json", json.dumps(export_study(name), indent=1))
        items.append(f"The findings: {findings}")
    write_result(convert_to_plain_data(report), ["\n".join(items)], should_print_json)
