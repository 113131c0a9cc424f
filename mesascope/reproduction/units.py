"""Lists the units of work of a study, and the cells of units that one process runs in turn."""

import dataclasses
from collections.abc import Sequence

from mesascope import catalogue
from mesascope.reproduction.plans import SEED_PLACEHOLDER, Quantity, Study, StudySubject


@dataclasses.dataclass(frozen=True)
class Unit:
    """One unit of a study's work, which is a training run or a measurement.

    Attributes:
        kind: 'train' (a training run), 'live' (a measurement of intact lifetimes) or 'place' (a placement, with metrics
            and axes).
        subject: the subject to train or to measure.
        seed: the training seed.
        family: the family of the training or measurement, with settings.
        split: the split of an intact measurement; '' for a training run or a placement.
        lifetimes: the number of lifetimes to measure; 0 for a training run.
        quantities: the quantities that the unit measures; none for a training run.
    """

    kind: str
    subject: StudySubject
    seed: int
    family: str = ""
    split: str = ""
    lifetimes: int = 0
    quantities: tuple[Quantity, ...] = ()

    @property
    def name(self) -> str:
        """The unit's name, which no other unit of the study has."""
        details = f" ({self.family}, {self.split or 'all splits'}, {self.lifetimes} lifetimes)"
        return f"{self.kind} {self.subject.name}, seed {self.seed}{'' if self.kind == 'train' else details}"

    @property
    def first_seed(self) -> int:
        """The seed of the first rollout of the unit; each further rollout takes the next seed."""
        return 10_000 * (self.seed + 1)


def list_units(study: Study) -> list[Unit]:
    """Lists all units of a study, seed by seed, in the order in which a single process runs them."""
    units = []
    for seed in range(study.n_seeds):
        for cell in study.subjects:
            if cell.recipe:
                units.append(Unit("train", cell, seed, fill_seed(cell.family, seed)))
            groups: dict[tuple, list[Quantity]] = {}
            for q in study.quantities:
                if cell.name in q.subjects:
                    family = fill_seed(q.family or cell.family, seed)
                    kind = "live" if q.kind == "measure" else "place"
                    split = q.split if kind == "live" else ""
                    groups.setdefault((kind, family, split, q.lifetimes), []).append(q)
            for (kind, family, split, lifetimes), quantities in groups.items():
                units.append(Unit(kind, cell, seed, family, split, lifetimes, tuple(quantities)))
    return units


def fill_seed(text: str, seed: int) -> str:
    """Replaces the placeholder {seed} in a text."""
    return text.replace(SEED_PLACEHOLDER, str(seed))


def list_cells(units: Sequence[Unit]) -> list[list[int]]:
    """Lists the cells, each of which contains the indices of the units of one subject and seed.

    One process runs the units of a cell in turn, with the training run first. The cell with the longest training run is
    the first one, so that no long run starts last.
    """
    cells: dict[tuple[int, str], list[int]] = {}
    for index, unit in enumerate(units):
        cells.setdefault((unit.seed, unit.subject.name), []).append(index)
    return sorted(cells.values(), key=lambda cell: -sum(_estimate_training_steps(units[index]) for index in cell))


def _estimate_training_steps(unit: Unit) -> float:
    """Estimates how many steps a training run takes, from its settings; 0 for a measurement."""
    if unit.kind != "train":
        return 0.0
    name, typed_settings = catalogue.parse_spec(fill_seed(unit.subject.recipe, unit.seed))
    factory = catalogue.get_factory("recipes", name)
    settings = {k: p.default for k, p in catalogue.list_settings(factory).items()}
    settings |= catalogue.convert_settings(factory, typed_settings, f"recipe {name!r}")
    family = catalogue.make("families", unit.family)
    return settings.get("updates", 1) * settings.get("lifetimes", 1) * family.horizon * family.steps
