"""Reads a study: plan.toml lists what to run and show, and expects.toml what was expected before the run.

Texts may contain placeholders. `{M}` in a name stands for every value of M in the table [values], so that one entry
expands to several subjects, quantities or rows. The table [called] contains the display names of values, and the table
[quick] replaces values in a short run.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import string
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mesascope import catalogue, formats
from mesascope.errors import MesascopeError, make_unknown_name_error, require, require_known_name
from mesascope.reproduction import tables

PLAN_KEYS = (
    *("says", "source", "minutes", "seeds", "rule", "values", "quick", "called"),
    *("subjects", "measured", "rows", "panels"),
)
SUBJECT_KEYS = ("recipe", "subject", "family", "trained_on")
PLUGIN_KINDS = {"recipe": "recipes", "subject": "subjects", "family": "families"}
PLACEMENT_RULES = ("benefit", "carried")  # the older placement rule, which is the default, and the present rule
QUANTITY_KINDS = ("measure", "placed", "metric", "axis")
QUANTITY_KEYS = (*QUANTITY_KINDS, "label", "split", "family", "lifetimes", "of")
ROW_KEYS = ("quantity", "subject", "published", "published_error", "source", "exact", "exact_source", "tolerance")
PANEL_KEYS = ("draw", "title", "of", "quantities", "x")
PANEL_KINDS = ("lines", "curves", "rungs", "bars", "matrix")
EXPECTATION_KEYS = ("says", "value", "than", "sign", "smallest", "largest")
SEED_PLACEHOLDER = "{seed}"  # filled in when the study runs


@dataclasses.dataclass(frozen=True)
class StudySubject:
    """One subject of a study, which runs once per seed.

    Attributes:
        name: the name in tables and figures.
        placeholder_values: the values of the placeholders in the name.
        recipe: the recipe, with settings, that trains the subject; '' for a scripted subject. `recipe`, `subject`,
            `family` and `trained_on` may contain {seed}, which stands for the training seed.
        subject: the name of a scripted subject, with settings; '' for a trained subject.
        family: the name of the family, with settings.
        trained_on: the bank label of the subject, if this study overrides the subject's own label; otherwise ''.
    """

    name: str
    placeholder_values: dict[str, Any]
    recipe: str
    subject: str
    family: str
    trained_on: str


@dataclasses.dataclass(frozen=True)
class Quantity:
    """One number per subject and seed.

    Attributes:
        name: the name in tables and figures.
        kind: how the number is computed, which is 'measure' (from intact lifetimes), 'placed' (a number of the
            placement), 'metric' (the estimate of a finding) or 'axis' (1 if the axis gives a certain reading, else 0).
        spec: the name of the measure, of the placement's number, of the metric or of the axis, with settings.
        label: for a metric with several readings, the label of the one to take; for an axis, the reading that counts as
            1; otherwise ''.
        split: the name of the split to measure on.
        family: the family to measure on, with settings, if it is not the subject's own; otherwise ''.
        lifetimes: the number of lifetimes in each measurement.
        subjects: the names of the subjects to measure.
    """

    name: str
    kind: str
    spec: str
    label: str
    split: str
    family: str
    lifetimes: int
    subjects: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Study:
    """A study whose placeholders are filled in.

    Attributes:
        name: the name of the study's folder.
        folder: the path of the folder.
        is_bundled: whether the study ships with the package.
        question: the question that the study asks.
        source: the publication or the claim behind the question; '' if the plan names none.
        minutes: an upper limit, in minutes, of the run's time on two idle cores.
        n_seeds: the number of training seeds.
        is_quick: whether this is the short form, which only shows that the study runs.
        subjects: the subjects to train or open, and to measure.
        quantities: the quantities to measure.
        rows: the rows of the table of published, exact and our numbers, as dicts with the keys of `ROW_KEYS`.
        panels: the panels of the figure, as dicts.
        expectations: what was expected before the run, as dicts with `says`, `value`, `than`, `sign` and `size`.
        digest: a hash of plan.toml and expects.toml.
        rule: the rule that places subjects, 'benefit' (the older rule, with shuffled feedback) or 'carried' (the
            present rule).
    """

    name: str
    folder: Path
    is_bundled: bool
    question: str
    source: str
    minutes: int
    n_seeds: int
    is_quick: bool
    subjects: tuple[StudySubject, ...]
    quantities: tuple[Quantity, ...]
    rows: tuple[dict[str, Any], ...]
    panels: tuple[dict[str, Any], ...]
    expectations: tuple[dict[str, Any], ...]
    digest: str
    rule: str = PLACEMENT_RULES[0]


def find_study_folder(name: str) -> Path:
    """Finds the folder of a study from its path, or from its name if the study ships with the package.

    Raises:
        MesascopeError: there is no such study.
    """
    if name in catalogue.list_names("studies"):
        return catalogue.STUDIES_FOLDER / name
    if (Path(name) / "plan.toml").is_file():
        return Path(name)
    raise make_unknown_name_error("study", name, catalogue.list_names("studies"))


def load_study(name: str, quick: bool = False, seeds: int = 0) -> Study:
    """Reads a study.

    Args:
        name: the name of a study that ships with mesascope, or the path of a folder with plan.toml and expects.toml.
        quick: whether the values in the plan's table [quick] replace those in [values].
        seeds: the number of training seeds; 0 for the number in the plan or, with `quick`, in its table [quick].

    Raises:
        MesascopeError: there is no such study, or its files contain a mistake.
    """
    folder = find_study_folder(name)
    plan, expects = tables.read_toml(folder / "plan.toml"), tables.read_toml(folder / "expects.toml")
    place = f"{folder.name}/plan.toml"
    tables.check_keys(plan, PLAN_KEYS, place)
    tables.check_keys(expects, ("expects",), f"{folder.name}/expects.toml")
    changes = dict(tables.read_table(plan, "quick", place)) if quick else {}
    seeds = seeds or int(changes.get("seeds", tables.read_number(plan, "seeds", place)))
    changes.pop("seeds", None)
    values = {"lifetimes": 1024, **tables.read_table(plan, "values", place)}
    for key in changes:
        require_known_name(f"value in [quick] of {place}", key, values)
    plan_values = PlanValues({**values, **changes}, tables.read_table(plan, "called", place), place)
    cells = _read_subjects(tables.read_table(plan, "subjects", place), plan_values)
    quantities = _read_quantities(tables.read_table(plan, "measured", place), plan_values, {c.name for c in cells})
    text = b"".join((folder / f).read_bytes() for f in ("plan.toml", "expects.toml"))
    study = Study(
        name=folder.name if folder.name else folder.resolve().name,
        folder=folder,
        is_bundled=folder.resolve().parent == catalogue.STUDIES_FOLDER.resolve(),
        question=str(plan.get("says", "")),
        source=str(plan.get("source", "")),
        minutes=int(tables.read_number(plan, "minutes", place)),
        n_seeds=seeds,
        is_quick=quick,
        subjects=cells,
        quantities=quantities,
        rows=tuple(_read_rows(plan.get("rows", []), plan_values)),
        panels=tuple(_read_panels(plan.get("panels", []), plan_values)),
        expectations=tuple(_read_expectations(expects.get("expects", []), folder.name)),
        digest=hashlib.sha256(text).hexdigest()[:16],
        rule=require_known_name(
            f"placement rule in {place}", str(plan.get("rule", PLACEMENT_RULES[0])), PLACEMENT_RULES
        ),
    )
    if not quick:  # in the short form, subjects of rows and expectations may be missing
        _check_references(study)
    return study


class PlanValues:
    """The values of a plan, which replace the placeholders in texts.

    Args:
        values: for each placeholder, its value or the list of its values.
        display_names: for each placeholder, the display names of its values, by value.
        location: the path of the plan, which messages name.
    """

    def __init__(self, values: Mapping[str, Any], display_names: Mapping[str, Mapping[str, str]], location: str):
        self.values, self.display_names, self.location = values, display_names, location

    def list_combinations(self, template: str) -> list[dict[str, Any]]:
        """Lists every combination of values for the placeholders in a text."""
        names = list(dict.fromkeys(self.find_placeholders(template)))
        lists = [v if isinstance(v := self.values[n], list) else [v] for n in names]
        return [dict(zip(names, point, strict=True)) for point in itertools.product(*lists)]

    def make_name(self, template: str, combination: Mapping[str, Any]) -> str:
        """Fills in a template with the display names of the values in `combination`."""
        return self._fill(template, {k: self.display_names.get(k, {}).get(str(v), v) for k, v in combination.items()})

    def make_spec(self, template: Any, combination: Mapping[str, Any]) -> str:
        """Fills in a template for a run; `combination` may leave out placeholders with a single value."""
        constants = {k: v for k, v in self.values.items() if not isinstance(v, list)}
        return self._fill(str(template), {**constants, **combination})

    def list_names(self, templates: Iterable[str]) -> list[str]:
        """Lists the display names of several templates, for all combinations of values."""
        return [self.make_name(t, p) for t in templates for p in self.list_combinations(t)]

    def name_combinations(
        self, template: str, existing_names: Mapping[str, Any], kind: str
    ) -> Iterator[tuple[str, dict]]:
        """Yields display names of a template with their values; raises `MesascopeError` for one in `existing_names`."""
        for point in self.list_combinations(template):
            name = self.make_name(template, point)
            require(name not in existing_names, f"Two {kind} of {self.location} are called {name!r}.", "Rename one.")
            yield name, point

    def find_placeholders(self, template: str) -> Iterator[str]:
        """Yields the names of the placeholders in a text, in order."""
        try:
            names = [n for _, n, _, _ in string.Formatter().parse(template) if n is not None]
        except ValueError as error:
            raise MesascopeError(f"{template!r} in {self.location}: {error}.", "Close every brace.") from None
        for name in names:
            if name != "seed":
                yield require_known_name(f"value in {self.location}", name, self.values)

    def _fill(self, template: str, combination: Mapping[str, Any]) -> str:
        """Fills in a template; raises `MesascopeError` if `combination` lacks the value of a placeholder."""
        for name in self.find_placeholders(template):
            problem = f"{template!r} in {self.location} has {{{name}}}, which its name does not have."
            require(name in combination, problem, f"Put {{{name}}} into the name, or make it a single value.")
        return template.format(**{**combination, "seed": SEED_PLACEHOLDER})


def _read_subjects(table: Mapping[str, Any], plan_values: PlanValues) -> tuple[StudySubject, ...]:
    """Reads all subjects, in the order of the plan."""
    cells: dict[str, StudySubject] = {}
    for template, entry in table.items():
        place = f"[subjects.{template!r}] of {plan_values.location}"
        tables.check_keys(entry, SUBJECT_KEYS, place)
        has_one = ("recipe" in entry) != ("subject" in entry)
        require(has_one, f"{place} needs a recipe or a subject.", "Give one of the two.")
        require("family" in entry, f"{place} has no family.", "Name its family.")
        for name, point in plan_values.name_combinations(template, cells, "subjects"):
            specs = {k: _reword_settings(k, plan_values.make_spec(entry.get(k, ""), point)) for k in SUBJECT_KEYS}
            cells[name] = StudySubject(name, point, **specs)
    require(bool(cells), f"{plan_values.location} has no subjects.", "Add a table [subjects.NAME].")
    return tuple(cells.values())


def _reword_settings(key: str, spec: str) -> str:
    """Replaces old names of settings in a spec, unless the plug-in has a setting with this name today."""
    settings: Container[str] = ()
    with contextlib.suppress(MesascopeError):  # no plug-in has this name; the error is raised where the plug-in is made
        if kind := PLUGIN_KINDS.get(key):
            settings = catalogue.list_settings(catalogue.get_factory(kind, spec.partition(":")[0]))
    return formats.rename_old_settings(spec, settings)


def _read_quantities(table: Mapping[str, Any], plan_values: PlanValues, subjects: set[str]) -> tuple[Quantity, ...]:
    """Reads all quantities, in the order of the plan."""
    quantities: dict[str, Quantity] = {}
    for template, entry in table.items():
        place = f"[measured.{template!r}] of {plan_values.location}"
        entry = formats.rename_old_keys(entry) if isinstance(entry, Mapping) else entry
        tables.check_keys(entry, QUANTITY_KEYS, place)
        kinds = [k for k in QUANTITY_KINDS if k in entry]
        require(len(kinds) == 1, f"{place} needs one of {', '.join(QUANTITY_KINDS)}.", "Give one of them.")
        has_label = kinds != ["axis"] or "label" in entry
        require(has_label, f"{place} has no label, the reading of the axis.", 'Give one: label = "undetermined".')
        lifetimes = entry.get("lifetimes", "lifetimes")
        lifetimes = plan_values.values.get(lifetimes, lifetimes) if isinstance(lifetimes, str) else lifetimes
        is_enough = type(lifetimes) is int and lifetimes >= 3
        problem = f"lifetimes={lifetimes!r} in {place} is not a whole number from 3."
        require(is_enough, problem, "Give a whole number from 3.")
        of = tuple(plan_values.list_names(tables.read_texts(entry, "of", plan_values.location)))
        for name in of:
            require_known_name(f"subject in {place}", name, subjects)
        for name, point in plan_values.name_combinations(template, quantities, "quantities"):
            keys = ("label", "split", "family", kinds[0])
            label, split, family, spec = (plan_values.make_spec(entry.get(k, ""), point) for k in keys)
            family = _reword_settings("family", family)
            quantities[name] = Quantity(name, kinds[0], spec, label, split or "fresh", family, lifetimes, of)
    return tuple(quantities.values())


def _read_rows(rows: Sequence[Mapping[str, Any]], plan_values: PlanValues) -> Iterator[dict[str, Any]]:
    """Reads the rows of the table, one for each quantity and subject."""
    for row in rows:
        tables.check_keys(row, ROW_KEYS, f"[[rows]] of {plan_values.location}")
        is_complete = "quantity" in row and "subject" in row
        require(is_complete, f"A row of {plan_values.location} lacks quantity or subject.", "Give both.")
        has_source = "published" not in row or "source" in row
        require(has_source, f"A published value in {plan_values.location} has no source.", "Name it.")
        for quantity in plan_values.list_names([row["quantity"]]):
            for subject in plan_values.list_names([row["subject"]]):
                yield {**row, "quantity": quantity, "subject": subject}


def _read_panels(panels: Sequence[Mapping[str, Any]], plan_values: PlanValues) -> Iterator[dict[str, Any]]:
    """Reads the panels of the figure."""
    for panel in panels:
        tables.check_keys(panel, PANEL_KEYS, f"[[panels]] of {plan_values.location}")
        require_known_name("way to draw", str(panel.get("draw")), PANEL_KINDS)
        groups = []
        for template in tables.read_texts(panel, "of", plan_values.location):
            axis = (list(plan_values.find_placeholders(template)) or [""])[-1]
            groups.append(
                {"label": _make_line_name(template), "axis": axis, "names": plan_values.list_names([template])}
            )
        templates = tables.read_texts(panel, "quantities", plan_values.location)
        yield {
            "x": panel.get("x", ""),
            "draw": panel["draw"],
            "title": panel.get("title", ""),
            "groups": groups,
            "quantities": plan_values.list_names(templates),
            "along": [str([*p.values()][-1]) if p else t for t in templates for p in plan_values.list_combinations(t)],
            "display_names": plan_values.display_names,
        }


def _make_line_name(template: str) -> str:
    """Makes the name of a line in a figure from a template, such as 'network' from 'network, M={M}'."""
    head = template.partition("{")[0]
    return head.rpartition(",")[0] or head.rstrip(" ,=") or template


def _read_expectations(rows: Sequence[Mapping[str, Any]], study_name: str) -> Iterator[dict[str, Any]]:
    """Reads the expectations of a study."""
    place = f"{study_name}/expects.toml"
    for row in rows:
        tables.check_keys(row, EXPECTATION_KEYS, place)
        text, sign, value, than = row.get("says", "?"), row.get("sign"), row.get("value"), row.get("than", 0.0)
        require(sign in ("+", "-", "0"), f"{text!r} in {place} has no sign.", "Give '+', '-' or '0'.")
        bound = "largest" if sign == "0" else "smallest"
        size = row.get(bound)
        if not isinstance(size, int | float) or size < 0:
            raise MesascopeError(f"{text!r} in {place} has no {bound} size.", f"Give {bound} = a number from 0.")
        pairs = [value] if isinstance(than, int | float) else [value, than]
        require(
            all(isinstance(pair, list) and len(pair) == 2 for pair in pairs),
            f"{text!r} in {place} does not say what is compared.",
            "Give value = [quantity, subject], and than = the same or a number.",
        )
        yield {"says": text, "value": value, "than": than, "sign": sign, "size": float(size)}


def _check_references(study: Study) -> None:
    """Raises `MesascopeError` if a row, a panel or an expectation uses a quantity that is not measured."""
    measured_pairs = {(q.name, name) for q in study.quantities for name in q.subjects}
    for panel in study.panels:
        for subject in (name for group in panel["groups"] for name in group["names"]):
            require_known_name(f"subject in a panel of {study.name}", subject, {s for _, s in measured_pairs})
        for quantity in panel["quantities"]:
            require_known_name(f"quantity in a panel of {study.name}", quantity, {q for q, _ in measured_pairs})
    rows = [(row["quantity"], row["subject"]) for row in study.rows]
    sides = (side for e in study.expectations for side in (e["value"], e["than"]) if isinstance(side, list))
    for quantity, subject in [*rows, *sides]:
        if (quantity, subject) not in measured_pairs:
            options = [f"{q} of {s}" for q, s in measured_pairs]
            raise make_unknown_name_error(f"quantity in {study.name}", f"{quantity} of {subject}", options)
