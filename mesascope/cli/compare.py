"""Defines the command `compare`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mesascope.cli.options import JsonFlag, MetricsOption, OutOption, SeedOption, app
from mesascope.cli.output import cache_compiled_code, format_command, show_progress, split_commas, write_result
from mesascope.cli.streams import run_foreign_code

MAX_NAME_LENGTH = 40  # characters of a subject's name


@app.command("compare", epilog="Example: mesascope compare thompson greedy --family bernoulli_bandit:arms=5,trials=100")
def compare_subjects(
    subjects: Annotated[
        list[str],
        typer.Argument(help="Two subjects; with --against, the training seeds of one recipe.", metavar="SUBJECT…"),
    ],
    *,
    against: Annotated[
        list[str] | None, typer.Option(help="A training seed of the other recipe; repeat the option for each seed.")
    ] = None,
    family: Annotated[str, typer.Option(help="Family with settings; by default that of the network's file.")] = "",
    margin: Annotated[
        float, typer.Option(help="Differences below this count as equivalent, in the unit of each metric.", min=1e-9)
    ] = 0.05,
    trained_on: Annotated[
        str, typer.Option(help="Training tasks, as in examine; by default as each subject states.")
    ] = "",
    splits: Annotated[
        list[str] | None, typer.Option(help="Splits, comma-separated or repeated; by default all of the family.")
    ] = None,
    metrics: MetricsOption = None,
    lifetimes: Annotated[int | None, typer.Option(help="Lifetimes on every split; by default 512.", min=3)] = None,
    seed: SeedOption = 0,
    trust: Annotated[bool, typer.Option("--trust", help="Run code from a subject's file.")] = False,
    out: OutOption = None,
    should_print_json: JsonFlag = False,
) -> None:
    """Compare two subjects, or two recipes with several training seeds each, on the same tasks."""
    from mesascope.agents.opening import find_default_family, open_family, open_subjects
    from mesascope.errors import require
    from mesascope.examination import runs
    from mesascope.examination.comparison import compare_examinations
    from mesascope.examination.examination import examine
    from mesascope.formats import replace_non_finite

    sizes = (len(subjects), len(against)) if against else (1, len(subjects) - 1)
    problem = f"There are {sum(sizes)} subjects to compare."
    remedy = "Name two subjects, or at least two training seeds, and as many of the other recipe with --against."
    require(sizes == (1, 1) or (bool(against) and min(sizes) >= 2), problem, remedy)
    names = [*subjects, *(against or ())]
    cache_compiled_code(is_short=(lifetimes or 0) <= 1024)
    with run_foreign_code():
        family = family or find_default_family(names, trust)
    folder = out or runs.choose_unused_folder(Path("runs") / "comparison", format_command())
    folder = runs.prepare_folder(folder, format_command())
    options: dict[str, Any] = {"trained_on": trained_on or None, "splits": split_commas(splits)}
    options |= {"metrics": split_commas(metrics), "lifetimes": lifetimes, "seed": seed, "trust": trust}
    with runs.lock_run(folder):
        with run_foreign_code(), show_progress() as progress:
            opened_family = open_family(family)
            group = open_subjects(names, opened_family, trust)
            examinations = examine(group, opened_family, out=folder.absolute(), progress=progress, **options)
        comparison = compare_examinations(examinations[: sizes[0]], examinations[sizes[0] :], margin)
        runs.write_run(examinations, folder, format_command())
        comparison.write(folder)
    document = replace_non_finite(comparison.to_dict())
    write_result(document, [*_describe(comparison), f"All differences: {folder / 'comparison.csv'}"], should_print_json)


def _describe(comparison: Any) -> list[Any]:
    """Describes a comparison: its heading, a table of its main differences, and what a difference in level rests on."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from mesascope.reporting.words import format_interval, format_number, shorten

    first, second = (shorten(name, MAX_NAME_LENGTH) for name in (comparison.first, comparison.second))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("metric", "first", "second", "difference", "verdict"):
        table.add_column(heading, justify="left" if heading in ("metric", "verdict") else "right", overflow="fold")
    rows = comparison.select_main_differences()
    for row in rows:
        difference = f"{format_number(row.difference)} {format_interval(row.low, row.high)}"
        values = (format_number(row.first), format_number(row.second), difference)
        table.add_row(*map(Text, (row.metric, *values, row.verdict)))
    others = [d for d in comparison.differences if d not in rows]
    count = sum(d.holm < 0.05 for d in others)
    n = f"{rows[0].n} {rows[0].unit}s" if rows else "no common numbers"
    paired = "on the same tasks" if rows and rows[0].is_paired else "on other tasks"
    return [
        f"{first} (first) and {second} (second) on {comparison.family}: {n} {paired}, margin {comparison.margin:g}",
        table,
        f"Levels: {comparison.level_explanation}.",
        f"Of {len(others)} other differences, {count} exclude 0 (Holm, all {len(comparison.differences)} together).",
    ]
