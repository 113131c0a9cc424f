"""Defines the commands `demo`, `examine`, `measure` and `report`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mesascope.cli.options import (
    ChoicesOption,
    ColumnsOption,
    JsonFlag,
    MetricsOption,
    MissingOption,
    OutOption,
    RtOption,
    SeedOption,
    WhereOption,
    app,
)
from mesascope.cli.output import cache_compiled_code, format_command, notify, show_progress, split_commas, write_result
from mesascope.cli.streams import run_foreign_code
from mesascope.files import write_text
from mesascope.guards.secrecy import redact

DEMO_SUBJECTS = (  # three bundled networks and five scripted subjects
    *(f"recurrent:path={name}" for name in ("unlimited", "bank_of_four", "memoryless")),
    *("thompson:discount=0.93", "thompson", "locator", "two_loss_reflex", "uniform"),
)


@app.command("demo", epilog="Example: mesascope demo --out demo")
def run_demo(out: OutOption = None, should_print_json: JsonFlag = False) -> None:
    """Examine the bundled networks and scripted subjects side by side; write report.html."""
    from mesascope.agents.networks import recurrent

    family = recurrent.read_family("bank_of_four")  # with the bank on which bank_of_four was trained
    _run_examination(DEMO_SUBJECTS, family, out or Path("demo"), should_print_json)


@app.command(
    "examine", epilog="Example: mesascope examine thompson locator --family bernoulli_bandit:arms=5,trials=100,bank=4"
)
def examine_subjects(
    subjects: Annotated[
        list[str],
        typer.Argument(help="Names with settings, network files, or package.module:factory.", metavar="SUBJECT…"),
    ],
    *,
    family: Annotated[str, typer.Option(help="Family with settings; by default that of the network's file.")] = "",
    trained_on: Annotated[
        str,
        typer.Option(
            help="Training tasks: unlimited, bank:M@seed, at-most:M or unknown; default: as the subject states."
        ),
    ] = "",
    splits: Annotated[
        list[str] | None, typer.Option(help="Splits, comma-separated or repeated; by default all of the family.")
    ] = None,
    metrics: MetricsOption = None,
    lifetimes: Annotated[
        int | None,
        typer.Option(help="Lifetimes on every split; by default 512, or 64 with --quick.", min=3, max=1_000_000),
    ] = None,
    seed: SeedOption = 0,
    trust: Annotated[bool, typer.Option("--trust", help="Run code from a subject's file.")] = False,
    is_quick: Annotated[
        bool, typer.Option("--quick", help="Give only a provisional level, from few lifetimes on fresh tasks.")
    ] = False,
    out: OutOption = None,
    should_print_json: JsonFlag = False,
) -> None:
    """Examine frozen subjects: run them under conditions, measure, place them on the spectrum, and report."""
    options = {
        "trained_on": trained_on or None,
        "splits": split_commas(splits),
        "metrics": split_commas(metrics),
        "lifetimes": lifetimes,
        "seed": seed,
        "trust": trust,
        "quick": is_quick,
    }
    _run_examination(subjects, family, out, should_print_json, **options)


@app.command("measure", epilog="Example: mesascope measure choices.csv --columns action=choice,feedback=outcome")
def measure_trials(
    trials: Annotated[
        list[Path], typer.Argument(help="A .nc, .csv, .tsv, .txt, .json, .jsonl or .parquet file, or files of one log.")
    ],
    columns: ColumnsOption = None,
    choices: ChoicesOption = 0,
    missing: MissingOption = "",
    where: WhereOption = "",
    rt: RtOption = "",
    metrics: MetricsOption = None,
    out: OutOption = None,
    should_print_json: JsonFlag = False,
) -> None:
    """Measure logged trials without the subject that produced them."""
    from mesascope.examination import runs
    from mesascope.examination.logged import measure
    from mesascope.logs.columns import parse_roles

    out = runs.prepare_folder(
        out
        or runs.choose_unused_folder(Path("runs") / (trials[0].stem if len(trials) == 1 else "log"), format_command())
    )
    roles = parse_roles(",".join(columns or ()))
    options = {name: value for name, value in (("missing", missing), ("where", where), ("rt", rt)) if value}
    source = trials[0] if len(trials) == 1 else trials
    examinations = measure(source, split_commas(metrics), columns=roles, choices=choices or None, **options)
    examinations = examinations if isinstance(examinations, list) else [examinations]
    for note in examinations[0].notes:
        notify(note)
    with runs.lock_run(out):
        folder = runs.write_run(examinations, out, format_command(), should_delete_rollouts=False)
    _print_results(examinations, folder, should_print_json)


@app.command("report", epilog="Example: mesascope report demo --out report.html")
def write_page(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.", metavar="DIR")],
    out: Annotated[Path | None, typer.Option("--out", help="The page; report.html in the folder by default.")] = None,
    should_print_json: JsonFlag = False,
) -> None:
    """Write the report of a run again, from the run's folder."""
    from mesascope.examination import runs
    from mesascope.reporting import write_report

    examinations, command = runs.read_run(folder)
    page = write_report(examinations, out or folder / "report.html", command)
    write_result({"report": str(page)}, [str(page)], should_print_json)


def _run_examination(
    subjects: Sequence[Any], family: str, out: Path | None, should_print_json: bool, **options: Any
) -> None:
    """Examines subjects, writes the run's folder and page, and prints the results."""
    from mesascope.agents.opening import find_default_family, open_family, open_subjects
    from mesascope.examination import runs
    from mesascope.examination.examination import examine

    cache_compiled_code(is_short=(options.get("lifetimes") or 0) <= 1024)
    with run_foreign_code():
        family = family or find_default_family(subjects, bool(options.get("trust")))
    command = format_command()
    out = runs.prepare_folder(out or runs.choose_unused_folder(Path("runs") / _make_slug(subjects), command), command)
    with runs.lock_run(out):
        with run_foreign_code(), show_progress() as progress:
            opened_family = open_family(family)
            group = open_subjects(list(subjects), opened_family, bool(options.get("trust")))
            code = runs.describe_code(group, opened_family)
            is_finished = runs.is_finished(out, command, code)
            if not is_finished:
                examinations = examine(group, opened_family, out=out.absolute(), progress=progress, **options)
        if is_finished:
            notify(f"This command has finished before; {str(out)!r} contains its results. Delete them to run it again.")
            examinations = runs.read_run(out)[0]
        else:
            runs.write_run(examinations, out, command)
            write_text(out / "code.json", json.dumps(code))
    _print_results(examinations, out, should_print_json)


def _print_results(examinations: Sequence[Any], folder: Path, should_print_json: bool) -> None:
    """Writes the report, then prints the placements or the JSON document."""
    from mesascope.examination import runs
    from mesascope.reporting import write_report
    from mesascope.reporting.terminal import summarise

    page = write_report(examinations, folder / "report.html", format_command())
    write_result(runs.make_document(examinations), [summarise(examinations), f"The report: {page}"], should_print_json)


def _make_slug(subjects: Sequence[str]) -> str:
    """Makes the name of the run's folder from the first subject."""
    slug = "".join(c if c.isalnum() or c in "-_." else "_" for c in Path(redact(str(subjects[0]))).name)
    return slug.strip("._")[:60] or "run"
