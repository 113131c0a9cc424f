"""Defines the commands `list` and `check`."""

import warnings
from typing import Annotated, Any

import typer

from mesascope.cli.options import JsonFlag, app
from mesascope.cli.output import cache_compiled_code, write_result
from mesascope.cli.streams import run_foreign_code
from mesascope.errors import MesascopeWarning, require_known_name


@app.command("list", epilog="Example: mesascope list metrics")
def list_plugins(
    kind: Annotated[
        str,
        typer.Argument(help="Kind: families, subjects, conditions, metrics, recipes, axes or studies; by default all."),
    ] = "",
    should_print_json: JsonFlag = False,
) -> None:
    """List the available plug-ins and studies, with their settings."""
    from mesascope import catalogue
    from mesascope.cli.console import make_plugin_tables

    kind = catalogue.make_plural(kind)
    if kind:
        require_known_name("kind of plug-in", kind, catalogue.LISTED_KINDS)
    rows = [row for k in catalogue.LISTED_KINDS if kind in ("", k) for row in catalogue.describe_plugins(k)]
    items: list[Any] = [make_plugin_tables(rows, should_show_settings=bool(kind))]
    if not kind:
        items.append("mesascope list KIND shows the settings too, e.g. mesascope list subjects.")
    write_result(rows, items, should_print_json)


@app.command("check", epilog="Example: mesascope check metrics/benefit")
def check_contract(
    plugin: Annotated[
        str,
        typer.Argument(help="The plug-in as kind/name (metrics/benefit), a unique name, or package.module:factory."),
    ],
    family: Annotated[
        str,
        typer.Option(help="The family on which to try the plug-in; by default CHECK_FAMILY in the plug-in's module."),
    ] = "",
    should_print_json: JsonFlag = False,
) -> None:
    """Check whether a plug-in keeps its contract; the exit code is 1 if it does not."""
    from mesascope.examination.checks import check_plugin

    cache_compiled_code(is_short=True)
    with warnings.catch_warnings(record=True) as caught, run_foreign_code():
        warnings.simplefilter("always", MesascopeWarning)
        problems = check_plugin(plugin, family or None)
    notes = [str(warning.message) for warning in caught if issubclass(warning.category, MesascopeWarning)]
    qualifier = ", as far as it was tried:" if notes else "."
    lines = [*(problems or [f"{plugin} keeps its contract{qualifier}"]), *notes]
    write_result(
        {"plugin": plugin, "holds": not problems, "broken": problems, "notes": notes}, lines, should_print_json
    )
    if problems:
        raise typer.Exit(1)
