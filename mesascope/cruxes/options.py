"""The options that the verbs of `mesascope crux` share, and how they open, show and write."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mesascope.cruxes.argument import Argument, default, load
from mesascope.cruxes.information import BASES
from mesascope.cruxes.texts import tell_conventions, to_plain
from mesascope.errors import MesascopeError, pick_named

File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="A crux file; the shipped thread if left out.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
Mode = Annotated[str, typer.Option("--reading", help="How '~p' is read: centre, set or beta.")]
Words = Annotated[str, typer.Option("--words", help="Scale for bare words: union, ipcc or icd.")]
Width = Annotated[float, typer.Option("--plus-minus", help="Half-width of '~p' read as a set.")]
Reflect = Annotated[
    bool, typer.Option("--reflective", help="Read what is expected on reflection, where said.")
]
With = Annotated[list[str] | None, typer.Option("--with", help="Switch an optional bridge on; repeatable.")]
Worded = Annotated[
    list[str] | None, typer.Option("--wording", help="Choose an alternative wording; repeatable.")
]
Person = Annotated[
    list[str] | None, typer.Option("--person", help="Whose; repeatable. The file's pair if left out.")
]
Target = Annotated[str | None, typer.Option("--target", help="An event; the file's query if left out.")]
Given = Annotated[str | None, typer.Option("--given", help="A condition; '' for none.")]
Engine = Annotated[str, typer.Option("--engine", help="lp, net, credal or sample.")]
CruxEngine = Annotated[str, typer.Option("--engine", help="auto, net or lp.")]
Findings = Annotated[
    Path | None,
    typer.Option("--findings", help="A folder with findings.json, read by the file's rules."),
]
Between = Annotated[
    str | None, typer.Option("--between", help="Two people, 'ann,bob'; the file's pair if left out.")
]
Base = Annotated[str, typer.Option("--base", help="Of the logarithm: 10 (dits), 2 (bits) or e (nats).")]


def open_argument(
    file: File = None,
    reading: Mode = "centre",
    words: Words = "union",
    plus_minus: Width = 0.05,
    reflective: Reflect = False,
    *,
    bridge: With = None,
    wording: Worded = None,
) -> Argument:
    """The file under the chosen conventions; the shipped thread where there is none."""
    changes: dict[str, Any] = {"reading": reading, "words": words, "plus_minus": plus_minus}
    changes |= {"reflective": reflective, "bridges": bridge or (), "wordings": wording or ()}
    return load(file, **changes) if file else default(**changes)


class Shown(NamedTuple):
    """What a verb shows.

    Args:
        result: for --json; lines: for everybody else.
        failed: whether the command exits with 1.
        bare: whether the line on how values were read is left out.
    """

    result: object
    lines: list[str]
    failed: bool = False
    bare: bool = False


def on_argument(verb: Callable[..., Shown]) -> Callable[..., None]:
    """A verb of an open argument as a command: FILE, the verb's own options, those of `open_argument`, --json.

    Args:
        verb: takes an argument first; its name is the command's, its docstring the help.
    """
    file, *conventions = inspect.signature(open_argument, eval_str=True).parameters.values()
    _, *own = inspect.signature(verb, eval_str=True).parameters.values()
    opening = [file.name, *(p.name for p in conventions)]
    as_json = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)

    def command(as_json: bool, **given: Any) -> None:
        argument = open_argument(**{name: given.pop(name) for name in opening})
        shown = verb(argument, **given)
        conventions = argument.conventions
        if as_json:
            record = {"command": verb.__name__, "file": argument.name, "digest": argument.digest}
            record |= {"conventions": to_plain(conventions), "result": to_plain(shown.result)}
            typer.echo(json.dumps(record, ensure_ascii=False, allow_nan=False))
        else:
            foot = [] if shown.bare else [f"({argument.name}; {tell_conventions(conventions)})"]
            typer.echo("\n".join([*shown.lines, *foot]))
        if shown.failed:
            raise typer.Exit(1)

    command.__name__, command.__doc__ = verb.__name__, verb.__doc__
    in_order = [p.replace(kind=p.KEYWORD_ONLY) for p in (file, *own, *conventions, as_json)]
    command.__signature__ = inspect.Signature(in_order)  # type: ignore[attr-defined]
    return command


def choose_people(argument: Argument, chosen: list[str] | None) -> list[str]:
    """The people named, the file's pair, or everybody."""
    if chosen:
        return [argument.person(p) for p in chosen]
    return list(argument.compared or argument.content.people)


def read_pair(between: str | None) -> tuple[str | None, str | None]:
    """Two names from `ann,bob`; neither where nothing was said."""
    if between is None:
        return None, None
    names = [name.strip() for name in between.split(",")]
    if len(names) != 2 or not all(names):
        raise MesascopeError(
            f"--between names two people, not {between!r}.", "Example: --between lister,critic."
        )
    return names[0], names[1]


def read_base(name: str) -> float:
    """The base of a logarithm by its name."""
    return BASES[pick_named("base", name, BASES)]
