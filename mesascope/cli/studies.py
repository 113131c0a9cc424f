"""Defines the commands `train`, `reproduce`, `validate` and `status`."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from mesascope.cli.options import EngineOption, JsonFlag, OutOption, ShardOption, WorkersOption, app
from mesascope.cli.output import CURRENT_ARGUMENTS, cache_compiled_code, show_progress, write_result


@app.command(
    "train", epilog="Example: mesascope train ppo_recurrent --family bernoulli_bandit:arms=5,trials=100 --out net"
)
def train_networks(
    recipe: Annotated[str, typer.Argument(help="Recipe with settings, such as ppo_recurrent:width=32.")],
    family: Annotated[str, typer.Option(help="Family with settings; training uses its bank, if it has one.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints and the network.")],
    seeds: Annotated[int, typer.Option(help="Number of networks; seeds count up from the recipe's seed.", min=1)] = 1,
    should_print_json: JsonFlag = False,
) -> None:
    """Train subjects with a recipe; a stopped run continues from its last checkpoint."""
    from mesascope.recipes.training import train

    cache_compiled_code()
    with show_progress() as progress:
        paths = train(recipe, family, out, seeds, progress)
    networks = [str(p) for p in paths]
    write_result({"networks": networks}, networks, should_print_json)


@app.command("reproduce", epilog="Example: mesascope reproduce task_diversity --quick")
def reproduce_study(
    study: Annotated[str, typer.Argument(help="A name from `mesascope list studies`, or a folder with plan.toml.")],
    *,
    is_quick: Annotated[
        bool, typer.Option("--quick", help="Use one seed and short training runs, only to show that the study runs.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Number of training seeds; 0 for that of the study.", min=0, max=1000)] = 0,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the code of a study that does not ship with mesascope.")
    ] = False,
    workers: WorkersOption = 0,
    engine: EngineOption = "local",
    shard: ShardOption = "",
    out: OutOption = None,
    should_print_json: JsonFlag = False,
) -> None:
    """Run a study, and show published, exact and our values in one table; a stopped run continues."""
    from mesascope.cli.console import make_study_tables
    from mesascope.reproduction.plans import load_study
    from mesascope.reproduction.run import choose_folder, reproduce

    if shard.isdecimal():
        return _print_array_command(shard, should_print_json)
    cache_compiled_code()
    with show_progress() as progress:
        results = reproduce(
            study, is_quick, seeds, out, trust, progress=progress, workers=workers, engine=engine, shard=shard
        )
    folder = out or choose_folder({"study": load_study(study, is_quick, seeds).name, "quick": is_quick})
    if results is None:
        return _show_folder(folder, should_print_json)
    write_result(results, [make_study_tables(results), f"The table and the figure: {folder}"], should_print_json)


@app.command("validate", epilog="Example: mesascope validate --quick")
def validate_instrument(
    *,
    is_quick: Annotated[bool, typer.Option("--quick", help="Use three seeds, and leave out the coverage.")] = False,
    seeds: Annotated[int, typer.Option(help="Number of runs per subject; 0 for 20 (3 with --quick).", min=0)] = 0,
    first_seed: Annotated[int, typer.Option("--first", help="The seed of the first run.", min=0, max=2**30)] = 1000,
    lifetimes: Annotated[int, typer.Option(help="Lifetimes per split; 0 for 320 (128 with --quick).", min=0)] = 0,
    parts: Annotated[
        str, typer.Option("--parts", help="What to validate: placements, axes, coverage; by default all.")
    ] = "",
    workers: WorkersOption = 0,
    engine: EngineOption = "local",
    shard: ShardOption = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of finished results; by default one in the cache, deleted at the end."),
    ] = None,
    should_print_json: JsonFlag = False,
) -> None:
    """Test mesascope on all scripted subjects with a known answer; the exit code is 1 if its accuracy is too low."""
    from mesascope.cli.console import make_validation_tables
    from mesascope.files import hash_folder, make_cache_path
    from mesascope.validation.ladder import VALIDATION_PARTS, validate

    if shard.isdecimal():
        return _print_array_command(shard, should_print_json)
    cache_compiled_code(is_short=True)
    chosen = [part.strip() for part in parts.split(",") if part.strip()] or VALIDATION_PARTS
    settings = map(str, (int(is_quick), seeds, first_seed, lifetimes, *chosen))
    package = Path(__file__).parents[1]
    folder = out or make_cache_path("validation", "-".join([hash_folder(package), *settings]))
    with show_progress() as progress:
        results = validate(
            is_quick,
            seeds,
            first_seed,
            lifetimes,
            progress,
            parts=chosen,
            workers=workers,
            folder=folder,
            engine=engine,
            shard=shard,
        )
    if results is None:
        return _show_folder(folder, should_print_json)
    write_result(results, [make_validation_tables(results)], should_print_json)
    if out is None:
        shutil.rmtree(folder, ignore_errors=True)
    if not results["holds"]:
        raise typer.Exit(1)


@app.command("status", epilog="Example: mesascope status runs/reproduce/short_lifetimes")
def show_status(
    folder: Annotated[Path, typer.Argument(help="The --out folder of `mesascope reproduce` or `validate`.")],
    should_print_json: JsonFlag = False,
) -> None:
    """Show which units of a run are finished, running or missing, and the table so far; works on any machine."""
    _show_folder(folder, should_print_json)


def _show_folder(folder: Path, should_print_json: bool) -> None:
    """Prints which units of the run in a folder are finished, running or missing, and the results so far."""
    from mesascope.cli.console import make_study_tables, make_validation_tables
    from mesascope.execution.folders import read_claim
    from mesascope.reproduction import run
    from mesascope.validation import ladder

    is_study = read_claim(folder)[0].kind == "study"
    state = (run if is_study else ladder).describe_folder(folder)
    alive = [unit for unit in state["running"] if unit["is_alive"]]
    lines = [
        f"{state['of']}: {state['finished']} of {state['units']} units finished ({state['share']:.0%} of the work), "
        f"{len(alive)} running, {len(state['missing']) - len(alive)} not running",
        *(f"running on {unit['host']}: {unit['activity']} ({unit['share']:.0%})" for unit in alive),
        *(f"interrupted on {u['host']}: {u['unit']}" for u in state["running"] if not u["is_alive"]),
        *(f"missing: {name}" for name in state["missing"][:3]),
    ]
    tables = (make_study_tables if is_study else make_validation_tables)(state["results"])
    write_result(state, [*lines, tables], should_print_json)


def _print_array_command(total: str, should_print_json: bool) -> None:
    """Prints the Slurm command that runs the current command in parts."""
    from mesascope.execution import format_array_command

    words = [word for word in CURRENT_ARGUMENTS if not word.startswith("--shard=")]
    if "--shard" in words:
        position = words.index("--shard")
        words = words[:position] + words[position + 2 :]
    line = format_array_command(["mesascope", *words], int(total))
    write_result({"command": line}, [line], should_print_json)
