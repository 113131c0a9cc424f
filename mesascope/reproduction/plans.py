"""Reads a study: plan.toml says what is run and shown, expects.toml what was expected before the run.

Texts hold placeholders: `{M}` in a name stands for every value of M in [values], so that one entry is a grid. [called]
gives values a name of their own in what is shown; [quick] replaces values.
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
    *("says", "source", "minutes", "seeds", "values", "quick", "called"),
    *("subjects", "measured", "rows", "panels"),
)
SUBJECT = ("recipe", "subject", "family", "trained_on")
KINDS = ("measure", "placed", "metric", "axis")
MEASURED = (*KINDS, "label", "split", "family", "lifetimes", "of")
ROW = (
    *("quantity", "subject", "published", "published_error", "source"),
    *("exact", "exact_source", "tolerance"),
)
PANEL = ("draw", "title", "of", "quantities", "x")
DRAWN = ("lines", "curves", "rungs", "bars", "matrix")
EXPECTED = ("says", "value", "than", "sign", "smallest", "largest")
SEED = "{seed}"  # filled in when it is run


@dataclasses.dataclass(frozen=True)
class Cell:
    """One subject of a study, run once per seed.

    Attributes:
        name: as it is shown.
        axes: the values that its name was made from.
        recipe: what trains it; '' for a scripted one.
        subject: name with settings; '' for a trained one.
        family: with settings; may hold {seed}, as subject and trained_on may.
        trained_on: overrides what it says of itself.
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
        name: as it is shown.
        axes: the values that its name was made from.
        kind: 'measure' (of intact lifetimes), 'placed' (of a placement), 'metric' (a finding) or 'axis' (a reading).
        spec: the measure, the placement's number, the metric or the axis, with settings.
        label: which of a metric's or an axis's readings.
        split: where.
        family: where, if not in the subject's own.
        lifetimes: how many.
        of: the subjects' names.
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
    """A study as it will be run.

    Attributes:
        name: of its folder.
        folder: where it stands.
        ours: whether it ships with the package.
        says: its question.
        source: where the question is from.
        minutes: the most it may take on two idle cores.
        seeds: how many training seeds.
        quick: whether this is the short form, which shows that it runs and settles nothing.
        cells: its subjects.
        quantities: what is measured.
        rows: of its table.
        panels: of its figure.
        expects: what was expected.
        digest: a hash of both files.
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


def find(name: str) -> Path:
    """The folder of a study that ships, or the folder that is named.

    Raises:
        MesascopeError: there is none.
    """
    if name in catalogue.names("studies"):
        return catalogue.STUDIES / name
    if (Path(name) / "plan.toml").is_file():
        return Path(name)
    raise unknown("study", name, catalogue.names("studies"))


def load(name: str, quick: bool = False, seeds: int = 0) -> Study:
    """Reads a study.

    Args:
        name: of a study that ships, or a folder with a plan.toml.
        quick: with the values of [quick].
        seeds: how many training seeds; 0 for the plan's own.

    Raises:
        MesascopeError: no such study, or a mistake in its files.
    """
    folder = find(name)
    plan, expects = tables.read_toml(folder / "plan.toml"), tables.read_toml(folder / "expects.toml")
    where = f"{folder.name}/plan.toml"
    tables.check_keys(plan, PLAN, where)
    tables.check_keys(expects, ("expects",), f"{folder.name}/expects.toml")
    short = dict(tables.table(plan, "quick", where)) if quick else {}
    count = seeds or int(short.pop("seeds", tables.number(plan, "seeds", where)))
    short.pop("seeds", None)
    values = {"lifetimes": 1024, **tables.table(plan, "values", where)}
    for key in short:
        pick_named(f"value in [quick] of {where}", key, values)
    grid = Grid({**values, **short}, tables.table(plan, "called", where), where)
    cells = _cells(tables.table(plan, "subjects", where), grid)
    quantities = _quantities(tables.table(plan, "measured", where), grid, {c.name for c in cells})
    text = b"".join((folder / f).read_bytes() for f in ("plan.toml", "expects.toml"))
    study = Study(
        name=folder.name if folder.name else folder.resolve().name,
        folder=folder,
        ours=folder.resolve().parent == catalogue.STUDIES.resolve(),
        says=str(plan.get("says", "")),
        source=str(plan.get("source", "")),
        minutes=int(tables.number(plan, "minutes", where)),
        seeds=count,
        quick=quick,
        cells=cells,
        quantities=quantities,
        rows=tuple(_rows(plan.get("rows", []), grid)),
        panels=tuple(_panels(plan.get("panels", []), grid)),
        expects=tuple(_expects(expects.get("expects", []), folder.name)),
        digest=hashlib.sha256(text).hexdigest()[:16],
    )
    if not quick:  # the short form lacks subjects that rows and expectations name
        _refers(study)
    return study


class Grid:
    """The values of a plan, and texts filled in with them."""

    def __init__(self, values: Mapping[str, Any], called: Mapping[str, Mapping[str, str]], where: str):
        self.values, self.called, self.where = values, called, where

    def points(self, template: str) -> Iterator[dict[str, Any]]:
        """Every combination of the values that a text has placeholders for."""
        names = list(dict.fromkeys(self.placeholders(template)))
        lists = [v if isinstance(v := self.values[n], list) else [v] for n in names]
        for point in itertools.product(*lists):
            yield dict(zip(names, point, strict=True))

    def shown(self, template: str, point: Mapping[str, Any]) -> str:
        """A text to be shown."""
        return self._fill(template, {k: self.called.get(k, {}).get(str(v), v) for k, v in point.items()})

    def filled(self, template: Any, point: Mapping[str, Any]) -> str:
        """A text to be run; single values need not be in the point."""
        single = {k: v for k, v in self.values.items() if not isinstance(v, list)}
        return self._fill(str(template), {**single, **point})

    def names(self, templates: Iterable[str]) -> list[str]:
        """What several texts are shown as, over all their points."""
        return [self.shown(t, p) for t in templates for p in self.points(t)]

    def placeholders(self, template: str) -> Iterator[str]:
        """The values that a text has placeholders for, in order."""
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


def _cells(table: Mapping[str, Any], grid: Grid) -> tuple[Cell, ...]:
    """Every subject, in the order of the plan."""
    out: dict[str, Cell] = {}
    for template, told in table.items():
        where = f"[subjects.{template!r}] of {grid.where}"
        tables.check_keys(told, SUBJECT, where)
        if ("recipe" in told) == ("subject" in told):
            raise MesascopeError(f"{where} needs a recipe or a subject.", "Give one of the two.")
        if "family" not in told:
            raise MesascopeError(f"{where} has no family.", "Say what it is put to.")
        for point in grid.points(template):
            name = grid.shown(template, point)
            if name in out:
                raise MesascopeError(f"Two subjects of {grid.where} are called {name!r}.", "Rename one.")
            parts = {k: formats.reword_spec(grid.filled(told.get(k, ""), point)) for k in SUBJECT}
            out[name] = Cell(name, point, **parts)
    if not out:
        raise MesascopeError(f"{grid.where} has no subjects.", "Add a table [subjects.NAME].")
    return tuple(out.values())


def _quantities(table: Mapping[str, Any], grid: Grid, known: set[str]) -> tuple[Quantity, ...]:
    """Everything that is measured, in the order of the plan."""
    out: dict[str, Quantity] = {}
    for template, told in table.items():
        where = f"[measured.{template!r}] of {grid.where}"
        told = formats.reword(told) if isinstance(told, Mapping) else told
        tables.check_keys(told, MEASURED, where)
        kinds = [k for k in KINDS if k in told]
        if len(kinds) != 1:
            raise MesascopeError(f"{where} needs one of {', '.join(KINDS)}.", "Give one of them.")
        if kinds == ["axis"] and "label" not in told:
            raise MesascopeError(
                f"{where} names no reading of the axis.", 'Give one: label = "undetermined".'
            )
        lifetimes = told.get("lifetimes", "lifetimes")
        lifetimes = grid.values.get(lifetimes, lifetimes) if isinstance(lifetimes, str) else lifetimes
        if type(lifetimes) is not int or lifetimes < 3:
            raise MesascopeError(f"lifetimes={lifetimes!r} in {where} is no number from 3.", "Give a number.")
        of = grid.names(tables.text_list(told, "of", grid.where))
        for name in of:
            pick_named(f"subject in {where}", name, known)
        for point in grid.points(template):
            name = grid.shown(template, point)
            if name in out:
                raise MesascopeError(f"Two quantities of {grid.where} are called {name!r}.", "Rename one.")
            parts = {k: grid.filled(told.get(k, ""), point) for k in ("label", "split", "family")}
            parts["split"] = parts["split"] or "fresh"
            spec, many = grid.filled(told[kinds[0]], point), {"lifetimes": lifetimes, "of": tuple(of)}
            out[name] = Quantity(name, point, kinds[0], spec, **parts, **many)
    return tuple(out.values())


def _rows(rows: Sequence[Mapping[str, Any]], grid: Grid) -> Iterator[dict[str, Any]]:
    for row in rows:
        tables.check_keys(row, ROW, f"[[rows]] of {grid.where}")
        if "quantity" not in row or "subject" not in row:
            raise MesascopeError(f"A row of {grid.where} lacks quantity or subject.", "Give both.")
        if "published" in row and "source" not in row:
            raise MesascopeError(f"A published value in {grid.where} has no source.", "Name it.")
        for quantity in grid.names([row["quantity"]]):
            for subject in grid.names([row["subject"]]):
                yield {**row, "quantity": quantity, "subject": subject}


def _panels(panels: Sequence[Mapping[str, Any]], grid: Grid) -> Iterator[dict[str, Any]]:
    for panel in panels:
        tables.check_keys(panel, PANEL, f"[[panels]] of {grid.where}")
        pick_named("way to draw", str(panel.get("draw")), DRAWN)
        groups = [
            {"label": _line(t), "axis": (list(grid.placeholders(t)) or [""])[-1], "names": grid.names([t])}
            for t in tables.text_list(panel, "of", grid.where)
        ]
        asked = tables.text_list(panel, "quantities", grid.where)
        called = {k: dict(v) for k, v in grid.called.items()}
        yield {
            "x": panel.get("x", ""),
            "draw": panel["draw"],
            "title": panel.get("title", ""),
            "groups": groups,
            "quantities": grid.names(asked),
            "along": [str([*p.values()][-1]) if p else t for t in asked for p in grid.points(t)],
            "called": called,
        }


def _line(template: str) -> str:
    """What a line of a figure is called: 'network, M={M}' is 'network'."""
    head = template.partition("{")[0]
    return head.rpartition(",")[0] or head.rstrip(" ,=") or template


def _expects(rows: Sequence[Mapping[str, Any]], study: str) -> Iterator[dict[str, Any]]:
    where = f"{study}/expects.toml"
    for row in rows:
        tables.check_keys(row, EXPECTED, where)
        says, sign = row.get("says", "?"), row.get("sign")
        if sign not in ("+", "-", "0"):
            raise MesascopeError(f"{says!r} in {where} has no sign.", "Give '+', '-' or '0'.")
        size = "largest" if sign == "0" else "smallest"
        if not isinstance(row.get(size), int | float) or row[size] < 0:
            raise MesascopeError(
                f"{says!r} in {where} has no {size} size.", f"Give {size} = a number from 0."
            )
        value, than = row.get("value"), row.get("than", 0.0)
        pair = isinstance(value, list) and len(value) == 2
        if not pair or not (isinstance(than, int | float) or (isinstance(than, list) and len(than) == 2)):
            raise MesascopeError(
                f"{says!r} in {where} does not say what is compared.",
                "Give value = [quantity, subject], and than = the same or a number.",
            )
        yield {"says": says, "value": value, "than": than, "sign": sign, "size": float(row[size])}


def _refers(study: Study) -> None:
    """Raises where a row, a panel or an expectation names what is not measured."""
    there = {(q.name, name) for q in study.quantities for name in q.of}
    for panel in study.panels:
        for kind, names, known in (
            ("subject", [n for group in panel["groups"] for n in group["names"]], [s for _, s in there]),
            ("quantity", panel["quantities"], [q for q, _ in there]),
        ):
            for name in names:
                pick_named(f"{kind} in a panel of {study.name}", name, set(known))
    sides = (side for e in study.expects for side in (e["value"], e["than"]) if isinstance(side, list))
    for quantity, subject in [*((r["quantity"], r["subject"]) for r in study.rows), *sides]:
        if (quantity, subject) not in there:
            known = [f"{q} of {s}" for q, s in there]
            raise unknown(f"quantity in {study.name}", f"{quantity} of {subject}", known)
