"""The options that the commands of `mesascope crux` share, and the functions that open a file and print a result."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mesascope.cruxes.argument import Argument, load_argument, load_thread
from mesascope.cruxes.information import LOG_BASES
from mesascope.cruxes.texts import convert_to_plain_data, describe_conventions
from mesascope.errors import MesascopeError, require_known_name

EXAMPLES = Path(__file__).parent / "examples"
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A quantitative model of the cruxes of a dispute. Without FILE, the shipped thread is read.",
)

FileArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        help="A crux file, or an example: chain, dispute, decision. By default the shipped thread.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
ReadingOption = Annotated[
    str, typer.Option("--reading", help="How '~p' is read: centre (as p), set (an interval) or beta.")
]
WordsOption = Annotated[str, typer.Option("--words", help="Scale for words without a number: union, ipcc or icd.")]
PlusMinusOption = Annotated[float, typer.Option("--plus-minus", help="Half-width of the interval of '~p'.")]
ReflectiveOption = Annotated[
    bool, typer.Option("--reflective", help="Use the values expected on reflection, if stated.")
]
BridgeOption = Annotated[list[str] | None, typer.Option("--with", help="Switch on an optional bridge; repeatable.")]
InterpretationOption = Annotated[
    list[str] | None, typer.Option("--interpretation", help="Choose an alternative interpretation; repeatable.")
]
PersonOption = Annotated[
    list[str] | None,
    typer.Option("--person", help="A person; repeatable. By default the people whom the query compares."),
]
TargetOption = Annotated[str | None, typer.Option("--target", help="An event; by default the query's target.")]
ConditionOption = Annotated[str | None, typer.Option("--given", help="The condition, an event; '' for none.")]
EngineOption = Annotated[
    str, typer.Option("--engine", help="Engine: lp (no independence), net or credal (the same), or sample.")
]
CruxEngineOption = Annotated[str, typer.Option("--engine", help="Engine: lp (no independence), net or auto.")]
FindingsOption = Annotated[
    Path | None,
    typer.Option("--findings", help="A folder with findings.json, whose findings the file's [measures] count."),
]
BetweenOption = Annotated[
    str | None, typer.Option("--between", help="Two people, 'ann,bob'; by default the file's pair.")
]
BaseOption = Annotated[str, typer.Option("--base", help="Base of the logarithm: 10 (dits), 2 (bits) or e (nats).")]


def open_argument(
    file: FileArgument = None,
    reading: ReadingOption = "centre",
    words: WordsOption = "union",
    plus_minus: PlusMinusOption = 0.05,
    is_reflective: ReflectiveOption = False,
    *,
    bridge: BridgeOption = None,
    interpretation: InterpretationOption = None,
) -> Argument:
    """Opens the file, a shipped example by its name, or by default the shipped thread, under the chosen conventions."""
    changes: dict[str, Any] = {"reading": reading, "words": words, "plus_minus": plus_minus}
    changes |= {"reflective": is_reflective, "bridges": bridge or (), "interpretations": interpretation or ()}
    if file and not file.exists() and (EXAMPLES / f"{file}.toml").is_file() and file.name == str(file):
        file = EXAMPLES / f"{file}.toml"
    return load_argument(file, **changes) if file else load_thread(**changes)


class CommandOutput(NamedTuple):
    """What a command prints.

    Args:
        result: the data for --json.
        lines: the text without --json.
        has_failed: whether the command's exit code is 1.
        has_conventions: whether to print a last line that states how values were read.
    """

    result: object
    lines: list[str]
    has_failed: bool = False
    has_conventions: bool = True


def add_command(name: str) -> Callable[[Callable[..., CommandOutput]], Callable[..., CommandOutput]]:
    """Makes a decorator that adds a command to `app`.

    The decorated function takes the argument as its first parameter, and its docstring becomes the help. The command
    takes FILE, --json, and the options of the function and of `open_argument`.
    """
    file, *conventions = inspect.signature(open_argument, eval_str=True).parameters.values()
    should_print_json = inspect.Parameter(
        "should_print_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption
    )

    def add(function: Callable[..., CommandOutput]) -> Callable[..., CommandOutput]:
        def run_command(should_print_json: bool, **options: Any) -> None:
            argument = open_argument(**{p.name: options.pop(p.name) for p in (file, *conventions)})
            output = function(argument, **options)
            if should_print_json:
                record = {"command": name, "file": argument.name, "digest": argument.digest}
                record |= {
                    "conventions": convert_to_plain_data(argument.conventions),
                    "result": convert_to_plain_data(output.result),
                }
                typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
            else:
                last_line = f"({argument.name}; {describe_conventions(argument.conventions)})"
                typer.echo("\n".join([*output.lines, last_line] if output.has_conventions else output.lines))
            if output.has_failed:
                raise typer.Exit(1)

        _, *own_parameters = inspect.signature(function, eval_str=True).parameters.values()
        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (file, *own_parameters, *conventions, should_print_json)]
        run_command.__doc__, run_command.__signature__ = function.__doc__, inspect.Signature(parameters)  # type: ignore
        app.command(name)(run_command)
        return function

    return add


def parse_pair(pair: str | None) -> tuple[str | None, str | None]:
    """Parses two names from a text such as `ann,bob`; (None, None) if the option is not used."""
    if pair is None:
        return None, None
    names = [name.strip() for name in pair.split(",")]
    if len(names) != 2 or not all(names):
        raise MesascopeError(f"--between needs two people, not {pair!r}.", "Example: --between lister,critic.")
    return names[0], names[1]


def parse_base(name: str) -> float:
    """Parses the base of a logarithm from its name '10', '2' or 'e'."""
    return LOG_BASES[require_known_name("base", name, LOG_BASES)]


def write_file(path: Path, text: str) -> None:
    """Writes a text file; raises `MesascopeError` if that fails."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        problem = f"{str(path)!r} cannot be written: {error.strerror}."
        raise MesascopeError(problem, "Name a file in a folder that exists.") from None
