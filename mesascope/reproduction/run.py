"""Runs a study: trains and measures its subjects, and writes published, exact and our numbers into one table."""

import dataclasses
import functools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mesascope import catalogue
from mesascope.errors import MesascopeError, require
from mesascope.examination import runs
from mesascope.execution import run_units, select_shard
from mesascope.execution.folders import Plan, claim_folder, list_running, read_claim, release_folder
from mesascope.files import write_text
from mesascope.guards import gate
from mesascope.guards.blame import make_plugin_error, prevent_exits
from mesascope.reproduction.figures import draw_figure
from mesascope.reproduction.measures import BUNDLED_MEASURES, Measure
from mesascope.reproduction.outcomes import format_page, make_document
from mesascope.reproduction.plans import Study, load_study
from mesascope.reproduction.progress import ProgressEstimate, watch_progress
from mesascope.reproduction.units import list_cells
from mesascope.reproduction.work import StudyRun


@prevent_exits()
def reproduce(
    study: str,
    quick: bool = False,
    seeds: int = 0,
    out: str | os.PathLike | None = None,
    trust: bool = False,
    *,
    progress: Callable[[float, str], None] = lambda share, activity: None,
    workers: int = 1,
    engine: str = "local",
    shard: str = "",
) -> dict[str, Any] | None:
    """Runs the units of a study that are not yet finished in its folder, and returns the results.

    Args:
        study: the name of a study that ships with mesascope, or the path of a folder with plan.toml and expects.toml.
        quick: whether to use the values for a short run in the plan's table [quick]. The results are labelled quick and
            are not evidence.
        seeds: the number of training seeds; 0 for the number in the plan.
        out: the folder of the run; by default runs/reproduce/STUDY, or runs/reproduce/STUDY-quick for a short run.
        trust: whether code of a study that does not ship with mesascope may run.
        progress: called by another thread with the share of the work that is done, and with a text that says what is
            running.
        workers: the number of parallel processes of the local engine; 0 for one per core, but at most 4.
        engine: what runs the units, which is 'local' (processes on this machine) or the address of a dask scheduler,
            'dask://HOST:PORT' or 'tls://HOST:PORT'.
        shard: 'i/n' to run only part i of n parts, with i from 1 to n, or '' to run all. The parts may run in any
            order, and on any machines that share the folder.

    Returns:
        The document that results.json contains; None if units of other parts are unfinished. The folder then also
        contains table.md, seconds.json and, if the plan has panels, figure.png.

    Raises:
        MesascopeError: there is no such study, its files contain a mistake, it contains code that is not trusted, the
            folder belongs to another study, or the engine cannot run.
    """
    plan = load_study(study, quick, seeds)
    measures = load_measures(plan, trust)
    folder = runs.prepare_folder(out or choose_folder({"study": plan.name, "quick": quick}))
    settings = {
        "study": study if plan.is_bundled else str(plan.folder.resolve()),
        "quick": quick,
        "seeds": plan.n_seeds,
    }
    claim_folder(folder, Plan("study", plan.name), settings)
    study_run = StudyRun(plan, folder, measures)
    cells = select_shard(list_cells(study_run.units), shard)
    units = enumerate(study_run.units)
    trained_units = [i for i, unit in units if unit.kind == "train" and not study_run.is_unfinished(unit)]
    study_run.run(trained_units)  # raises an error for a network of another training run before other work starts
    unfinished = [(cell,) for cell in cells if any(study_run.is_unfinished(study_run.units[i]) for i in cell)]
    portable_plan = dataclasses.replace(plan, folder=plan.folder.resolve())
    run_cell = functools.partial(_run_cell, portable_plan, folder.resolve(), trust, study_run.code_hashes)
    with watch_progress(study_run, progress):
        for _ in run_units(run_cell, unfinished, workers, engine=engine):
            pass
    if any(map(study_run.is_unfinished, study_run.units)):
        return None
    results = make_document(plan, study_run.read_values(), trust)
    study_run.write_seconds()
    write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_text(folder / "table.md", format_page(results))
    draw_figure(plan, results, folder / "figure.png")
    release_folder(folder)
    return results


def _run_cell(study: Study, folder: Path, trust: bool, code_hashes: Sequence[str], indices: Sequence[int]) -> None:
    """Runs the units of a cell in any process; raises `MesascopeError` if code changed since the study started."""
    measures = load_measures(study, trust)
    try:
        study_run = StudyRun(study, folder, measures)
        require(
            study_run.code_hashes == code_hashes, "The code was changed while the study ran.", "Run the command again."
        )
        study_run.run(indices)
    except Exception as error:  # the process that waits for this one does not see where the error was raised
        plugin_error = None if isinstance(error, MesascopeError) else make_plugin_error(error)
        if plugin_error is None or os.environ.get("MESASCOPE_TRACEBACK"):
            raise
        raise plugin_error from error


def describe_folder(folder: Path) -> dict[str, Any]:
    """Describes how far the study in a folder is, without changing anything there.

    Returns:
        A dict with `of` (the kind and name of the run, such as 'study rl2_bandits'), `units` (the number of all units),
        `finished` (the number of finished units), `missing` (the names of the units that are not finished), `running`
        (a dict for each unit that runs now, with the fields of `RunningUnit`), `share` (the share of the work that is
        done) and `results` (the document with the values so far).
    """
    plan, settings = read_claim(folder)
    study = load_study(settings["study"], settings["quick"], settings["seeds"])
    study_run = StudyRun(study, folder, {})
    missing = [unit.name for unit in study_run.units if study_run.is_unfinished(unit)]
    return {
        "of": f"{plan.kind} {plan.name}",
        "units": len(study_run.units),
        "finished": len(study_run.units) - len(missing),
        "share": ProgressEstimate(study_run).estimate()[0],
        "running": [unit._asdict() for unit in list_running(folder)],
        "missing": missing,
        "results": make_document(study, study_run.read_values()),
    }


def choose_folder(document: Mapping[str, Any]) -> Path:
    """Chooses the default folder for a study's run."""
    return Path("runs") / "reproduce" / (document["study"] + ("-quick" if document["quick"] else ""))


def load_measures(study: Study, trust: bool) -> dict[str, Measure]:
    """Loads the measures of the package and of the study, by name.

    Raises:
        MesascopeError: `trust` is false, and the study contains or names code that does not ship with mesascope.
    """
    own_file = study.folder / "measures.py"
    texts = [t for c in study.subjects for t in (c.recipe, c.subject, c.family)]
    texts += [t for q in study.quantities for t in (q.spec, q.family)]
    if trust:
        gate.allow(*texts)
    if not (study.is_bundled or trust):
        if own_file.is_file():
            raise _make_error(f"{str(own_file)!r} is code")
        for cell in study.subjects:
            name = cell.subject.partition(":")[0]
            if cell.subject and name not in catalogue.list_names("subjects"):
                raise _make_error(f"its subject {cell.subject!r} would run code")
        for text in texts:
            if runners := sorted(set(re.findall(r"\w+", text)) & _list_code_runners()):
                raise _make_error(f"{runners[0]} in {text!r} would run code")
    if not own_file.is_file():
        return BUNDLED_MEASURES
    module = gate.run_file(own_file, f"mesascope_study_{study.name}")
    definitions = {k: v for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__}
    own_measures: dict[str, Any] = {k: v for k, v in definitions.items() if callable(v) and not k.startswith("_")}
    return {**BUNDLED_MEASURES, **own_measures}


def _list_code_runners() -> set[str]:
    """Lists the names of the subjects and families that run code given in their settings."""
    runners = set()
    for kind in ("subjects", "families"):
        for name in catalogue.list_names(kind):
            try:
                module = catalogue.import_plugin_module(kind, name)
            except MesascopeError:  # a broken plug-in of another package cannot run anything
                continue
            runners |= {name} if getattr(module, "FACTORY_RUNS_CODE", False) else set()
    return runners


def _make_error(reason: str) -> MesascopeError:
    """Makes the error for a study that would run code that is not trusted."""
    return MesascopeError(f"The study does not ship with mesascope, and {reason}.", "Read it, then add --trust.")
