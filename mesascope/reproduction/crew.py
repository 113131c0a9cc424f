"""A study's units on several processes: first the trainings, one by one, then the measurements."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mesascope import catalogue
from mesascope.execution import spread
from mesascope.reproduction.progress import Message, relay_progress
from mesascope.reproduction.work import Unit, Workshop, fill_seed


def run_in_processes(
    shop: Workshop,
    part: Callable[[Sequence[int], Path], None],
    workers: int,
    progress: Callable[[float, str], None],
) -> None:
    """Does what a study lacks; afterwards its workshop finds everything there.

    Args:
        shop: the study's.
        part: does the units at some places of the plan in any process, whispering into a folder; is pickled.
        workers: processes, 0 for one per core.
        progress: called with the share that is done and what is being done, also from another thread.
    """
    if not any(shop.lacks(u) for u in shop.plan):
        return
    told, heard = Message(shop.plan, shop.seconds, progress, in_order=False), shop.out / "heard"
    shop.note()  # the folder is this study's from now on
    with relay_progress(told, heard):
        for chunks in (group_trainings, group_measurements):
            lacking = [i for i, unit in enumerate(shop.plan) if shop.lacks(unit)]
            told.shares = [float(i not in lacking) for i in range(len(shop.plan))]
            todo = chunks(shop, lacking)
            done = spread(part, [(chunk, heard) for chunk in todo], workers)
            for chunk, _ in zip(todo, done, strict=True):
                shop.take(seconds_file(chunk))


def seconds_file(places: Sequence[int]) -> str:
    """The file where the process that does these units notes their seconds."""
    return f"seconds-{places[0]}.json"


def group_trainings(shop: Workshop, lacking: Sequence[int]) -> list[list[int]]:
    """Every training is work for one process; the longest come first, for one begun last would end alone."""
    training = [i for i in lacking if shop.plan[i].kind == "train"]
    return [[i] for i in sorted(training, key=lambda i: -_length(shop.plan[i]))]


def _length(unit: Unit) -> float:
    """How many trials a training lives, as far as its settings say."""
    name, given = catalogue.parse_spec(fill_seed(unit.cell.recipe, unit.seed))
    made = catalogue.factory("recipes", name)
    told = {k: p.default for k, p in catalogue.settings(made).items()}
    told |= catalogue.convert(made, given, f"recipe {name!r}")
    family = catalogue.make("families", unit.family)
    return told.get("updates", 1) * told.get("lifetimes", 1) * family.horizon * family.steps


def group_measurements(shop: Workshop, lacking: list[int]) -> list[list[int]]:
    """Placements of one seed share lifetimes of reference procedures, rollouts of one subject what is compiled."""
    chunks: dict[tuple, list[int]] = {}
    for i in lacking:
        unit = shop.plan[i]
        if unit.kind != "train":
            key = (unit.kind, unit.seed if unit.kind == "place" else unit.cell.name)
            chunks.setdefault(key, []).append(i)
    return sorted(chunks.values(), key=len, reverse=True)


def collect_seconds(shop: Workshop) -> None:
    """Takes over the seconds that processes noted in a run that was stopped."""
    for path in sorted(shop.out.glob("seconds-*.json")):
        shop.take(path.name)
