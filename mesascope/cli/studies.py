"""The commands `train`, `reproduce` and `validate`."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from mesascope.cli.options import JsonFlag, OutOption, WorkersOption, app
from mesascope.cli.output import cache_compiled_code, show_progress, write_result


@app.command(
    "train", epilog="Example: mesascope train ppo_recurrent --family bernoulli_bandit:arms=5,trials=100 --out net"
)
def train_networks(
    recipe: Annotated[str, typer.Argument(help="Recipe with settings, such as ppo_recurrent:width=32.")],
    family: Annotated[str, typer.Option(help="Family with settings; training uses its bank, if it has one.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and the network.")],
    seeds: Annotated[int, typer.Option(help="Number of networks; seeds count up from the recipe's seed.", min=1)] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Train subjects with a recipe; a stopped run continues from its last checkpoint."""
    from mesascope.recipes.training import train

    cache_compiled_code()
    with show_progress() as progress:
        paths = train(recipe, family, out, seeds, progress)
    networks = [str(p) for p in paths]
    write_result({"networks": networks}, networks, as_json)


@app.command("reproduce", epilog="Example: mesascope reproduce task_diversity --quick")
def reproduce_study(
    study: Annotated[str, typer.Argument(help="A name from `mesascope list studies`, or a folder.")],
    *,
    is_quick: Annotated[
        bool, typer.Option("--quick", help="One seed and short training runs: shows that the study runs.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Number of training seeds; 0 for the study's own.", min=0, max=1000)] = 0,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the code of a study that does not ship with mesascope.")
    ] = False,
    workers: WorkersOption = 0,
    out: OutOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a study, and show published, exact and our values in one table; a stopped run continues."""
    from mesascope.cli.console import make_study_tables
    from mesascope.reproduction.run import choose_folder, reproduce

    cache_compiled_code()
    with show_progress() as progress:
        results = reproduce(study, is_quick, seeds, out, trust, progress=progress, workers=workers)
    place = f"The table and the figure: {out or choose_folder(results)}"
    write_result(results, [make_study_tables(results), place], as_json)


@app.command("validate", epilog="Example: mesascope validate --quick")
def validate_instrument(
    *,
    is_quick: Annotated[bool, typer.Option("--quick", help="Three seeds only, and no study of coverage.")] = False,
    seeds: Annotated[int, typer.Option(help="Number of runs per subject; 0 for the default.", min=0)] = 0,
    first_seed: Annotated[int, typer.Option("--first", help="The first seed.", min=0, max=2**30)] = 1000,
    lifetimes: Annotated[int, typer.Option(help="Lifetimes per split; 0 for 320 (128 with --quick).", min=0)] = 0,
    parts: Annotated[
        str, typer.Option("--parts", help="What to validate: placements, axes, coverage; by default all.")
    ] = "",
    workers: WorkersOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Test mesascope on all scripted subjects with a known answer; the exit code is 1 if its accuracy is too low."""
    from mesascope.cli.console import make_validation_tables
    from mesascope.files import make_cache_path
    from mesascope.validation.ladder import VALIDATION_PARTS, name_results_folder, validate

    cache_compiled_code(is_short=True)
    folder = name_results_folder(make_cache_path("validation"), is_quick, seeds, first_seed, lifetimes)
    chosen = [part.strip() for part in parts.split(",") if part.strip()] or VALIDATION_PARTS
    with show_progress() as progress:
        results = validate(
            is_quick, seeds, first_seed, lifetimes, progress, parts=chosen, workers=workers, folder=folder
        )
    write_result(results, [make_validation_tables(results)], as_json)
    shutil.rmtree(folder, ignore_errors=True)
    if not results["holds"]:
        raise typer.Exit(1)
