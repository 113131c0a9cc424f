"""Runs a study's units in several processes: first each training run as one job, then the measurements in groups."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mesascope import catalogue
from mesascope.execution import spread
from mesascope.reproduction.progress import Message, relay_progress
from mesascope.reproduction.work import Unit, Workshop, fill_seed


def run_in_processes(
    shop: Workshop, part: Callable[[Sequence[int], Path], None], workers: int, progress: Callable[[float, str], None]
) -> None:
    """Runs the unfinished units of a study, so that its workshop then finds all results in the folder.

    Args:
        shop: the study's workshop.
        part: runs the units at the given places of the plan, and reports progress in the given folder. It must be
            picklable, because other processes call it.
        workers: how many processes; 0 for one per core.
        progress: called with the share of the work that is done, and with a text that says what is running; another
            thread may call it.
    """
    if not any(shop.lacks(u) for u in shop.plan):
        return
    message, relay_folder = Message(shop.plan, shop.seconds, progress, in_order=False), shop.out / "heard"
    shop.note()  # claims the folder for this study
    with relay_progress(message, relay_folder):
        for chunks in (group_trainings, group_measurements):
            unfinished = [i for i, unit in enumerate(shop.plan) if shop.lacks(unit)]
            message.shares = [float(i not in unfinished) for i in range(len(shop.plan))]
            todo = chunks(shop, unfinished)
            done = spread(part, [(chunk, relay_folder) for chunk in todo], workers)
            for chunk, _ in zip(todo, done, strict=True):
                shop.take(name_seconds(chunk))


def name_seconds(places: Sequence[int]) -> str:
    """The name of the file in which a process records how many seconds these units took."""
    return f"seconds-{places[0]}.json"


def group_trainings(shop: Workshop, unfinished: Sequence[int]) -> list[list[int]]:
    """One chunk per training run, the longest first, so that no long one runs alone at the end."""
    trainings = [i for i in unfinished if shop.plan[i].kind == "train"]
    return [[i] for i in sorted(trainings, key=lambda i: -_estimate_length(shop.plan[i]))]


def _estimate_length(unit: Unit) -> float:
    """Estimates from its settings how many steps a training run takes."""
    name, typed = catalogue.parse_spec(fill_seed(unit.cell.recipe, unit.seed))
    factory = catalogue.factory("recipes", name)
    settings = {k: p.default for k, p in catalogue.settings(factory).items()}
    settings |= catalogue.convert(factory, typed, f"recipe {name!r}")
    family = catalogue.make("families", unit.family)
    return settings.get("updates", 1) * settings.get("lifetimes", 1) * family.horizon * family.steps


def group_measurements(shop: Workshop, unfinished: list[int]) -> list[list[int]]:
    """Groups placements by seed, because they share references, and rollouts by subject, because they share code."""
    chunks: dict[tuple, list[int]] = {}
    for i in unfinished:
        unit = shop.plan[i]
        if unit.kind != "train":
            key = (unit.kind, unit.seed if unit.kind == "place" else unit.cell.name)
            chunks.setdefault(key, []).append(i)
    return sorted(chunks.values(), key=len, reverse=True)


def collect_seconds(shop: Workshop) -> None:
    """Merges the seconds that the processes of a stopped run recorded."""
    for path in sorted(shop.out.glob("seconds-*.json")):
        shop.take(path.name)
