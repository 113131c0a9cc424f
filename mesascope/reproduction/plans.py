"""Reads a study: plan.toml says what to run and show, and expects.toml says what was expected before the run.

Texts may contain placeholders: `{M}` in a name stands for every value of M in [values], so that one entry is a grid.
[called] gives values their display names, and [quick] replaces values.
"""

import dataclasses
import hashlib
import itertools
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mesascope import catalogue, formats
from mesascope.errors import MesascopeError, pick_named, unknown
from mesascope.reproduction import tables

PLAN = (
    *("says", "source", "minutes", "seeds", "rule", "values", "quick", "called"),
    *("subjects", "measured", "rows", "panels"),
)
SUBJECT = ("recipe", "subject", "family", "trained_on")
RULES = ("benefit", "carried")  # the first placement rule, for plans that name none, and the present one
KINDS = ("measure", "placed", "metric", "axis")
MEASURED = (*KINDS, "label", "split", "family", "lifetimes", "of")
ROW = (*("quantity", "subject", "published", "published_error", "source"), *("exact", "exact_source", "tolerance"))
PANEL = ("draw", "title", "of", "quantities", "x")
DRAWINGS = ("lines", "curves", "rungs", "bars", "matrix")
EXPECTED = ("says", "value", "than", "sign", "smallest", "largest")
SEED = "{seed}"  # filled in at run time


@dataclasses.dataclass(frozen=True)
class Cell:
    """One subject of a study, which runs once per seed.

    Attributes:
        name: the display name.
        axes: the grid values in its name.
        recipe: the recipe that trains it; '' for a scripted subject.
        subject: the name of a scripted subject, with settings; '' for a trained subject.
        family: the family with settings. Like subject and trained_on, it may contain {seed}.
        trained_on: what the subject was trained on, if this overrides the subject's own value.
    """

    name: str
    axes: dict[str, Any]
    recipe: str
    subject: str
    family: str
    trained_on: str


@dataclasses.dataclass(frozen=True)
class Quantity:
    """One number per subject and seed.

    Attributes:
        name: the display name.
        axes: the grid values in its name.
        kind: 'measure' (intact lifetimes), 'placed' (a placement), 'metric' (a finding) or 'axis' (a reading).
        spec: the measure, the placement's number, the metric or the axis, with settings.
        label: which reading of the metric or axis, if it has several.
        split: the split to measure on.
        family: the family to measure on, if it is not the subject's own.
        lifetimes: how many lifetimes each measurement has.
        of: the names of the subjects to measure.
    """

    name: str
    axes: dict[str, Any]
    kind: str
    spec: str
    label: str
    split: str
    family: str
    lifetimes: int
    of: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Study:
    """A study with its grid filled in.

    Attributes:
        name: the name of its folder.
        folder: the path of its folder.
        ours: whether it ships with the package.
        says: its question.
        source: the source of the question.
        minutes: an upper limit on how long it takes on two idle cores.
        seeds: how many training seeds.
        quick: whether this is the short form, which only shows that the study runs.
        cells: its subjects.
        quantities: the quantities to measure.
        rows: the rows of its table.
        panels: the panels of its figure.
        expects: its expectations.
        digest: a hash of plan.toml and expects.toml.
        rule: the placement rule, 'benefit' (the first one) or 'carried'.
    """

    name: str
    folder: Path
    ours: bool
    says: str
    source: str
    minutes: int
    seeds: int
    quick: bool
    cells: tuple[Cell, ...]
    quantities: tuple[Quantity, ...]
    rows: tuple[dict[str, Any], ...]
    panels: tuple[dict[str, Any], ...]
    expects: tuple[dict[str, Any], ...]
    digest: str
    rule: str = RULES[0]


def find(name: str) -> Path:
    """Finds the folder of a study, from the name of one that ships or from a path.

    Raises:
        MesascopeError: there is no such study.
    """
    if name in catalogue.names("studies"):
        return catalogue.STUDIES / name
    if (Path(name) / "plan.toml").is_file():
        return Path(name)
    raise unknown("study", name, catalogue.names("studies"))


def load(name: str, quick: bool = False, seeds: int = 0) -> Study:
    """Reads a study.

    Args:
        name: a study that ships, or a folder with a plan.toml.
        quick: whether to use the values of [quick].
        seeds: how many training seeds; 0 for the plan's own.

    Raises:
        MesascopeError: there is no such study, or its files contain a mistake.
    """
    folder = find(name)
    plan, expects = tables.read_toml(folder / "plan.toml"), tables.read_toml(folder / "expects.toml")
    where = f"{folder.name}/plan.toml"
    tables.check_keys(plan, PLAN, where)
    tables.check_keys(expects, ("expects",), f"{folder.name}/expects.toml")
    short = dict(tables.read_table(plan, "quick", where)) if quick else {}
    count = seeds or int(short.pop("seeds", tables.read_number(plan, "seeds", where)))
    short.pop("seeds", None)
    values = {"lifetimes": 1024, **tables.read_table(plan, "values", where)}
    for key in short:
        pick_named(f"value in [quick] of {where}", key, values)
    grid = Grid({**values, **short}, tables.read_table(plan, "called", where), where)
    cells = _read_cells(tables.read_table(plan, "subjects", where), grid)
    quantities = _read_quantities(tables.read_table(plan, "measured", where), grid, {c.name for c in cells})
    text = b"".join((folder / f).read_bytes() for f in ("plan.toml", "expects.toml"))
    study = Study(
        name=folder.name if folder.name else folder.resolve().name,
        folder=folder,
        ours=folder.resolve().parent == catalogue.STUDIES.resolve(),
        says=str(plan.get("says", "")),
        source=str(plan.get("source", "")),
        minutes=int(tables.read_number(plan, "minutes", where)),
        seeds=count,
        quick=quick,
        cells=cells,
        quantities=quantities,
        rows=tuple(_read_rows(plan.get("rows", []), grid)),
        panels=tuple(_read_panels(plan.get("panels", []), grid)),
        expects=tuple(_read_expects(expects.get("expects", []), folder.name)),
        digest=hashlib.sha256(text).hexdigest()[:16],
        rule=pick_named(f"placement rule in {where}", str(plan.get("rule", RULES[0])), RULES),
    )
    if not quick:  # in the short form, rows and expectations may lack their subjects
        _check_references(study)
    return study


class Grid:
    """The values of a plan, which fill in the placeholders of texts."""

    def __init__(self, values: Mapping[str, Any], called: Mapping[str, Mapping[str, str]], where: str):
        self.values, self.called, self.where = values, called, where

    def points(self, template: str) -> Iterator[dict[str, Any]]:
        """Every combination of values for the placeholders in a text."""
        names = list(dict.fromkeys(self.placeholders(template)))
        lists = [v if isinstance(v := self.values[n], list) else [v] for n in names]
        for point in itertools.product(*lists):
            yield dict(zip(names, point, strict=True))

    def show(self, template: str, point: Mapping[str, Any]) -> str:
        """Fills in a template for display, with the display names of the values."""
        return self._fill(template, {k: self.called.get(k, {}).get(str(v), v) for k, v in point.items()})

    def fill(self, template: Any, point: Mapping[str, Any]) -> str:
        """Fills in a template for a run; `point` may leave out values that are not lists."""
        constants = {k: v for k, v in self.values.items() if not isinstance(v, list)}
        return self._fill(str(template), {**constants, **point})

    def names(self, templates: Iterable[str]) -> list[str]:
        """The display names of several templates, over all their points."""
        return [self.show(t, p) for t in templates for p in self.points(t)]

    def placeholders(self, template: str) -> Iterator[str]:
        """The names of the placeholders in a text, in order."""
        try:
            names = [n for _, n, _, _ in string.Formatter().parse(template) if n is not None]
        except ValueError as error:
            raise MesascopeError(f"{template!r} in {self.where}: {error}.", "Close every brace.") from None
        for name in names:
            if name != "seed":
                yield pick_named(f"value in {self.where}", name, self.values)

    def _fill(self, template: str, point: Mapping[str, Any]) -> str:
        for name in self.placeholders(template):
            if name not in point:
                raise MesascopeError(
                    f"{template!r} in {self.where} has {{{name}}}, which its name does not have.",
                    f"Put {{{name}}} into the name, or make it a single value.",
                )
        return template.format(**{**point, "seed": SEED})


def _read_cells(table: Mapping[str, Any], grid: Grid) -> tuple[Cell, ...]:
    """Reads all subjects, in the order of the plan."""
    cells: dict[str, Cell] = {}
    for template, entry in table.items():
        where = f"[subjects.{template!r}] of {grid.where}"
        tables.check_keys(entry, SUBJECT, where)
        if ("recipe" in entry) == ("subject" in entry):
            raise MesascopeError(f"{where} needs a recipe or a subject.", "Give one of the two.")
        if "family" not in entry:
            raise MesascopeError(f"{where} has no family.", "Name its family.")
        for point in grid.points(template):
            name = grid.show(template, point)
            if name in cells:
                raise MesascopeError(f"Two subjects of {grid.where} are called {name!r}.", "Rename one.")
            parts = {k: formats.reword_spec(grid.fill(entry.get(k, ""), point)) for k in SUBJECT}
            cells[name] = Cell(name, point, **parts)
    if not cells:
        raise MesascopeError(f"{grid.where} has no subjects.", "Add a table [subjects.NAME].")
    return tuple(cells.values())


def _read_quantities(table: Mapping[str, Any], grid: Grid, subjects: set[str]) -> tuple[Quantity, ...]:
    """Reads all quantities, in the order of the plan."""
    quantities: dict[str, Quantity] = {}
    for template, entry in table.items():
        where = f"[measured.{template!r}] of {grid.where}"
        entry = formats.reword(entry) if isinstance(entry, Mapping) else entry
        tables.check_keys(entry, MEASURED, where)
        kinds = [k for k in KINDS if k in entry]
        if len(kinds) != 1:
            raise MesascopeError(f"{where} needs one of {', '.join(KINDS)}.", "Give one of them.")
        if kinds == ["axis"] and "label" not in entry:
            raise MesascopeError(f"{where} has no label, the reading of the axis.", 'Give one: label = "undetermined".')
        lifetimes = entry.get("lifetimes", "lifetimes")
        lifetimes = grid.values.get(lifetimes, lifetimes) if isinstance(lifetimes, str) else lifetimes
        if type(lifetimes) is not int or lifetimes < 3:
            raise MesascopeError(
                f"lifetimes={lifetimes!r} in {where} is not a whole number from 3.", "Give a whole number from 3."
            )
        of = grid.names(tables.read_texts(entry, "of", grid.where))
        for name in of:
            pick_named(f"subject in {where}", name, subjects)
        for point in grid.points(template):
            name = grid.show(template, point)
            if name in quantities:
                raise MesascopeError(f"Two quantities of {grid.where} are called {name!r}.", "Rename one.")
            parts = {k: grid.fill(entry.get(k, ""), point) for k in ("label", "split", "family")}
            parts["split"] = parts["split"] or "fresh"
            spec, rest = grid.fill(entry[kinds[0]], point), {"lifetimes": lifetimes, "of": tuple(of)}
            quantities[name] = Quantity(name, point, kinds[0], spec, **parts, **rest)
    return tuple(quantities.values())


def _read_rows(rows: Sequence[Mapping[str, Any]], grid: Grid) -> Iterator[dict[str, Any]]:
    for row in rows:
        tables.check_keys(row, ROW, f"[[rows]] of {grid.where}")
        if "quantity" not in row or "subject" not in row:
            raise MesascopeError(f"A row of {grid.where} lacks quantity or subject.", "Give both.")
        if "published" in row and "source" not in row:
            raise MesascopeError(f"A published value in {grid.where} has no source.", "Name it.")
        for quantity in grid.names([row["quantity"]]):
            for subject in grid.names([row["subject"]]):
                yield {**row, "quantity": quantity, "subject": subject}


def _read_panels(panels: Sequence[Mapping[str, Any]], grid: Grid) -> Iterator[dict[str, Any]]:
    for panel in panels:
        tables.check_keys(panel, PANEL, f"[[panels]] of {grid.where}")
        pick_named("way to draw", str(panel.get("draw")), DRAWINGS)
        groups = [
            {"label": _name_line(t), "axis": (list(grid.placeholders(t)) or [""])[-1], "names": grid.names([t])}
            for t in tables.read_texts(panel, "of", grid.where)
        ]
        templates = tables.read_texts(panel, "quantities", grid.where)
        called = {k: dict(v) for k, v in grid.called.items()}
        yield {
            "x": panel.get("x", ""),
            "draw": panel["draw"],
            "title": panel.get("title", ""),
            "groups": groups,
            "quantities": grid.names(templates),
            "along": [str([*p.values()][-1]) if p else t for t in templates for p in grid.points(t)],
            "called": called,
        }


def _name_line(template: str) -> str:
    """The name of a line in a figure, for example 'network' for 'network, M={M}'."""
    head = template.partition("{")[0]
    return head.rpartition(",")[0] or head.rstrip(" ,=") or template


def _read_expects(rows: Sequence[Mapping[str, Any]], study: str) -> Iterator[dict[str, Any]]:
    where = f"{study}/expects.toml"
    for row in rows:
        tables.check_keys(row, EXPECTED, where)
        text, sign = row.get("says", "?"), row.get("sign")
        if sign not in ("+", "-", "0"):
            raise MesascopeError(f"{text!r} in {where} has no sign.", "Give '+', '-' or '0'.")
        size = "largest" if sign == "0" else "smallest"
        if not isinstance(row.get(size), int | float) or row[size] < 0:
            raise MesascopeError(f"{text!r} in {where} has no {size} size.", f"Give {size} = a number from 0.")
        value, than = row.get("value"), row.get("than", 0.0)
        pair = isinstance(value, list) and len(value) == 2
        if not pair or not (isinstance(than, int | float) or (isinstance(than, list) and len(than) == 2)):
            raise MesascopeError(
                f"{text!r} in {where} does not say what is compared.",
                "Give value = [quantity, subject], and than = the same or a number.",
            )
        yield {"says": text, "value": value, "than": than, "sign": sign, "size": float(row[size])}


def _check_references(study: Study) -> None:
    """Raises an error if a row, a panel or an expectation uses a quantity that is not measured."""
    measured = {(q.name, name) for q in study.quantities for name in q.of}
    for panel in study.panels:
        for kind, names, valid_names in (
            ("subject", [n for group in panel["groups"] for n in group["names"]], [s for _, s in measured]),
            ("quantity", panel["quantities"], [q for q, _ in measured]),
        ):
            for name in names:
                pick_named(f"{kind} in a panel of {study.name}", name, set(valid_names))
    sides = (side for e in study.expects for side in (e["value"], e["than"]) if isinstance(side, list))
    for quantity, subject in [*((r["quantity"], r["subject"]) for r in study.rows), *sides]:
        if (quantity, subject) not in measured:
            valid_names = [f"{q} of {s}" for q, s in measured]
            raise unknown(f"quantity in {study.name}", f"{quantity} of {subject}", valid_names)
