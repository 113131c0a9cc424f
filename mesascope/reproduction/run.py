"""Runs a study: trains and measures its subjects, and writes published, exact and our numbers into one table."""

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
from mesascope.files import write_text
from mesascope.guards import gate
from mesascope.guards.blame import contain_exits, make_plugin_error
from mesascope.reproduction.figures import draw_figure
from mesascope.reproduction.measures import BUNDLED_MEASURES, Measure
from mesascope.reproduction.outcomes import format_page, make_document
from mesascope.reproduction.plans import Study, load_study
from mesascope.reproduction.processes import name_time_file, run_in_processes
from mesascope.reproduction.progress import ProgressEstimate, ProgressFile
from mesascope.reproduction.work import StudyRun


@contain_exits()
def reproduce(
    study: str,
    quick: bool = False,
    seeds: int = 0,
    out: str | os.PathLike | None = None,
    trust: bool = False,
    *,
    progress: Callable[[float, str], None] = lambda share, activity: None,
    workers: int = 1,
) -> dict[str, Any]:
    """Runs the units of a study that are not yet finished in its folder, and returns the results.

    Args:
        study: the name of a study that ships, or a folder with plan.toml and expects.toml.
        quick: whether to use one seed and the plan's short values. The results are labelled quick; they are not
            evidence.
        seeds: the number of training seeds; 0 for the number in the plan.
        out: the folder of the run; by default runs/reproduce/STUDY.
        trust: whether code of a study that does not ship with mesascope may run.
        progress: called with the share of the work that is done, and with a text that says what is running; if there
            are several workers, another thread calls it.
        workers: the number of parallel processes; 0 for one per core. If there are several, the calling module must
            be importable without side effects.

    Returns:
        The document that results.json contains. The folder also has table.md, figure.png and seconds.json.

    Raises:
        MesascopeError: there is no such study, its files contain a mistake, or it contains code that is not trusted.
    """
    plan = load_study(study, quick, seeds)
    measures = load_measures(plan, trust)
    folder = runs.prepare_folder(out or choose_folder({"study": plan.name, "quick": quick}))
    study_run = StudyRun(plan, folder, measures, lambda index, share, activity: estimate(index, share, activity))
    estimate = ProgressEstimate(study_run.units, study_run.seconds, progress)
    study_run.merge_seconds("seconds-*.json")  # files that the processes of a stopped run left
    units = enumerate(study_run.units)
    trained_units = [i for i, unit in units if unit.kind == "train" and not study_run.is_unfinished(unit)]
    study_run.run(trained_units)  # raises an error for a network of another training run before other work starts
    if workers != 1:
        run_group = functools.partial(_run_group, plan, folder, trust, study_run.code_hashes)
        run_in_processes(study_run, run_group, workers, progress)
    results = make_document(plan, study_run.run(), trust)
    write_text(folder / "results.json", json.dumps(results, indent=1, allow_nan=False) + "\n")
    write_text(folder / "table.md", format_page(results))
    draw_figure(plan, results, folder / "figure.png")
    return results


def _run_group(
    study: Study, folder: Path, trust: bool, code_hashes: Sequence[str], indices: Sequence[int], relay_folder: Path
) -> None:
    """Runs some units of a study, in any process; `code` identifies the code that the study started with."""
    measures = load_measures(study, trust)
    try:
        study_run = StudyRun(study, folder, measures, ProgressFile(relay_folder), name_time_file(indices))
        require(
            study_run.code_hashes == code_hashes, "The code was changed while the study ran.", "Run the command again."
        )
        study_run.run(indices)
    except Exception as error:  # the parent process does not see where the error was raised
        plugin_error = None if isinstance(error, MesascopeError) else make_plugin_error(error)
        if plugin_error is None or os.environ.get("MESASCOPE_TRACEBACK"):
            raise
        raise plugin_error from error


def choose_folder(document: Mapping[str, Any]) -> Path:
    """Chooses the default folder for a study's run."""
    return Path("runs") / "reproduce" / (document["study"] + ("-quick" if document["quick"] else ""))


def load_measures(study: Study, trust: bool) -> dict[str, Measure]:
    """Loads the package's measures and the study's own; without `trust`, refuses code that does not ship."""
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
