"""The command line: verbs over the library, no logic. Only this module and datasets.py print."""

from __future__ import annotations

import json
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from mesascope import gate
from mesascope.cruxes.commands import app as crux
from mesascope.datasets import app as data
from mesascope.errors import MesascopeError, MesascopeWarning
from mesascope.secrecy import plain

app = typer.Typer(
    help="Measures what a network with frozen weights does with its experience, and how far that reaches.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

app.add_typer(crux, name="crux")
app.add_typer(data, name="data")

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output and nothing else.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of the run; a stopped run goes on from it.")]
Seed = Annotated[int, typer.Option(help="Of the tasks and of all draws.", min=0, max=2**31 - 1)]
Probes = Annotated[list[str] | None, typer.Option(help="Comma-separated or repeated; by default all.")]
Lifetimes = Annotated[int, typer.Option(help="Lifetimes on every ring.", min=3, max=1_000_000)]

Workers = Annotated[int, typer.Option(help="Processes; 0 for one per core, at most 4.", min=0, max=64)]


@app.command(epilog="Example: mesascope demo --out demo")
def demo(out: Out = None, as_json: Json = False) -> None:
    """Examine the bundled networks and scripted subjects side by side; write report.html."""
    from mesascope.demonstration import family, subjects

    _examine(subjects(), family(), out or Path("demo"), as_json)


@app.command(
    "examine",
    epilog="Example: mesascope examine thompson locator --family bernoulli_bandit:arms=5,trials=100,bank=4",
)
def examine_(
    subjects: Annotated[
        list[str],
        typer.Argument(
            help="Names with settings, network files, or package.module:factory.", metavar="SUBJECT…"
        ),
    ],
    family: Annotated[str, typer.Option(help="Name with settings; by default the checkpoint's own.")] = "",
    trained_on: Annotated[
        str, typer.Option(help="unlimited, bank:M@seed or unknown; by default what it says.")
    ] = "",
    rings: Annotated[
        list[str] | None, typer.Option(help="Comma-separated or repeated; by default all of the family.")
    ] = None,
    probes: Probes = None,
    lifetimes: Lifetimes = 512,
    seed: Seed = 0,
    trust: Annotated[bool, typer.Option("--trust", help="Run code that a subject's file brings.")] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Examine frozen subjects: roll out under conditions, measure, place on the spectrum, report."""
    options = {
        "trained_on": trained_on or None,
        "rings": _listed(rings),
        "probes": _listed(probes),
        "lifetimes": lifetimes,
        "seed": seed,
        "trust": trust,
    }
    _examine(subjects, family, out, as_json, **options)


@app.command(
    "measure", epilog="Example: mesascope measure choices.csv --columns action=choice,feedback=outcome"
)
def measure_(
    trials: Annotated[
        Path, typer.Argument(help="A .nc, .csv, .tsv, .txt, .jsonl or .parquet file of trials.")
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option(help="Your names for ours, comma-separated or repeated: action=key,participant=who."),
    ] = None,
    choices: Annotated[int, typer.Option(help="Number of choices where not all occur; 0 to count them.")] = 0,
    probes: Probes = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Measure logged trials without the subject that made them."""
    from mesascope import runs
    from mesascope.examination import measure_log
    from mesascope.logs.columns import given

    out = runs.prepare(out or runs.own(Path("runs") / trials.stem, _command()))
    found, notes = measure_log(trials, given(",".join(columns or ())), choices or None, _listed(probes))
    for note in notes:
        _say(note)
    folder = runs.write(found, out, _command(), lived=False)
    _show(found, folder, as_json)


@app.command("list", epilog="Example: mesascope list probes")
def list_(
    kind: Annotated[
        str,
        typer.Argument(help="families, subjects, conditions, probes, recipes, axes or studies; all without."),
    ] = "",
    as_json: Json = False,
) -> None:
    """List the plug-ins and studies that there are, with their settings."""
    from mesascope import catalogue

    if kind and kind not in catalogue.LISTED:
        raise catalogue.unknown("kind of plug-in", kind, catalogue.LISTED)
    rows = [row for k in catalogue.LISTED if kind in ("", k) for row in catalogue.describe(k)]
    if as_json:
        _json(rows)
        return
    from mesascope.console import plugins

    _print(plugins(rows))


@app.command(
    "train",
    epilog="Example: mesascope train ppo_recurrent --family bernoulli_bandit:arms=5,trials=100 --out net",
)
def train_(
    recipe: Annotated[str, typer.Argument(help="Name with settings, as ppo_recurrent:width=32.")],
    family: Annotated[str, typer.Option(help="Name with settings; a bank in it is what is trained on.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and the network.")],
    seeds: Annotated[
        int, typer.Option(help="How many networks, with seeds from the recipe's own upwards.", min=1)
    ] = 1,
    as_json: Json = False,
) -> None:
    """Train subjects by a recipe; a stopped run goes on from its last checkpoint."""
    from mesascope.training import train

    _cache()
    with _progress() as progress:
        paths = train(recipe, family, out, seeds, progress)
    if as_json:
        _json({"networks": [str(p) for p in paths]})
    else:
        for path in paths:
            _print(f"{path}")


@app.command("reproduce", epilog="Example: mesascope reproduce task_diversity --quick")
def reproduce_(
    study: Annotated[str, typer.Argument(help="A name that `mesascope list studies` gives, or a folder.")],
    quick: Annotated[bool, typer.Option("--quick", help="One seed, short: shows that it runs.")] = False,
    seeds: Annotated[int, typer.Option(help="Training seeds; 0 for the study's own.", min=0, max=1000)] = 0,
    trust: Annotated[bool, typer.Option("--trust", help="Run code that another's study brings.")] = False,
    workers: Workers = 0,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Run a study: published value, exact value, ours, in one table; a stopped one goes on."""
    from mesascope.reproduction import home, reproduce

    _cache()
    with _progress() as progress:
        found = reproduce(study, quick, seeds, out, trust, progress, workers)
    if as_json:
        _json(found)
        return
    from mesascope.console import outcome

    _print(outcome(found))
    _print(f"The table and the figure: {out or home(found)}")


@app.command("validate", epilog="Example: mesascope validate --quick")
def validate_(
    quick: Annotated[bool, typer.Option("--quick", help="Three seeds, no coverage study of 2,000.")] = False,
    seeds: Annotated[int, typer.Option(help="Runs per subject; 0 for the default.", min=0)] = 0,
    first: Annotated[int, typer.Option(help="The first seed.", min=0, max=2**30)] = 1000,
    lifetimes: Annotated[int, typer.Option(help="Per ring and run; 0 for 320, with --quick 128.", min=0)] = 0,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Run the instrument over every scripted subject whose answer is known; exit 1 if it misses its bounds."""
    from mesascope.caching import cache
    from mesascope.console import validation
    from mesascope.validation import folder, validate

    _cache(short=True)
    kept = folder(cache("validation"), quick, seeds, first, lifetimes)
    with _progress() as progress:
        found = validate(quick, seeds, first, lifetimes, progress, workers, kept)
    _json(found) if as_json else _print(validation(found))
    shutil.rmtree(kept, ignore_errors=True)
    if not found["holds"]:
        raise typer.Exit(1)


@app.command("report", epilog="Example: mesascope report demo --out report.html")
def report_(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.", metavar="DIR")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The page; report.html in the folder by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the page of a run again, from its folder."""
    from mesascope import runs
    from mesascope.reporting import write_report

    found, command = runs.open_run(folder)
    page = write_report(found, command, out or folder / "report.html")
    _json({"report": str(page)}) if as_json else _print(f"{page}")


@app.command("check", epilog="Example: mesascope check probes/benefit")
def check_(
    plugin: Annotated[
        str,
        typer.Argument(
            help="kind/name, e.g. probes/benefit; a name that is unique; or package.module:factory."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Check whether a plug-in keeps its contract; exit 1 if it does not."""
    from mesascope.checks import check_plugin

    _cache(short=True)
    broken = check_plugin(plugin)
    if as_json:
        _json({"plugin": plugin, "holds": not broken, "broken": broken})
    else:
        _print("\n".join(broken) if broken else f"{plugin} keeps its contract.")
    if broken:
        raise typer.Exit(1)


def _examine(subjects: Sequence[Any], family: str, out: Path | None, as_json: bool, **options: Any) -> None:
    """Examines, writes the folder and the page, prints."""
    from mesascope import runs
    from mesascope.examination import default_family, examine

    _cache(short=options.get("lifetimes", 0) <= 1024)
    family = family or default_family(subjects, bool(options.get("trust")))
    out = runs.prepare(out or runs.own(Path("runs") / _slug(subjects), _command()), _command())
    with _progress() as progress:
        found = examine(list(subjects), family, out=out, progress=progress, **options)
    _show(found, runs.write(found, out, _command()), as_json)


def _show(found: Sequence[Any], folder: Path, as_json: bool) -> None:
    """Writes the page, then prints the placements or the JSON document."""
    from mesascope import runs
    from mesascope.reporting import write_report

    page = write_report(found, _command(), folder / "report.html")
    if as_json:
        _json(runs.document(found))
        return
    from mesascope.reporting.terminal import summary

    _print(summary(found))
    _print(f"The report: {page}")


def _listed(texts: list[str] | None) -> list[str] | None:
    return [t.strip() for text in texts or () for t in text.split(",") if t.strip()] or None


def _slug(subjects: Sequence[str]) -> str:
    """A folder name from the first subject."""
    kept = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(plain(str(subjects[0]))).name)
    return kept.strip("._")[:60] or "run"


def _command() -> str:
    from mesascope.runs import repeating

    return repeating(_ARGUMENTS)


_ARGUMENTS: list[str] = []


def _json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")


def _print(what: Any) -> None:
    from mesascope.console import printed

    sys.stdout.write(printed(what))


def _say(text: str) -> None:
    from rich.console import Console

    from mesascope.console import visible

    Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(visible(plain(text)))


def _cache(short: bool = False) -> None:
    from mesascope.compiling import keep

    keep(short)


@contextmanager
def _progress() -> Iterator[Any]:
    """A bar on a terminal, a line every ten seconds elsewhere; all on standard error."""
    from mesascope.console import progress

    with progress() as tell:
        yield tell


def run(arguments: Sequence[str]) -> int:
    """Runs one command in this process and returns its exit code: 0 done, 1 check failed, 2 called wrongly."""
    _ARGUMENTS[:] = list(arguments)
    gate.typed(*arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", MesascopeWarning)
            warnings.showwarning = _warned
            code = int(app(list(arguments), prog_name="mesascope", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BaseException as error:
        return _failed(error)
    if code == 130:
        _say(f"Stopped. What was finished is kept; to go on: {_command()}")
    return code


def _warned(
    message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """Says a warning of ours; shows another as Python does."""
    if issubclass(category, MesascopeWarning):
        _say(f"mesascope: {message}")
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def _failed(error: Any) -> int:
    """Says what went wrong, whose mistake it is and what to do; the exit code."""
    from mesascope.blame import blamed, ended, theirs

    # the parser makes an exit of a pipe whose reader went away
    cause = error.__context__ if isinstance(error, SystemExit) else error
    if isinstance(cause, BrokenPipeError) and not blamed(cause):
        return 0
    error = error if isinstance(error, Exception) else ended(error)
    if os.environ.get("MESASCOPE_TRACEBACK"):
        raise error
    code = 2
    if isinstance(error, MesascopeError):
        problem, remedy = error.problem, error.remedy
    elif hasattr(error, "format_message") and hasattr(error, "exit_code"):  # the parser's
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
            return error.exit_code
        path = getattr(getattr(error, "ctx", None), "command_path", "mesascope")
        problem, remedy = error.format_message(), f"Type {path} --help."
    elif of_others := theirs(error):
        problem, remedy = of_others.problem, of_others.remedy
    elif isinstance(error, OSError) and error.filename:
        problem = f"{str(error.filename)!r}: {error.strerror}."
        remedy = "Name another file or folder, or make it readable and writable."
    else:
        code, problem = 3, f"a mistake of ours, not of yours: {type(error).__name__}: {error}"
        remedy = "Please report it with the output of: MESASCOPE_TRACEBACK=1 " + _command()
    _say(f"mesascope: {problem}" + (f"\n{remedy}" if remedy else ""))
    return code


def main() -> None:
    """The entry point of the `mesascope` command."""
    sys.exit(run(sys.argv[1:]))
