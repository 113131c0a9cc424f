"""Runs a study's units in several processes: first each training run by itself, then the measurements in groups."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mesascope import catalogue
from mesascope.examination.bench import ProgressFunction
from mesascope.execution import run_units
from mesascope.reproduction.progress import ProgressEstimate, relay_progress
from mesascope.reproduction.work import StudyRun, Unit, fill_seed


def run_in_processes(
    study_run: StudyRun, run_group: Callable[[Sequence[int], Path], None], workers: int, progress: ProgressFunction
) -> None:
    """Runs the unfinished units of a study, so that the folder then contains all results.

    Args:
        study_run: the run of the study.
        run_group: a function that runs the units with the given indices, and reports progress in the given folder. It
            must be picklable, because other processes call it.
        workers: how many processes; 0 for one per core.
        progress: called with the share of the work that is done, and with a text that says what is running; another
            thread may call it.
    """
    units = study_run.units
    if not any(map(study_run.is_unfinished, units)):
        return
    estimate = ProgressEstimate(units, study_run.seconds, progress, is_sequential=False)
    relay_folder = study_run.out / "heard"
    study_run.write_seconds()  # claims the folder for this study
    with relay_progress(estimate, relay_folder):
        for group_units in (group_training_runs, group_measurements):
            unfinished = [i for i, unit in enumerate(units) if study_run.is_unfinished(unit)]
            estimate.shares = [float(i not in unfinished) for i in range(len(units))]
            groups = group_units(units, unfinished)
            finished = run_units(run_group, [(group, relay_folder) for group in groups], workers)
            for group, _ in zip(groups, finished, strict=True):
                study_run.merge_seconds(name_time_file(group))


def name_time_file(indices: Sequence[int]) -> str:
    """Names the file in which a process records how many seconds these units took."""
    return f"seconds-{indices[0]}.json"


def group_training_runs(units: Sequence[Unit], unfinished_indices: Sequence[int]) -> list[list[int]]:
    """Makes one group per training run. The longest run comes first, so that no long run starts last."""
    runs = [i for i in unfinished_indices if units[i].kind == "train"]
    return [[i] for i in sorted(runs, key=lambda i: -_estimate_training_steps(units[i]))]


def _estimate_training_steps(unit: Unit) -> float:
    """Estimates how many steps a training run takes, from its settings."""
    name, typed_settings = catalogue.parse_spec(fill_seed(unit.subject.recipe, unit.seed))
    factory = catalogue.get_factory("recipes", name)
    settings = {k: p.default for k, p in catalogue.list_settings(factory).items()}
    settings |= catalogue.convert_settings(factory, typed_settings, f"recipe {name!r}")
    family = catalogue.make("families", unit.family)
    return settings.get("updates", 1) * settings.get("lifetimes", 1) * family.horizon * family.steps


def group_measurements(units: Sequence[Unit], unfinished_indices: Sequence[int]) -> list[list[int]]:
    """Groups placements by seed, because they share references, and rollouts by subject, because they share code."""
    groups: dict[tuple, list[int]] = {}
    for i in unfinished_indices:
        unit = units[i]
        if unit.kind != "train":
            key = (unit.kind, unit.seed if unit.kind == "place" else unit.subject.name)
            groups.setdefault(key, []).append(i)
    return sorted(groups.values(), key=len, reverse=True)
